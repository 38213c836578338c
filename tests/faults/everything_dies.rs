use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::clients::send_at_a_rate;
use super::{ALONE, Deliveries, a_webhook, ids_in_sql, servers};
use crate::support::eventually::eventually;
use crate::support::free_port::free_port;
use crate::support::http_receiver::Answer;
use crate::support::test_app::TestApp;

const RATE: u32 = 500;
const MESSAGES: usize = 10_000;

/// How long it may take until nothing is open, after the last message was accepted and everything is back.
const RECOVERY: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_is_delivered_although_worker_api_and_kafka_die() {
    let _alone = ALONE.lock().await;
    let Some((mut kafka, installation)) = servers().await else { return };
    // Its address must outlive it.
    let port = free_port().to_string();
    let settings = [
        ("PORT", port.as_str()),
        ("NODE_TIMEOUT", "3s"),
        ("KAFKA_PUBLISH_TIMEOUT", "5s"),
        ("MAX_RETRIES", "10"),
        ("RETRY_BACKOFF", "200ms"),
        ("RUST_LOG", "info,correio::presentation::http::request_log=warn"),
    ];
    let mut api = TestApp::start_api(installation, &settings).await;
    let mut worker = api.another("worker").await;
    let receiver = a_webhook(&api).await;
    // Long enough that whoever is killed is killed in the middle of something.
    receiver.always(Answer::new(200, "").after(Duration::from_millis(50)));

    let start = tokio::time::Instant::now();
    let second = |second| tokio::time::sleep_until(start + Duration::from_secs(second));
    let sending = tokio::spawn(send_at_a_rate(api.caller(), MESSAGES, RATE));
    second(4).await;
    // Alone, so that what is being delivered is its own.
    eventually(RECOVERY, "the worker is busy", async || {
        let busy = "select count(*) from messaging_messages where status = 'processing'";
        (api.sql_number(busy).await > 0).then_some(())
    })
    .await;
    worker.kill9();
    worker.restart().await;
    let _other_worker = api.another("worker").await;
    second(8).await;
    api.kill9();
    api.restart().await;
    second(12).await;
    kafka.kill();
    second(17).await;
    kafka.restart().await;

    let accepted = sending.await.unwrap();
    let all_accepted = Instant::now();
    eventually(RECOVERY, "nothing is open", async || {
        let ended = "select count(*) from messaging_messages where status not in ('sent', 'failed')";
        (api.sql_number(ended).await == 0).then_some(())
    })
    .await;
    let recovery = all_accepted.elapsed();

    let deliveries = Deliveries::to(&receiver);
    let cut_off = api.sql_number("select count(*) from messaging_messages where retries > 1").await;
    println!("worker, API and Kafka killed under {RATE} messages a second:");
    println!("  accepted {}", accepted.ids.len());
    println!("  delivered {}, {} more than once", deliveries.ids.len(), deliveries.duplicates);
    println!("  {cut_off} were being delivered when their worker was killed");
    println!("  the API refused for at most {:?}", accepted.longest_refusal);
    println!("  nothing was open {recovery:?} after the last was accepted");

    assert_eq!(accepted.ids.len(), MESSAGES);
    // In this order, so that a failure says what went wrong: ids are many.
    assert_eq!(ids_in_sql(&api, "failed").await, BTreeSet::new());
    let sent = ids_in_sql(&api, "sent").await;
    let lost: Vec<_> = accepted.ids.difference(&sent).collect();
    assert!(lost.is_empty(), "accepted, and not in SQL: {lost:?}");
    let uncalled: Vec<_> = sent.difference(&accepted.ids).collect();
    assert!(uncalled.is_empty(), "a second message of one key: {uncalled:?}");
    let untrue: Vec<_> = sent.difference(&deliveries.ids).collect();
    assert!(untrue.is_empty(), "said to be sent, and never received: {untrue:?}");
    assert!(cut_off > 0, "the worker had nothing to do when it was killed");
    assert!(api.is_alive() && worker.is_alive(), "nobody died of what others died of");
}
