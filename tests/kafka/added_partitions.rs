//! Partitions that an operator adds while messages wait.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::{Duration, Instant};

use correio::application::ports::{Arrival, Broker, MessageSource, Partition, Record};
use correio::domain::message::MessageId;
use correio::infrastructure::kafka::{Kafka, KafkaMessageSource};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::brokers::{TestBroker, consume, hand_over_some, on_both_brokers, records};
use super::recovering::stop;
use crate::support::eventually::SOON;

on_both_brokers!(
    ; only real_kafka: added_partitions_wait_until_what_came_before_them_is_finished,
    partitions_that_are_added_twice_wait_for_those_that_were_added_first
);

const BEFORE: i32 = 3;
const BETWEEN: i32 = 6;
const AFTER: i32 = 12;

const PATIENCE: Duration = Duration::from_secs(120);

/// Longer than a consumer needs that reads an added partition as soon as it knows of it.
const LONG: Duration = Duration::from_secs(20);

async fn added_partitions_wait_until_what_came_before_them_is_finished(broker: TestBroker) {
    let kafka = broker.start().await;
    let source = consume(&kafka).await;
    let sent: BTreeSet<_> = hand_over_some(&kafka, 20).await.into_iter().map(|message| message.id).collect();
    let unfinished = records(&source, sent.len()).await;
    add_partitions(&broker, &kafka, AFTER).await;

    let (told, stop) = stop();
    let story = async {
        order_is_kept(&broker, &kafka, &source, sent, unfinished).await;
        drop(told);
    };
    tokio::join!(kafka.keep(stop), story);
}

/// Sends more, until some of it is in an added partition, and finishes the first messages long after that.
async fn order_is_kept(
    broker: &TestBroker,
    kafka: &Kafka,
    source: &KafkaMessageSource,
    mut sent: BTreeSet<MessageId>,
    mut unfinished: Vec<Record>,
) {
    let end = Instant::now() + PATIENCE;
    let mut written_at = None;
    while written_at.is_none_or(|at: Instant| at.elapsed() < LONG) {
        assert!(Instant::now() < end, "nothing goes through the added partitions");
        if written_at.is_none() {
            sent.extend(hand_over_some(kafka, 20).await.into_iter().map(|message| message.id));
            written_at = is_written(broker, kafka, BEFORE..AFTER).await.then(Instant::now);
        }
        unfinished.extend(arrived(source).await);
        let early = unfinished.iter().find(|record| record.partition >= Partition(BEFORE));
        assert!(early.is_none(), "{:?} is read before what came earlier is finished", early.unwrap().partition);
    }
    let mut read = BTreeSet::new();
    while sent != read {
        assert!(Instant::now() < end, "{} of {} were read", read.len(), sent.len());
        for record in unfinished.drain(..) {
            source.finished(record.partition, record.offset);
            read.insert(record.content.unwrap().message_id);
        }
        unfinished = arrived(source).await;
    }
}

async fn add_partitions(broker: &TestBroker, kafka: &Kafka, count: i32) {
    let admin: AdminClient<DefaultClientContext> = broker.client_config().create().unwrap();
    let more = NewPartitions::new(&kafka.topics.send, count.try_into().unwrap());
    admin.create_partitions(&[more], &AdminOptions::new()).await.unwrap();
}

async fn partitions_that_are_added_twice_wait_for_those_that_were_added_first(broker: TestBroker) {
    let kafka = broker.start().await;
    let source = consume(&kafka).await;
    let sent = hand_over_some(&kafka, 20).await.len();
    let unfinished = records(&source, sent).await;
    let (told, stop) = stop();
    let story = async {
        added_twice(&broker, &kafka, &source, sent, unfinished).await;
        drop(told);
    };
    tokio::join!(kafka.keep(stop), story);
}

/// Everything is finished at once but what is in the partitions that were added first.
async fn added_twice(
    broker: &TestBroker,
    kafka: &Kafka,
    source: &KafkaMessageSource,
    mut sent: usize,
    mut unfinished: Vec<Record>,
) {
    let between = Partition(BETWEEN);
    let end = Instant::now() + PATIENCE;
    for (before, after) in [(BEFORE, BETWEEN), (BETWEEN, AFTER)] {
        add_partitions(broker, kafka, after).await;
        while !is_written(broker, kafka, before..after).await {
            assert!(Instant::now() < end, "nothing goes through the partitions from {before} on");
            sent += hand_over_some(kafka, 20).await.len();
            unfinished.extend(arrived(source).await);
        }
    }
    let (mut left, mut read, mut first_at) = (Vec::new(), 0, None);
    while first_at.is_none_or(|at: Instant| at.elapsed() < LONG) {
        assert!(Instant::now() < end + PATIENCE, "{read} of {sent} were read");
        for record in unfinished.drain(..) {
            read += 1;
            assert!(record.partition < between, "{:?} is read before what came earlier is finished", record.partition);
            if record.partition < Partition(BEFORE) {
                source.finished(record.partition, record.offset);
            } else {
                first_at.get_or_insert_with(Instant::now);
                left.push(record);
            }
        }
        unfinished = arrived(source).await;
    }
    for record in left {
        source.finished(record.partition, record.offset);
    }
    while read < sent {
        assert!(Instant::now() < end + PATIENCE, "{read} of {sent} were read");
        for record in arrived(source).await {
            source.finished(record.partition, record.offset);
            read += 1;
        }
    }
}

/// Whether a record is in one of these partitions.
async fn is_written(broker: &TestBroker, kafka: &Kafka, partitions: Range<i32>) -> bool {
    let (config, topic) = (broker.client_config(), kafka.topics.send.clone());
    let ask = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        let end_of = |partition| consumer.fetch_watermarks(&topic, partition, SOON).map_or(0, |(_, end)| end);
        partitions.into_iter().any(|partition| end_of(partition) > 0)
    });
    ask.await.unwrap()
}

/// What arrives within a moment.
async fn arrived(source: &KafkaMessageSource) -> Vec<Record> {
    let mut records = Vec::new();
    while let Ok(arrival) = tokio::time::timeout(Duration::from_millis(200), source.next()).await {
        match arrival {
            Arrival::Record(record) => records.push(record),
            Arrival::GivenUp { drained, .. } => drained.send(()).unwrap(),
            Arrival::Assigned(_) | Arrival::Closed => {}
        }
    }
    records
}
