//! A long run at a steady rate through weeks that take minutes.

use std::fmt;
use std::time::{Duration, Instant};

use chrono::Utc;
use correio::application::ports::{DueMessages, Storage, Take};
use correio::domain::Timestamp;
use correio::infrastructure::storage::postgres::{PgDatabase, PgDueMessages, PgStorage};

use super::idle::nothing;
use super::short_weeks::ShortWeeks;
use super::waiting::megabytes;
use crate::Result;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::speed::flood::{PATIENCE, first_message, setting};
use crate::measurements::turn::Turn;
use crate::open_loop::OpenLoop;
use crate::requests;
use crate::server::Server;
use crate::statistics::{median, milliseconds};

/// Weeks that a message is kept. One more is being filled, and one is over and waits for its turn.
const KEPT: u32 = 3;

/// Weeks of a run.
const WEEKS: u32 = 30;

/// Weeks that lie ahead, as many all the time: the program makes as many of its own.
const AHEAD: u32 = 10;

/// How often everything is looked at in a week.
const SAMPLES: u32 = 2;

/// Looks of one sample.
const LOOKS: usize = 5;

const CONNECTIONS: usize = 128;

/// The run is not about how late an answer may be.
const LATEST: Duration = Duration::from_secs(30);

/// Whether memory, tables and the relay's look stay as they are, while messages come at a steady rate and weeks are dropped.
/// The program makes weeks of seven days and keeps them for a day at least: so the weeks of this run are made here, and its own
/// way of dropping them is called from here. The medians of the second sixth are compared with those of the last.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, seconds) = (turn.stage, turn.extent.soak_seconds);
    let week = Duration::from_secs(seconds.into()) / WEEKS;
    let mut database = Database::create(stage, turn.build).await?;
    let mut weeks = ShortWeeks::begin(&mut database, week, AHEAD).await?;
    let pool = PgDatabase::connect_with(database.options().clone()).await?;
    let storage = PgStorage::new(pool.clone());
    storage.overhaul(Utc::now()).await?;
    let server = Server::start(stage, turn.build, &setting(stage, &database), "all").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    first_message(&server, &mut database).await?;
    let load = OpenLoop {
        address: server.address.clone(),
        rate: turn.extent.soak_rate,
        seconds,
        connections: CONNECTIONS,
        requests: (1..=1_000).map(|recipient| requests::send("webhook", recipient)).collect(),
        status: 202,
        latest: LATEST,
    };
    let due = PgDueMessages::new(pool.clone());
    let mut samples = Vec::new();
    let accepted = {
        let running = load.run();
        let mut running = std::pin::pin!(running);
        let mut next = tokio::time::interval(week / SAMPLES);
        loop {
            tokio::select! {
                load = &mut running => break load?.times.len() as u64,
                _ = next.tick() => {
                    weeks.go_on(&mut database, AHEAD).await?;
                    while storage.delete_history(week * KEPT, Utc::now()).await? {}
                    let sample = Sample::take(&server, &mut database, &due).await?;
                    eprintln!("  {sample}");
                    samples.push(sample);
                }
            }
        }
    };
    database.ended(PATIENCE).await?;
    let kept = database.all_sent().await?;
    eprintln!("  {accepted} messages were accepted, {kept} are still there");
    if kept >= accepted {
        return Err("no week was dropped".into());
    }
    record(turn, &samples);
    server.stop().await?;
    pool.close().await;
    database.remove(stage).await
}

fn record(turn: &mut Turn<'_>, samples: &[Sample]) {
    let sixth = (samples.len() / 6).max(1);
    let (early, late) = (&samples[sixth..(2 * sixth).max(sixth + 1)], &samples[samples.len() - sixth..]);
    let mut compare = |what: fn(&Sample) -> f64, before, after| {
        let of = |samples: &[Sample]| median(&samples.iter().map(what).collect::<Vec<_>>());
        turn.record(before, of(early));
        turn.record(after, of(late));
    };
    compare(|sample| sample.memory, Figure::EarlyMemory, Figure::LateMemory);
    compare(|sample| sample.tables, Figure::EarlyTables, Figure::LateTables);
    compare(|sample| sample.look, Figure::EarlyLook, Figure::LateLook);
}

struct Sample {
    /// Megabytes of the program.
    memory: f64,
    /// Megabytes of all tables and their indexes.
    tables: f64,
    /// Milliseconds.
    look: f64,
    weeks: i64,
}

impl Sample {
    async fn take(server: &Server, database: &mut Database, due: &PgDueMessages) -> Result<Self> {
        let bytes = database.number(
            "select sum(pg_total_relation_size(oid))::bigint
               from pg_class
              where relkind = 'r'
                and relname like 'messaging\\_%'",
        );
        let tables = megabytes(bytes.await?.unsigned_abs());
        let weeks = database.number(
            "select count(*)
               from pg_inherits
              where inhparent = 'messaging_messages'::regclass",
        );
        Ok(Self { memory: megabytes(server.memory()?), tables, look: look(due).await?, weeks: weeks.await? })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory, tables, look, weeks } = self;
        write!(formatter, "{memory:.1} MB of memory, {tables:.1} MB of tables, a look in {look:.2} ms, {weeks} weeks")
    }
}

/// The median of some looks that find nothing, because none of the running node's messages is due for another one.
pub async fn look(due: &PgDueMessages) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..LOOKS {
        let take = Take { unconsumed: false, now: Timestamp::UNIX_EPOCH, ..nothing() };
        let begin = Instant::now();
        if !due.take(&take).await?.is_empty() {
            return Err("something was due".into());
        }
        times.push(milliseconds(begin.elapsed()));
    }
    Ok(median(&times))
}
