//! What a process costs the database while there is nothing to do, with few weeks and with many.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::Utc;
use correio::application::ports::{DueMessages, Take};
use correio::domain::node::NodeId;
use correio::infrastructure::storage::postgres::{PgDatabase, PgDueMessages};
use uuid::Uuid;

use super::large_table;
use crate::Result;
use crate::database::Database;
use crate::figures::{FEW_WEEKS, Figure, MANY_WEEKS};
use crate::measurements::turn::Turn;
use crate::server::Server;
use crate::setting::Setting;
use crate::statistics::{milliseconds, percentile};

/// Pause between two looks here: long enough for each to ask for some of the older weeks, too.
const PAUSE: Duration = Duration::from_millis(260);

/// After its start: statements are planned, and what a start does once is done.
const SETTLED: Duration = Duration::from_secs(5);

pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    for (weeks, ended) in [(FEW_WEEKS, 0), (MANY_WEEKS, turn.extent.ended)] {
        let mut database = Database::create(turn.stage, turn.build).await?;
        large_table::make_past_weeks(&mut database, weeks - large_table::MADE).await?;
        let server = Server::start(turn.stage, turn.build, &Setting::kafka(turn.stage, &database.url()), "all").await?;
        if ended > 0 {
            let node = database.text("select id::text from messaging_nodes").await?;
            large_table::end(&mut database, ended, &node).await?;
        }
        tokio::time::sleep(SETTLED).await;
        let share = processor(turn, &mut database).await?;
        turn.record(Figure::IdleProcessor(weeks), share * 100.0);
        let look = look(turn, &database).await?;
        turn.record(Figure::Look(weeks), milliseconds(look));
        server.stop().await?;
        database.remove(turn.stage).await?;
    }
    Ok(())
}

/// The median of a relay's looks, beside the node to which everything belonged.
async fn look(turn: &Turn<'_>, database: &Database) -> Result<Duration> {
    let pool = PgDatabase::connect_with(database.options().clone()).await?;
    let due = PgDueMessages::new(pool.clone());
    let mut times = Vec::new();
    let end = Instant::now() + Duration::from_secs(turn.extent.seconds.into());
    // The first one plans everything.
    while times.len() < 2 || Instant::now() < end {
        let take = nothing();
        let begin = Instant::now();
        if !due.take(&take).await?.is_empty() {
            return Err("something was due".into());
        }
        times.push(begin.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    pool.close().await;
    percentile(&mut times[1..], 0.5).ok_or_else(|| "the relay never looked".into())
}

/// A look as a process in Kafka mode makes it: what nodes that live have published is not asked for.
pub fn nothing() -> Take {
    Take {
        node: NodeId(Uuid::new_v4()),
        gone: Vec::new(),
        succeeded: Vec::new(),
        departed: Vec::new(),
        unconsumed: false,
        lost_before: None,
        held: Vec::new(),
        with_content: true,
        limit: 64,
        full: Vec::new(),
        limit_of_full: 0,
        now: Utc::now(),
    }
}

/// The share of a core that PostgreSQL needs for the one process that there is.
async fn processor(turn: &Turn<'_>, database: &mut Database) -> Result<f64> {
    let (before, begin) = (backends(database).await?, Instant::now());
    tokio::time::sleep(Duration::from_secs(turn.extent.seconds.into())).await;
    let (after, time) = (backends(database).await?, begin.elapsed());
    let spent = after.iter().map(|(pid, worked)| worked.saturating_sub(before.get(pid).copied().unwrap_or_default()));
    Ok(spent.sum::<Duration>().as_secs_f64() / time.as_secs_f64())
}

/// The server's processes that work for Correio, and how long each has worked.
async fn backends(database: &mut Database) -> Result<BTreeMap<String, Duration>> {
    let pids = database
        .text(
            "select coalesce(string_agg(pid::text, ' '), '')
               from pg_stat_activity
              where datname = current_database()
                and application_name = 'correio'",
        )
        .await?;
    let worked = |pid: &str| -> Result<Duration> {
        // One that has ended meanwhile has worked no longer.
        let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
        Ok(Duration::from_nanos(text.split_whitespace().next().unwrap_or("0").parse()?))
    };
    pids.split_whitespace().map(|pid| Ok((pid.to_owned(), worked(pid)?))).collect()
}
