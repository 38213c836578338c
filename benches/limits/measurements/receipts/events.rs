use std::time::Duration;

use super::sent_messages::{self, SentMessages};
use crate::Result;
use crate::database::Database;
use crate::figures::{Figure, SINGLE_WEEKS};
use crate::measurements::speed::flood::first_message;
use crate::measurements::turn::Turn;
use crate::open_loop::{Load, OpenLoop};
use crate::requests;
use crate::server::Server;
use crate::setting::Setting;
use crate::statistics::{milliseconds, percentile};

const CONNECTIONS: usize = 64;

/// A request that waits for so long says enough: its time counts from when it was due.
const LATEST: Duration = Duration::from_secs(5);

/// How long a send takes at a steady rate, alone and while a provider reports what became of others: each event moves a message.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, seconds) = (turn.stage, turn.extent.seconds);
    let mut database = Database::create(stage, turn.build).await?;
    let setting = Setting::kafka(stage, &database.url()).with("PROVIDER_WEBHOOKS_OPEN", "true");
    let server = Server::start(stage, turn.build, &setting, "all").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    server.stop().await?;
    let (rate, events) = (turn.extent.send_rate, turn.extent.event_rate);
    let count = (events * f64::from(seconds)).ceil() as u32;
    SentMessages::store(&mut database, count, SINGLE_WEEKS).await?;
    let server = Server::start(stage, turn.build, &setting, "all").await?;
    first_message(&server, &mut database).await?;
    let sends = || (1..=1_000).map(|recipient| requests::send("webhook", recipient)).collect::<Vec<_>>();
    // The first second plans statements and opens connections.
    load(&server, rate, 1, sends(), 202).await?;
    let mut alone = load(&server, rate, seconds, sends(), 202).await?;
    let reports = (1..=count).map(sent_messages::delivered).collect();
    let (beside, reported) =
        tokio::try_join!(load(&server, rate, seconds, sends(), 202), load(&server, events, seconds, reports, 200))?;
    let mut beside = beside;
    eprintln!("  {} events were answered", reported.len());
    turn.record(Figure::SendP99, at(&mut alone)?);
    turn.record(Figure::SendBesideEventsP99, at(&mut beside)?);
    server.stop().await?;
    database.remove(stage).await
}

async fn load(server: &Server, rate: f64, seconds: u32, requests: Vec<Vec<u8>>, status: u16) -> Result<Vec<Duration>> {
    let address = server.address.clone();
    let load = OpenLoop { address, rate, seconds, connections: CONNECTIONS, requests, status, latest: LATEST };
    // The times of those that were sent say nothing of the others.
    match load.run().await? {
        Load { times, kept_up: true } => Ok(times),
        Load { .. } => Err(format!("{rate:.0} requests a second were too many").into()),
    }
}

/// In milliseconds.
fn at(times: &mut [Duration]) -> Result<f64> {
    Ok(milliseconds(percentile(times, 0.99).ok_or("nothing was answered")?))
}
