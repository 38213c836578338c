//! What the pure parts of a message's way cost: no I/O, no clock, one thread.
//!
//! `cargo bench --bench parts` measures, `cargo bench --bench parts -- --test` only sees that it runs.

use std::hint::black_box;
use std::time::Duration;

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use correio::domain::message::delivery::{Acceptance, DeliveryError};
use correio::domain::message::retry::{RetryPolicy, SoFar};
use correio::domain::message::{Content, Message, MessageStatus};
use correio::domain::node::NodeId;
use correio::infrastructure::channels::SigningSecret;
use correio::infrastructure::kafka::event;
use correio::presentation::http::read_send_request;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use uuid::Uuid;

#[path = "../tests/support/samples.rs"]
mod samples;

use samples::{channels, instance, message_of};

const REQUEST: &[u8] = include_bytes!("../tests/corpus/send-request/text.json");
const WHOLE_REQUEST: &[u8] = include_bytes!("../tests/corpus/send-request/all.json");

fn states(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("state machine");
    group.bench_function("every move", |bencher| {
        bencher.iter(|| {
            let pairs = MessageStatus::ALL.into_iter().flat_map(|from| MessageStatus::ALL.map(|to| (from, to)));
            pairs.filter(|(from, to)| black_box(*from).may_become(black_box(*to))).count()
        });
    });
    let policy = RetryPolicy {
        backoff: [1, 4, 16].map(Duration::from_secs).to_vec(),
        undeliverable_after: Duration::from_secs(86_400),
    };
    let now = DateTime::<Utc>::UNIX_EPOCH;
    let so_far = |tries_begun| SoFar {
        is_unanswered: false,
        tells_since: None,
        tries_begun,
        max_tries: 3,
        deferrals: 0,
        deferred_since: None,
        is_awaited: false,
        retries_unknown: true,
    };
    group.bench_function("after a failure", |bencher| {
        let verdict = Err::<Acceptance, _>(DeliveryError::transient("HTTP 503 from the webhook"));
        let after = |verdict| policy.after(black_box(verdict), black_box(&so_far(2)), now, 0.5);
        bencher.iter_batched(|| verdict.clone(), after, BatchSize::SmallInput);
    });
    group.bench_function("after a success", |bencher| {
        let verdict = Ok(Acceptance { channel_message_id: None, http_status: Some(200) });
        let after = |verdict| policy.after(black_box(verdict), black_box(&so_far(1)), now, 0.5);
        bencher.iter_batched(|| verdict.clone(), after, BatchSize::SmallInput);
    });
    group.finish();
}

fn message(text: String) -> Message {
    let content = Content { text: Some(text), ..Content::default() };
    Message { content, ..message_of(&instance("acme", "pedidos"), MessageStatus::Queued, NodeId(Uuid::nil())) }
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("Kafka event");
    for size in [100, 10_000] {
        let message = message("é".repeat(size / 2));
        let value = event::value(&message, event::LARGEST_VALUE);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("encode, {size} bytes of text"), |bencher| {
            bencher.iter(|| event::value(black_box(&message), event::LARGEST_VALUE));
        });
        group.bench_function(format!("decode, {size} bytes of text"), |bencher| {
            bencher.iter(|| event::decode(black_box(Some(&value))));
        });
    }
    group.finish();
    let message = message("Olá!".to_owned());
    criterion.bench_function("Kafka event/key", |bencher| bencher.iter(|| event::key(black_box(&message))));
}

fn signatures(criterion: &mut Criterion) {
    let secret = SigningSecret::generate().expect("randomness");
    let mut group = criterion.benchmark_group("webhook signature");
    for size in [200, 10_000] {
        let body = vec![b'a'; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(format!("{size} bytes"), |bencher| {
            bencher.iter(|| secret.sign("01a2084f-4867-74c0-b559-c79a6ea09d60", 1_795_435_744, black_box(&body)));
        });
    }
    group.finish();
}

fn requests(criterion: &mut Criterion) {
    let channels = channels();
    let mut group = criterion.benchmark_group("request to send");
    for (name, request) in
        [("a text", REQUEST), ("every member", WHOLE_REQUEST), ("a refused one", b"{\"channel\": 1}")]
    {
        let bytes = Bytes::from_static(request);
        group.throughput(Throughput::Bytes(request.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| read_send_request(black_box(bytes.clone()), &channels));
        });
    }
    group.finish();
}

criterion_group!(parts, states, events, signatures, requests);
criterion_main!(parts);
