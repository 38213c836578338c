//! What a transaction costs that somebody holds open, as a dump of the database does for as long as it takes.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use correio::infrastructure::storage::postgres::{PgDatabase, PgDueMessages};
use sqlx::{Connection, PgConnection};

use crate::Result;
use crate::database::{Database, first_id};
use crate::figures::{Aspect, Figure};
use crate::measurements::history::soak::look;
use crate::measurements::speed::flood::{PATIENCE, first_message, setting};
use crate::measurements::turn::Turn;
use crate::open_loop::OpenLoop;
use crate::requests;
use crate::server::Server;
use crate::statistics::{median, milliseconds, percentile};

const CONNECTIONS: usize = 32;

/// As what each aspect of a phase is recorded.
type Recorded = fn(Aspect) -> Figure;

/// The run is not about how late an answer may be.
const LATEST: Duration = Duration::from_secs(30);

/// Pause between two samples of the relay's look.
const PAUSE: Duration = Duration::from_secs(2);

/// Sees the database as it is now for as long as it is open: no version of a row that somebody changes from now on may be
/// removed. Its read of the messages holds their weeks, too.
const OPEN: &str = "
    begin isolation level repeatable read read only;
    select from messaging_messages limit 1;
    select from messaging_nodes limit 1";

/// How long accepting takes, sending, and the relay's look, at a steady rate: when the transaction was just opened, at its end,
/// and from a minute after that on.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, extent) = (turn.stage, turn.extent);
    let mut database = Database::create(stage, turn.build).await?;
    let pool = PgDatabase::connect_with(database.options().clone()).await?;
    let server = Server::start(stage, turn.build, &setting(stage, &database), "all").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    first_message(&server, &mut database).await?;
    let run = Run { rate: extent.open_rate, server: &server, due: PgDueMessages::new(pool.clone()) };
    // As long as the least of what is measured: everything is planned, and in the caches.
    let window = (extent.open_seconds / 3).clamp(1, extent.open_window_seconds);
    let before = run.phase(window).await?;
    let mut open = PgConnection::connect_with(database.options()).await?;
    sqlx::raw_sql(OPEN).execute(&mut open).await?;
    let opened = run.phase(window).await?;
    run.phase((extent.open_seconds - 2 * window).max(1)).await?;
    let held = run.phase(window).await?;
    sqlx::raw_sql("commit").execute(&mut open).await?;
    open.close().await?;
    run.phase(extent.open_rest_seconds).await?;
    let after = run.phase(window).await?;
    database.ended(PATIENCE).await?;
    database.all_sent().await?;
    let phases: [(&str, Phase, Option<Recorded>); 4] = [
        ("before the transaction", before, None),
        ("just opened", opened, Some(Figure::JustOpened)),
        ("at its end", held, Some(Figure::LongOpen)),
        ("a minute later", after, Some(Figure::MinuteAfter)),
    ];
    for (name, phase, figure) in phases {
        let sent = sent_p99(&mut database, &phase).await?;
        eprintln!("  {name}: {phase}, accepted to sent p99 {sent:.1} ms");
        for (aspect, value) in [(Aspect::Accept, phase.accept), (Aspect::Sent, sent), (Aspect::Look, phase.look)] {
            figure.into_iter().for_each(|figure| turn.record(figure(aspect), value));
        }
    }
    server.stop().await?;
    pool.close().await;
    database.remove(stage).await
}

/// Milliseconds from when a message of this phase was accepted until it was sent.
async fn sent_p99(database: &mut Database, phase: &Phase) -> Result<f64> {
    let microseconds = format!(
        "select (1000000 * percentile_cont(0.99) within group (order by extract(epoch from sent_at - created_at)))::bigint
           from messaging_messages
          where id >= '{}'
            and id < '{}'",
        first_id(phase.begin),
        first_id(phase.end)
    );
    Ok(database.number(microseconds).await? as f64 / 1_000.0)
}

struct Run<'a> {
    rate: f64,
    server: &'a Server,
    due: PgDueMessages,
}

struct Phase {
    begin: DateTime<Utc>,
    end: DateTime<Utc>,
    /// Milliseconds: the p99 of accepts, and the median of the relay's looks.
    accept: f64,
    look: f64,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accept, look, .. } = self;
        write!(formatter, "accept p99 {accept:.2} ms, the relay's look {look:.2} ms")
    }
}

impl Run<'_> {
    async fn phase(&self, seconds: u32) -> Result<Phase> {
        let begin = Utc::now();
        let load = OpenLoop {
            address: self.server.address.clone(),
            rate: self.rate,
            seconds,
            connections: CONNECTIONS,
            requests: (1..=1_000).map(|recipient| requests::send("webhook", recipient)).collect(),
            status: 202,
            latest: LATEST,
        };
        let running = load.run();
        let mut running = std::pin::pin!(running);
        let (mut looks, mut next) = (Vec::new(), tokio::time::interval(PAUSE));
        let mut load = loop {
            tokio::select! {
                load = &mut running => break load?,
                _ = next.tick() => looks.push(look(&self.due).await?),
            }
        };
        let accept = percentile(&mut load.times, 0.99).map(milliseconds).ok_or("nothing was accepted")?;
        Ok(Phase { begin, end: Utc::now(), accept, look: median(&looks) })
    }
}
