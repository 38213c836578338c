use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::accepts::{self, CONNECTIONS};
use crate::Result;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::turn::Turn;
use crate::server::Server;
use crate::setting::Setting;

/// Recipients of the sandbox that take half a minute.
const SLOW: &str = "slow-30000ms-";

/// Accepting alone, as far as one process can that has to do everything: it publishes to the real Kafka, and delivers one
/// message at a time to a recipient that does not answer.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, seconds) = (turn.stage, turn.extent.seconds);
    let mut database = Database::create(stage, turn.build).await?;
    let setting = Setting::kafka(stage, &database.url()).with("WORKER_CONCURRENCY", "1");
    let server = start(turn, &setting).await?;
    let before = accepts::settled(&mut database).await?;
    let flow = stage.wrk.send(&server.address, ("sandbox", SLOW), CONNECTIONS, seconds).await?;
    accepts::is_what_was_answered(accepts::settled(&mut database).await? - before, &flow)?;
    turn.record(Figure::PostgresAccepts, flow.rate());
    drop(server);
    database.remove(stage).await?;

    let setting = Setting::sqlite(stage).with("WORKER_CONCURRENCY", "1");
    let server = start(turn, &setting).await?;
    let file = setting.directory(stage)?.join("data/correio.db");
    let before = stored(&file).await?;
    let flow = stage.wrk.send(&server.address, ("sandbox", SLOW), CONNECTIONS, seconds).await?;
    accepts::is_what_was_answered(stored(&file).await? - before, &flow)?;
    turn.record(Figure::SqliteAccepts, flow.rate());
    drop(server);
    Ok(std::fs::remove_dir_all(setting.directory(stage)?)?)
}

async fn start(turn: &Turn<'_>, setting: &Setting) -> Result<Server> {
    let server = Server::start(turn.stage, turn.build, setting, "all").await?;
    server.create_instance("sandbox", "anywhere").await?;
    turn.stage.wrk.send(&server.address, ("sandbox", SLOW), CONNECTIONS, 1).await?;
    Ok(server)
}

/// How many messages are in the file, once all are.
async fn stored(file: &std::path::Path) -> Result<u64> {
    tokio::time::sleep(Duration::from_millis(500)).await;
    let options = SqliteConnectOptions::new().filename(file).read_only(true).disable_statement_logging();
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let count: i64 = sqlx::query_scalar("select count(*) from messaging_messages").fetch_one(&mut connection).await?;
    connection.close().await?;
    Ok(count.unsigned_abs())
}
