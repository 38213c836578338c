use std::time::Duration;

use super::filters::{Filter, filters};
use super::long_history;
use super::searchers::{Searchers, Tally, at_once};
use crate::Result;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::speed::flood::{self, Flood, at_full_speed, first_message};
use crate::measurements::turn::Turn;
use crate::server::Server;
use crate::statistics::milliseconds;

/// How often each is asked, at the most.
const ROUNDS: u32 = 3;

/// What took longer once is not asked again: it is known.
const HOPELESS: Duration = Duration::from_secs(10);

/// The slowest first page of `GET /messages`, of all filters, when twenty clients ask the same at the same time; then full
/// speed end to end with that history, and once more while they ask for everything in turn without a pause.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let stage = turn.stage;
    let mut database = Database::create(stage, turn.build).await?;
    let setting = flood::setting(stage, &database);
    let server = Server::start(stage, turn.build, &setting, "all").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    server.stop().await?;
    eprintln!("  a history of {} messages", turn.extent.rows);
    long_history::fill(&mut database, turn.extent.rows).await?;
    let server = Server::start(stage, turn.build, &setting, "all").await?;
    long_history::counted(&mut database).await?;
    let filters = filters(long_history::has_cancelled(&mut database).await?);
    search(turn, &server, &filters).await?;
    send(turn, &server, &mut database, &filters).await?;
    server.stop().await?;
    database.remove(stage).await
}

async fn search(turn: &mut Turn<'_>, server: &Server, filters: &[Filter]) -> Result<()> {
    let mut all = Tally::default();
    for filter in filters {
        let mut tally = Tally::default();
        for _ in 0..ROUNDS.min(turn.extent.runs) {
            tally.add(&at_once(&server.address, turn.extent.searchers, filter).await?);
            if tally.slowest > HOPELESS {
                break;
            }
        }
        say(&filter.query, &tally);
        all.add(&tally);
    }
    turn.record(Figure::SlowestSearch, milliseconds(all.slowest));
    turn.record(Figure::RefusedSearches, all.refused as f64);
    Ok(())
}

async fn send(turn: &mut Turn<'_>, server: &Server, database: &mut Database, filters: &[Filter]) -> Result<()> {
    first_message(server, database).await?;
    let alone = at_full_speed(turn, server, database).await?;
    is_all_that_was_accepted(&alone)?;
    turn.record(Figure::FloodBesideNone, alone.rate());
    let searchers = Searchers::begin(&server.address, turn.extent.searchers, filters);
    let beside = at_full_speed(turn, server, database).await;
    say("beside messages at full speed", &searchers.end().await?);
    let beside = beside?;
    is_all_that_was_accepted(&beside)?;
    turn.record(Figure::FloodBesideSearches, beside.rate());
    Ok(())
}

/// A build that refuses messages beside searches is slow, and has lost none.
fn is_all_that_was_accepted(flood: &Flood) -> Result<()> {
    let (failed, accepted) = (flood.flow.failed(), flood.flow.requests.saturating_sub(flood.flow.failed()));
    if failed > 0 {
        eprintln!("  {failed} messages were refused");
    }
    if flood.sent < accepted {
        return Err(format!("{accepted} messages were accepted, and {} are sent", flood.sent).into());
    }
    Ok(())
}

fn say(what: &str, tally: &Tally) {
    let Tally { searches, refused, slowest } = tally;
    eprintln!("  {what}: the slowest {:.1} ms, {refused} of {searches} refused", milliseconds(*slowest));
}
