use std::collections::HashMap;

use super::postgres_proxy::PostgresProxy;
use crate::Result;
use crate::connection::Connection;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::speed::flood::PATIENCE;
use crate::measurements::turn::Turn;
use crate::requests;
use crate::server::Server;
use crate::setting::Setting;
use crate::support::http_receiver::{Answer, HttpReceiver};

const TRIES: u64 = 3;

/// How many messages fail with fewer calls than they have tries. Their receiver fails each of them, and counts its calls;
/// between the process and PostgreSQL is a proxy that loses the answer of one claim in twenty.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, messages) = (turn.stage, turn.extent.failing);
    let mut database = Database::create(stage, turn.build).await?;
    let proxy = PostgresProxy::start(database.options()).await?;
    let receiver = HttpReceiver::start().await;
    receiver.always(Answer::new(500, ""));
    let setting = Setting::kafka(stage, &proxy.url(database.options()))
        .with("MAX_RETRIES", TRIES.to_string())
        .with("RETRY_BACKOFF", "200ms");
    let server = Server::start(stage, turn.build, &setting, "all").await?;
    server.create_instance("webhook", &receiver.url("/")).await?;
    let mut connection = Connection::open(&server.address).await?;
    for recipient in 0..messages {
        let status = connection.status_of(&requests::send("webhook", recipient)).await?;
        if status != 202 {
            return Err(format!("a message was answered with {status}").into());
        }
    }
    database.ended(PATIENCE).await?;
    let failed = database.number("select count(*) from messaging_messages where status = 'failed'").await?;
    if failed != i64::from(messages) {
        return Err(format!("of {messages} messages {failed} failed").into());
    }
    let (claims, lost) = proxy.claims();
    eprintln!("  the answers of {lost} of {claims} claims were lost");
    if lost == 0 {
        return Err("no answer was lost".into());
    }
    turn.record(Figure::FailedEarly, (u64::from(messages) - called_often_enough(&receiver)) as f64);
    server.stop().await?;
    database.remove(stage).await
}

/// How many messages the receiver was called for as often as it should be. A call names its message.
fn called_often_enough(receiver: &HttpReceiver) -> u64 {
    let mut calls = HashMap::<String, u64>::new();
    for request in receiver.received() {
        *calls.entry(request.header("webhook-id").unwrap_or_default().to_owned()).or_default() += 1;
    }
    calls.values().filter(|calls| **calls >= TRIES).count() as u64
}
