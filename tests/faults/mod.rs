//! What survives when real processes and servers are killed: on PostgreSQL and an Apache Kafka of the story's own, so only
//! where `TEST_DATABASE_URL` and `TEST_KAFKA_LIB` name them. Each prints what it measured.

mod backlog;
mod clients;
mod everything_dies;

use std::collections::BTreeSet;

use serde_json::json;
use tokio::sync::Mutex;

use crate::support::http_receiver::HttpReceiver;
use crate::support::installation::Installation;
use crate::support::kafka_server::KafkaServer;
use crate::support::test_app::TestApp;

/// One at a time: each wants the whole machine.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Servers of the story's own, the broker to be dropped last. None where the environment names none.
async fn servers() -> Option<(KafkaServer, Installation)> {
    let kafka = KafkaServer::start().await?;
    let installation = Installation::on_kafka(&kafka.address()).await?;
    Some((kafka, installation))
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

/// What a webhook got.
struct Deliveries {
    ids: BTreeSet<String>,
    duplicates: usize,
}

impl Deliveries {
    fn to(receiver: &HttpReceiver) -> Self {
        let received = receiver.received();
        let ids: BTreeSet<String> =
            received.iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect();
        let duplicates = received.len() - ids.len();
        Self { ids, duplicates }
    }
}

/// The ids of the messages that are in this state.
async fn ids_in_sql(app: &TestApp, status: &str) -> BTreeSet<String> {
    let rows = app.sql(&format!("select id from messaging_messages where status = '{status}'")).await;
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}
