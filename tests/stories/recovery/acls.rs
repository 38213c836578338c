//! A Kafka whose ACLs forbid something while Correio runs: it is said, nothing is lost, and all goes on once it is allowed.

use serde_json::Value;

use super::kafka_troubles::{NOTICED, is_over, is_ready, is_said, keeps_out};
use crate::support::caller::to_sandbox;
use crate::support::eventually::eventually;
use crate::support::installation::Installation;
use crate::support::kafka_server::KafkaServer;
use crate::support::test_app::TestApp;

const MESSAGES: usize = 10;

async fn kafka() -> Option<KafkaServer> {
    let authorizer = "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    KafkaServer::start_with(&[authorizer, "allow.everyone.if.no.acl.found=true"]).await
}

async fn some_are_accepted(app: &TestApp, recipient: &str) {
    for number in 0..MESSAGES {
        app.accepted(&app.send(&to_sandbox(&format!("{recipient}-{number}"))).await);
    }
}

async fn number_of(app: &TestApp, condition: &str) -> i64 {
    app.sql_number(&format!("select count(*) from messaging_messages where {condition}")).await
}

async fn all_are_sent_once(app: &TestApp) {
    eventually(NOTICED, "all are sent", async || (number_of(app, "status <> 'sent'").await == 0).then_some(())).await;
    assert_eq!(number_of(app, "retries <> 1").await, 0, "some were tried more than once");
}

/// What a worker is denied, and what it then says.
#[derive(Clone, Copy)]
struct Denied {
    protocol: &'static str,
    kind: &'static str,
    operation: &'static str,
    said: &'static str,
}

async fn a_worker_may_not(server: &KafkaServer, denied: Denied) {
    let Some(installation) = Installation::on_kafka(&server.address()).await else { return };
    let app = TestApp::start_api(installation, &[("KAFKA_GROUP_PROTOCOL", denied.protocol)]).await;
    let worker = app.another("worker").await;
    let at_worker = app.caller_of(&worker);
    is_ready(&at_worker).await;
    some_are_accepted(&app, "before").await;
    all_are_sent_once(&app).await;

    let name = match denied.kind {
        "--group" => app.installation.group().to_owned(),
        _ => app.installation.topic_name("messaging.send"),
    };
    let quiet = worker.log().len();
    server.deny(denied.kind, &name, denied.operation).await;
    some_are_accepted(&app, "meanwhile").await;
    keeps_out(&at_worker, &worker, denied.said).await;
    assert_eq!(app.get("/health/ready").await.status, 200, "what accepts is not concerned");
    some_are_accepted(&app, "later").await;
    assert!(number_of(&app, "status = 'queued'").await >= i64::try_from(MESSAGES).unwrap());

    server.allow_again(denied.kind, &name).await;
    all_are_sent_once(&app).await;
    is_over(&at_worker, &worker).await;
    let warnings: Vec<String> =
        worker.log().split_off(quiet).into_iter().filter(|line| line.contains("WARN")).collect();
    assert!(warnings.len() < 15, "{warnings:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_kafka_that_does_not_let_a_worker_read_is_said_and_waited_for() {
    let Some(server) = kafka().await else { return };
    let group = Denied { protocol: "classic", kind: "--group", operation: "Read", said: "Read on the group" };
    tokio::join!(
        a_worker_may_not(&server, group),
        a_worker_may_not(&server, Denied { protocol: "consumer", ..group }),
        a_worker_may_not(&server, Denied { kind: "--topic", said: "do not let this process read its topic", ..group }),
    );
}

async fn messages_may_not_be_published(server: &KafkaServer) {
    let Some(installation) = Installation::on_kafka(&server.address()).await else { return };
    let app = TestApp::start(installation).await;
    some_are_accepted(&app, "before").await;
    all_are_sent_once(&app).await;

    let topic = app.installation.topic_name("messaging.send");
    server.deny("--topic", &topic, "Write").await;
    some_are_accepted(&app, "meanwhile").await;
    is_said(&app, &app.process, &format!("nothing can be published to the topic `{topic}`")).await;
    assert_eq!(app.get("/health/ready").await.status, 200, "it accepts as before");
    some_are_accepted(&app, "later").await;

    server.allow_again("--topic", &topic).await;
    all_are_sent_once(&app).await;
    is_over(&app, &app.process).await;
}

async fn dead_letters_may_not_be_published(server: &KafkaServer) {
    let Some(installation) = Installation::on_kafka(&server.address()).await else { return };
    let app = TestApp::start(installation).await;
    let topic = app.installation.topic_name("messaging.send.dlq");
    app.sent(&to_sandbox("before")).await;
    server.deny("--topic", &topic, "Write").await;
    for _ in 0..MESSAGES {
        app.accepted(&app.send(&to_sandbox("fail-permanent")).await);
    }
    is_said(&app, &app.process, &format!("nothing can be published to the topic `{topic}`")).await;
    assert_eq!(number_of(&app, "status = 'failed' and dead_lettered_at is null").await, 10);
    assert_eq!(app.get("/health/ready").await.status, 200);
    for number in 0..MESSAGES {
        let sent: Value = app.sent(&to_sandbox(&format!("meanwhile-{number}"))).await;
        assert_eq!(sent["retries"], 1);
    }

    server.allow_again("--topic", &topic).await;
    eventually(NOTICED, "all dead letters are out", async || {
        (number_of(&app, "status = 'failed' and dead_lettered_at is null").await == 0).then_some(())
    })
    .await;
    is_over(&app, &app.process).await;
    let complaints = app.log().iter().filter(|line| line.contains("its dead letter could not be published")).count();
    assert!((1..=3).contains(&complaints), "{complaints} lines");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_kafka_that_takes_no_records_for_a_topic_is_said_and_waited_for() {
    let Some(server) = kafka().await else { return };
    tokio::join!(messages_may_not_be_published(&server), dead_letters_may_not_be_published(&server));
}
