//! How soon the group goes on without a worker that died, that it waits for one that only stood still, and what is said of a group
//! that lets none in.

use std::time::{Duration, Instant};

use super::kafka_troubles::{is_over, keeps_out};
use crate::support::caller::to_sandbox;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::kafka_server::KafkaServer;
use crate::support::process::Process;
use crate::support::test_app::TestApp;

/// Enough for every partition to get some.
const MESSAGES: usize = 30;

/// Far more than the session timeout of 2 s, on a machine that is busy; the default of 6 s and a rebalance are below it, too.
const MOVED_ON: Duration = Duration::from_secs(20);

const FROZEN: Duration = Duration::from_secs(1);

async fn a_worker(app: &TestApp) -> Process {
    let worker = app.another("worker").await;
    let caller = app.caller_of(&worker);
    eventually(SOON, "it has joined", async || (caller.get("/health/ready").await.status == 200).then_some(())).await;
    worker
}

async fn all_are_sent(app: &TestApp) {
    for recipient in 0..MESSAGES {
        app.accepted(&app.send(&to_sandbox(&recipient.to_string())).await);
    }
    let open = "select count(*) from messaging_messages where status <> 'sent'";
    eventually(MOVED_ON, "all are sent", async || (app.sql_number(open).await == 0).then_some(())).await;
}

fn was_left_out(worker: &Process) -> bool {
    worker.log().iter().any(|line| line.contains("the group went on without this process"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_kafka_moves_on_without_a_worker_that_died_and_not_without_one_that_stood_still() {
    let Some(server) = KafkaServer::start_with(&["group.min.session.timeout.ms=1000"]).await else { return };
    let Some(installation) = Installation::on_kafka(&server.address()).await else { return };
    let app = TestApp::start_api(installation, &[("KAFKA_SESSION_TIMEOUT", "2s")]).await;
    let (mut one, other) = (a_worker(&app).await, a_worker(&app).await);
    all_are_sent(&app).await;

    one.freeze();
    let since = Instant::now();
    eventually(SOON, "a second passes", async || (since.elapsed() >= FROZEN).then_some(())).await;
    one.thaw();
    all_are_sent(&app).await;
    assert!(!was_left_out(&one) && !was_left_out(&other));

    one.kill9();
    let since = Instant::now();
    all_are_sent(&app).await;
    println!("all partitions moved on after {:.1} s", since.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_kafka_that_does_not_offer_the_consumer_protocol_is_said_until_it_is_updated() {
    let Some(mut server) = KafkaServer::start_with(&["group.coordinator.rebalance.protocols=classic"]).await else {
        return;
    };
    let Some(installation) = Installation::on_kafka(&server.address()).await else { return };
    let app = TestApp::start_api(installation, &[("KAFKA_GROUP_PROTOCOL", "consumer")]).await;
    let worker = app.another("worker").await;
    let at_worker = app.caller_of(&worker);
    let id = app.accepted(&app.send(&to_sandbox("meanwhile")).await);
    keeps_out(&at_worker, &worker, "does not offer KAFKA_GROUP_PROTOCOL=consumer").await;
    assert_eq!(app.sql_status(&id).await, "queued");
    assert_eq!(app.get("/health/ready").await.status, 200, "what accepts is not concerned");

    server.stop().await;
    server.set(&["group.coordinator.rebalance.protocols=classic,consumer"]);
    server.restart().await;
    // First: clients that a server has left wait between their attempts, longer than a group takes to move on.
    is_over(&at_worker, &worker).await;
    all_are_sent(&app).await;
    assert_eq!(app.sql_message(&id).await["retries"], 1);
}
