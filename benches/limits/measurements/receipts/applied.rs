use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::sent_messages::{self, SentMessages};
use crate::Result;
use crate::connection::Connection;
use crate::database::Database;
use crate::figures::{Figure, MANY_WEEKS, SINGLE_WEEKS};
use crate::measurements::turn::Turn;
use crate::pgbench;
use crate::server::Server;
use crate::setting::Setting;

/// Of the provider, each with one report after the other.
const CONNECTIONS: u32 = 128;

/// The last receipts may be swept instead of applied.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many receipts a second move their messages, from the report to the row: through the API, with a receipt each; beside it how many
/// rows of the same table pgbench updates by their keys. And what one takes with many weeks of history.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    for weeks in [SINGLE_WEEKS, MANY_WEEKS] {
        let (stage, count) = (turn.stage, turn.extent.receipts);
        let mut database = Database::create(stage, turn.build).await?;
        let setting = Setting::direct(&database.url()).with("PROVIDER_WEBHOOKS_OPEN", "true");
        let server = Server::start(stage, turn.build, &setting, "all").await?;
        server.create_instance("webhook", &turn.receiver()).await?;
        server.stop().await?;
        // Some to warm up with, and as many for pgbench as for us.
        let warm_up = (count / 10).max(1);
        let sent = SentMessages::store(&mut database, 2 * count + warm_up, weeks).await?;
        if weeks == SINGLE_WEEKS {
            let (first, last) = (count + warm_up + 1, 2 * count + warm_up);
            let id = sent.id_of(":number");
            let updates = pgbench::updates(stage, &database, (first, last), &id, turn.extent.seconds).await?;
            turn.record(Figure::Updates, updates);
        }
        let server = Server::start(stage, turn.build, &setting, "all").await?;
        reported(&server, 1, warm_up).await?;
        applied(&mut database).await?;
        let begin = Instant::now();
        reported(&server, warm_up + 1, warm_up + count).await?;
        applied(&mut database).await?;
        let took = begin.elapsed();
        let delivered =
            "select count(*) from messaging_messages where status = 'delivered' and channel_message_id like '3EB0%'";
        let ours = format!("{delivered} and substr(channel_message_id, 5)::integer <= {}", warm_up + count);
        let moved = database.number(ours).await?;
        if moved != i64::from(warm_up + count) {
            return Err(format!("{} receipts were reported, and {moved} messages delivered", warm_up + count).into());
        }
        if weeks == SINGLE_WEEKS {
            turn.record(Figure::Receipts, f64::from(count) / took.as_secs_f64());
        }
        turn.record(Figure::ReceiptCost(weeks), took.as_secs_f64() * 1e6 / f64::from(count));
        server.stop().await?;
        database.remove(stage).await?;
    }
    Ok(())
}

/// Reports that the messages of these numbers were delivered; returns when all are answered.
async fn reported(server: &Server, first: u32, last: u32) -> Result<()> {
    let next = Arc::new(AtomicU32::new(first));
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(report(server.address.clone(), next.clone(), last));
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    Ok(())
}

async fn report(address: String, next: Arc<AtomicU32>, last: u32) -> Result<()> {
    let mut connection = Connection::open(&address).await?;
    loop {
        let number = next.fetch_add(1, Relaxed);
        if number > last {
            return Ok(());
        }
        let status = connection.status_of(&sent_messages::delivered(number)).await?;
        if status != 200 {
            return Err(format!("a report was answered with {status}").into());
        }
    }
}

/// Waits until no receipt is kept any more.
async fn applied(database: &mut Database) -> Result<()> {
    let begin = Instant::now();
    while database.number("select count(*) from messaging_receipts").await? > 0 {
        if begin.elapsed() > PATIENCE {
            return Err(format!("receipts are not applied after {PATIENCE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
