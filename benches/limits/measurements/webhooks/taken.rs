use std::time::{Duration, Instant};

use super::appends;
use crate::Result;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::turn::Turn;
use crate::server::Server;
use crate::setting::Setting;

const CONNECTIONS: u32 = 128;

/// Bytes of an event's record.
const RECORD: usize = 1_400;

/// Events into the database, beside single sends; into the spool, beside appends; and out of it.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, seconds) = (turn.stage, turn.extent.seconds);
    let mut database = Database::create(stage, turn.build).await?;
    let server = Server::start(stage, turn.build, &Setting::kafka(stage, &database.url()), "api").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    stage.wrk.send(&server.address, ("webhook", "5585"), CONNECTIONS, 1).await?;
    let sends = stage.wrk.send(&server.address, ("webhook", "5585"), CONNECTIONS, seconds).await?;
    stage.wrk.webhooks(&server.address, CONNECTIONS, 1).await?;
    let webhooks = stage.wrk.webhooks(&server.address, CONNECTIONS, seconds).await?;
    turn.record(Figure::SendsBesideWebhooks, sends.rate());
    turn.record(Figure::Webhooks, webhooks.rate());
    server.stop().await?;

    let setting = Setting::direct(&database.url());
    let emergency = setting.clone().with("EMERGENCY_MODE", "true");
    let server = Server::start(stage, turn.build, &emergency, "all").await?;
    let spooled = stage.wrk.webhooks(&server.address, CONNECTIONS, seconds).await?;
    turn.record(Figure::SpooledWebhooks, spooled.rate());
    server.stop().await?;
    let directory = setting.directory(stage)?;
    let appended = tokio::task::spawn_blocking(move || {
        appends::rate(&directory, RECORD, seconds).map_err(|error| error.to_string())
    });
    turn.record(Figure::Appends, appended.await??);

    let before = stored(&mut database).await?;
    let server = Server::start(stage, turn.build, &setting, "all").await?;
    let drained = drained(&mut database, before, spooled.requests).await?;
    turn.record(Figure::DrainedWebhooks, drained);
    server.stop().await?;
    database.remove(stage).await
}

/// Events a second, until all are stored.
async fn drained(database: &mut Database, before: u64, expected: u64) -> Result<f64> {
    let begun = Instant::now();
    loop {
        let count = stored(database).await? - before;
        if count >= expected {
            return Ok(count as f64 / begun.elapsed().as_secs_f64());
        }
        if begun.elapsed() > Duration::from_secs(300) {
            return Err(format!("of {expected} events of the spool {count} were stored in 5 min").into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn stored(database: &mut Database) -> Result<u64> {
    // Counted as they are stored.
    let count = database.number("select coalesce(sum(events), 0)::bigint from messaging_event_counts").await?;
    Ok(count.unsigned_abs())
}
