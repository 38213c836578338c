use std::time::Duration;

use crate::Result;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::turn::Turn;
use crate::server::Server;
use crate::setting::Setting;
use crate::wrk::Flow;

pub const CONNECTIONS: u32 = 128;

/// Accepting alone: a process that calls no channels, and the broker that takes what it accepts.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, seconds) = (turn.stage, turn.extent.seconds);
    let mut database = Database::create(stage, turn.build).await?;
    let server = Server::start(stage, turn.build, &Setting::kafka(stage, &database.url()), "api").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    let live = format!("http://{}/health/live", server.address);
    let health = stage.wrk.get(&live, CONNECTIONS, seconds).await?;
    turn.record(Figure::Health, health.rate());
    // The first second plans statements and opens connections.
    stage.wrk.send(&server.address, ("webhook", "5585"), CONNECTIONS, 1).await?;
    let before = settled(&mut database).await?;
    let flow = stage.wrk.send(&server.address, ("webhook", "5585"), CONNECTIONS, seconds).await?;
    let stored = settled(&mut database).await? - before;
    is_what_was_answered(stored, &flow)?;
    turn.record(Figure::Accepts, flow.rate());
    server.stop().await?;
    database.remove(stage).await
}

/// How many messages are stored, once those have been whose sender did not wait for the answer.
pub async fn settled(database: &mut Database) -> Result<u64> {
    let mut before = database.messages().await?;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = database.messages().await?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
}

/// # Errors
/// When another number of rows is stored than were answered for. At the end of its time, the generator leaves one request of
/// each connection without waiting for the answer.
pub fn is_what_was_answered(stored: u64, flow: &Flow) -> Result<()> {
    let answered = flow.requests;
    if (answered..=answered + u64::from(CONNECTIONS)).contains(&stored) {
        return Ok(());
    }
    Err(format!("{answered} messages were accepted, and {stored} are stored").into())
}
