//! What the program says is wrong with Kafka, and that it is over.

use std::time::Duration;

use crate::support::caller::{Caller, to_sandbox};
use crate::support::eventually::eventually;
use crate::support::installation::Installation;
use crate::support::process::Process;
use crate::support::test_app::TestApp;

/// For what is wrong or over to be noticed, on a machine that is busy.
pub const NOTICED: Duration = Duration::from_secs(90);

async fn troubles(caller: &Caller) -> Vec<String> {
    let health = caller.get("/health").await.json();
    let troubles = health["kafka"]["troubles"].as_array().unwrap().iter();
    troubles.map(|trouble| trouble.as_str().unwrap().to_owned()).collect()
}

/// Is ready, as far as its consumer is concerned.
pub async fn is_ready(caller: &Caller) {
    let ready = async || (caller.get("/health/ready").await.status == 200).then_some(());
    eventually(NOTICED, "it is ready", ready).await;
}

/// That a sentence with this part is in `/health` and in the log.
pub async fn is_said(caller: &Caller, process: &Process, part: &str) {
    eventually(NOTICED, part, async || {
        let in_health = troubles(caller).await.iter().any(|trouble| trouble.contains(part));
        (in_health && process.log().iter().any(|line| line.contains("WARN") && line.contains(part))).then_some(())
    })
    .await;
}

/// The same, and that a worker is not ready because of it.
pub async fn keeps_out(caller: &Caller, process: &Process, part: &str) {
    is_said(caller, process, part).await;
    let ready = caller.get("/health/ready").await;
    assert_eq!(ready.status, 503);
    assert!(ready.json()["detail"].as_str().unwrap().contains(part), "{}", ready.json());
}

pub async fn is_over(caller: &Caller, process: &Process) {
    eventually(NOTICED, "nothing is wrong any more", async || {
        (troubles(caller).await.is_empty() && caller.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    assert!(process.log().iter().any(|line| line.contains("this is over")));
}

/// Kafka gives each process some partitions, whose records it takes, whoever published them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_installations_that_take_each_others_records_are_told_and_deliver_all_once_each_has_a_topic_of_its_own() {
    let Some(first) = Installation::real_kafka().await else { return };
    let Some(second) = Installation::real_kafka().await else { return };
    let names = |of: &Installation| [of.topic_name(""), of.group().to_owned()];
    let ([prefix, group], [own_prefix, own_group]) = (names(&first), names(&second));
    // What Kafka has lost is found sooner.
    let soon = ("KAFKA_PUBLISH_TIMEOUT", "2s");
    let one = TestApp::start_with(first, &[soon]).await;
    let shared = [soon, ("KAFKA_TOPIC_PREFIX", &prefix), ("KAFKA_GROUP_ID", &group)];
    let mut other = TestApp::start_with(second, &shared).await;

    let part = "records of messages that this database does not have";
    let mut recipients = 0..;
    eventually(NOTICED, "both are told", async || {
        let mut are_told = true;
        for app in [&one, &other] {
            app.accepted(&app.send(&to_sandbox(&recipients.next().unwrap().to_string())).await);
            let is_in_log = app.log().iter().any(|line| line.contains("WARN") && line.contains(part));
            are_told &= is_in_log && troubles(&app.caller()).await.iter().any(|trouble| trouble.contains(part));
        }
        are_told.then_some(())
    })
    .await;

    other.terminate();
    other.exited().await;
    other.set("KAFKA_TOPIC_PREFIX", &own_prefix);
    other.set("KAFKA_GROUP_ID", &own_group);
    other.restart().await;
    for app in [&one, &other] {
        let open = "select count(*) from messaging_messages where status <> 'sent'";
        eventually(NOTICED, "all are sent", async || (app.sql_number(open).await == 0).then_some(())).await;
    }
}
