use std::time::{Duration, Instant};

use super::topic::Topic;
use crate::Result;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::history::waiting::accept;
use crate::measurements::speed::flood::PATIENCE;
use crate::measurements::turn::Turn;
use crate::server::Server;
use crate::setting::Setting;
use crate::stage::POSTGRES_SETTINGS;
use crate::support::http_receiver::{Answer, HttpReceiver};
use crate::support::postgres_server::PostgresServer;

/// How long the receiver takes for a message, and how many it is sent at the same time: 80 a second, so that nearly all
/// messages still wait in the end.
const CALL: Duration = Duration::from_millis(100);
const CALLS: &str = "8";

/// What waits for its instance's share of the workers may be put off, and comes back as another record, outage or not. With
/// this share nothing does; nor is a call so slow that what waits behind it is put off.
const SHARE: &str = "10000";

/// Longer than anything would be published again.
const LONGEST: Duration = Duration::from_secs(900);

/// How many messages are published again because PostgreSQL was away, for longer than it takes a process to lose its name:
/// records in their topic, less messages. The process that accepted them goes on, as one that stops in good order owns none
/// any more; another one delivers.
///
/// PostgreSQL is ended without a warning and started again, on its data, a server of its own as others need the stage's.
/// Ended, and not frozen: most outages are restarts and failovers, in which connections are refused at once, and what was
/// not flushed yet is taken back. The records are counted once none was added for twice
/// as long as it takes to find a name gone.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, extent) = (turn.stage, turn.extent);
    let postgres = PostgresServer::start_with(&POSTGRES_SETTINGS).await;
    let mut postgres = postgres.ok_or("PostgreSQL is not installed")?;
    let mut database = Database::create_on(&postgres, stage, turn.build).await?;
    let receiver = HttpReceiver::start().await;
    receiver.always(Answer::new(200, "").after(CALL));
    let setting =
        Setting::kafka(stage, &database.url()).with("WORKER_CONCURRENCY", CALLS).with("INSTANCE_CONCURRENCY", SHARE);
    let api = Server::start(stage, turn.build, &setting, "api").await?;
    api.create_instance("webhook", &receiver.url("/")).await?;
    accept(turn, extent.outage, &api, &mut database).await?;
    let (accepted, topic) = (database.messages().await?, Topic::of(stage, &setting)?);
    expect_published(&topic, accepted).await?;
    let _worker = Server::start(stage, turn.build, &setting, "worker").await?;
    expect_some_sent(&receiver).await?;

    postgres.kill();
    tokio::time::sleep(Duration::from_secs(extent.outage_seconds.into())).await;
    postgres.restart().await;

    let records = settled(&topic, Duration::from_secs(extent.quiet_seconds.into())).await?;
    let waiting = database.connect_again().await?.open().await?;
    eprintln!("  {waiting} of {accepted} messages still wait");
    if waiting < accepted / 2 {
        return Err("too few messages waited for this to say anything".into());
    }
    turn.record(Figure::RepublishedRecords, records.saturating_sub(accepted) as f64);
    Ok(())
}

/// Each message once.
async fn expect_published(topic: &Topic, accepted: u64) -> Result<()> {
    let begin = Instant::now();
    loop {
        let records = topic.records().await?;
        if records == accepted {
            return Ok(());
        }
        if records > accepted || begin.elapsed() > PATIENCE {
            return Err(format!("{accepted} messages are stored, and {records} records are published").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The worker has its partitions then.
async fn expect_some_sent(receiver: &HttpReceiver) -> Result<()> {
    let begin = Instant::now();
    while receiver.how_many() == 0 {
        if begin.elapsed() > PATIENCE {
            return Err("the worker delivers nothing".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// How many records there are once none was added for so long.
async fn settled(topic: &Topic, quiet: Duration) -> Result<u64> {
    let begin = Instant::now();
    let (mut records, mut since) = (topic.records().await?, begin);
    while since.elapsed() < quiet {
        if begin.elapsed() > LONGEST {
            return Err(format!("records are still added after {LONGEST:?}, {records} by now").into());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = topic.records().await?;
        if now != records {
            (records, since) = (now, Instant::now());
        }
    }
    Ok(records)
}
