use std::time::{Duration, Instant};

use chrono::Utc;

use super::accepts;
use crate::Result;
use crate::connection::Connection;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::turn::Turn;
use crate::requests;
use crate::server::Server;
use crate::setting::Setting;
use crate::stage::Stage;
use crate::wrk::Flow;

const CONNECTIONS: u32 = 64;

/// How long none may end before something is wrong. Longer than anything that is waited for in good order: a node that
/// is gone, a publication that failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One instance may have all of the workers: with its default share of a quarter, statements carry a quarter of the
/// messages.
pub fn setting(stage: &Stage, database: &Database) -> Setting {
    Setting::kafka(stage, &database.url()).with("INSTANCE_CONCURRENCY", "64")
}

/// Everything at once, at full speed: accepted, published, consumed, claimed, called and recorded by one process. Once
/// more with what one instance may have when nothing is set.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    of(turn, setting, Figure::Flood).await?;
    of(turn, |stage, database| Setting::kafka(stage, &database.url()), Figure::FloodOfShare).await
}

async fn of(turn: &mut Turn<'_>, setting: fn(&Stage, &Database) -> Setting, figure: Figure) -> Result<()> {
    let stage = turn.stage;
    let mut database = Database::create(stage, turn.build).await?;
    let server = Server::start(stage, turn.build, &setting(stage, &database), "all").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    first_message(&server, &mut database).await?;
    let flood = at_full_speed(turn, &server, &mut database).await?;
    accepts::is_what_was_answered(flood.sent, &flood.flow.succeeded(&server.address)?)?;
    turn.record(figure, flood.rate());
    server.stop().await?;
    database.remove(stage).await
}

pub struct Flood {
    /// What the generator was answered.
    pub flow: Flow,
    /// Messages; as many as were accepted.
    pub sent: u64,
    /// Until the last of them was sent.
    took: Duration,
}

impl Flood {
    /// Messages a second.
    pub fn rate(&self) -> f64 {
        self.sent as f64 / self.took.as_secs_f64()
    }
}

/// Returns when all that was accepted is sent; what was open before may still be open.
///
/// # Errors
/// When a message is not sent.
pub async fn at_full_speed(turn: &Turn<'_>, server: &Server, database: &mut Database) -> Result<Flood> {
    let (wrk, seconds, rest) = (&turn.stage.wrk, turn.extent.flood_seconds, database.open().await?);
    let (begin, since) = (Instant::now(), Utc::now());
    let flow = wrk.try_to_send(&server.address, ("webhook", "5585"), CONNECTIONS, seconds).await?;
    database.ended_but(rest, PATIENCE).await?;
    let took = begin.elapsed();
    Ok(Flood { flow, sent: database.all_sent_since(since).await?, took })
}

/// Sends one, and waits until it is delivered: the consumer has joined its group then.
pub async fn first_message(server: &Server, database: &mut Database) -> Result<()> {
    let rest = database.open().await?;
    let mut connection = Connection::open(&server.address).await?;
    let answer = connection.answer_to(&requests::send("webhook", 0)).await?;
    if answer.status != 202 {
        return Err(format!("the first message was refused: {}", answer.text()).into());
    }
    database.ended_but(rest, PATIENCE).await
}
