use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use super::clients::send_at_once;
use super::length::Length;
use super::servers::{Needs, Servers};
use crate::support::databases::FreshPostgres;
use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::{Answer, HttpReceiver};
use crate::support::installation::{Installation, Mode};
use crate::support::process::Process;
use crate::support::test_app::TestApp;

const DRAINED: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_workers_drain_a_backlog_faster_and_lose_and_repeat_nothing() {
    let Some(length) = Length::asked_for() else { return };
    let waiting = length.choose(8_000, 20_000);
    // What one worker delivers before others come.
    let alone_delivered = length.choose(2_000, 4_000);
    let Some(mut servers) = Servers::for_one_story(Needs { postgres: true, kafka: true }).await else { return };
    let database = FreshPostgres::on(servers.postgres().options()).await;
    let installation = Installation::new(Some(database), Mode::Kafka(servers.kafka().address()));
    let settings = [
        ("KAFKA_PARTITIONS", "6"),
        ("WORKER_CONCURRENCY", "8"),
        ("RUST_LOG", "info,correio::presentation::http::request_log=warn"),
    ];
    let app = TestApp::start_api(installation, &settings).await;
    let receiver = a_webhook(&app).await;
    // It is the webhook that takes its time, so that a worker can do no more than its concurrency lets it.
    receiver.always(Answer::new(200, "").after(Duration::from_millis(20)));
    let sent = send_at_once(app.caller(), waiting).await;
    let accepted: BTreeSet<String> = sent.acceptances.into_iter().map(|acceptance| acceptance.id).collect();
    assert_eq!(ids_in_sql(&app, "queued").await, accepted, "without a worker they wait");

    let first = joined(&app).await;
    let one_worker = seconds_a_message(&receiver, alone_delivered).await;
    let others = [joined(&app).await, joined(&app).await];
    let three_workers = seconds_a_message(&receiver, waiting).await;
    eventually(SOON, "all is recorded", async || {
        let open = "select count(*) from messaging_messages where status <> 'sent'";
        (app.sql_number(open).await == 0).then_some(())
    })
    .await;

    let drain = |pace: f64| pace * waiting as f64;
    println!("{waiting} messages that wait, at the pace of");
    println!("  1 worker:  {:.1} s ({:.0} a second)", drain(one_worker), 1.0 / one_worker);
    println!("  3 workers: {:.1} s ({:.0} a second)", drain(three_workers), 1.0 / three_workers);

    let received: Vec<String> =
        receiver.received().iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!(received.len(), waiting, "delivered more than once");
    assert_eq!(received.into_iter().collect::<BTreeSet<String>>(), accepted);
    assert_eq!(ids_in_sql(&app, "sent").await, accepted);
    drop((first, others));
}

/// Another worker, which has joined its group.
async fn joined(app: &TestApp) -> Process {
    let worker = app.another("worker").await;
    let caller = app.caller_of(&worker);
    eventually(SOON, "it has joined", async || (caller.get("/health/ready").await.status == 200).then_some(())).await;
    worker
}

/// How long a message takes on average, from now until `total` have been delivered.
async fn seconds_a_message(receiver: &HttpReceiver, total: usize) -> f64 {
    let (begin, before) = (Instant::now(), receiver.how_many());
    eventually(DRAINED, "they are delivered", async || (receiver.how_many() >= total).then_some(())).await;
    begin.elapsed().as_secs_f64() / (receiver.how_many() - before) as f64
}

/// Who the messages of `clients` are for.
async fn a_webhook(app: &TestApp) -> HttpReceiver {
    let receiver = HttpReceiver::start().await;
    app.create_instance(&json!({
        "channel": "webhook", "channelInstanceId": "pedidos", "channelPhoneOrId": receiver.url("/hook"),
    }))
    .await;
    receiver
}

/// The ids of the messages that are in this state.
async fn ids_in_sql(app: &TestApp, status: &str) -> BTreeSet<String> {
    let rows = app.sql(&format!("select id from messaging_messages where status = '{status}'")).await;
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}
