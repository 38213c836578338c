use std::process::Command;
use std::time::Duration;

use tokio::time::Instant;

use super::crowd::{Answers, Crowd};
use super::frozen::Frozen;
use crate::Result;
use crate::connection::Connection;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::speed::accepts;
use crate::measurements::turn::Turn;
use crate::requests;
use crate::server::Server;
use crate::setting::Setting;
use crate::tool;

/// Files that a process has open besides its connections with the clients, and more.
const OTHER_FILES: u32 = 300;

/// How long an answer may still take once PostgreSQL goes on.
const REST: Duration = Duration::from_secs(60);

/// The most memory of a process that only accepts, while PostgreSQL stands still and very many clients each have sent a
/// message over a connection of their own; also of what follows when PostgreSQL goes on, until a message is accepted again.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let stage = turn.stage;
    let connections = turn.extent.connections.min(open_files().await?.saturating_sub(OTHER_FILES));
    let mut database = Database::create(stage, turn.build).await?;
    let mut server = Server::start(stage, turn.build, &Setting::kafka(stage, &database.url()), "api").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    accept(&server).await?;
    let end = Instant::now() + Duration::from_secs(turn.extent.frozen_seconds.into());
    let frozen = Frozen::freeze(stage)?;
    let crowd = Crowd::gather(&server.address, connections, &requests::send("webhook", 1), end + REST)?;
    tokio::time::sleep_until(end).await;
    let memory = megabytes(&server)?;
    drop(frozen);
    let answers = crowd.answers().await?;
    say(connections, &answers, memory);
    server.ready().await?;
    accept(&server).await?;
    turn.record(Figure::FrozenMemory, megabytes(&server)?);
    let accepted = answers.by_status.get(&202).copied().unwrap_or_default() as u64 + 2;
    let stored = accepts::settled(&mut database).await?;
    if stored < accepted {
        return Err(format!("{accepted} messages were accepted, and {stored} are stored").into());
    }
    server.stop().await?;
    database.remove(stage).await
}

/// How many files this process may have open, and what it starts: as many as it may let itself have.
async fn open_files() -> Result<u32> {
    let prlimit = || {
        let mut command = Command::new("prlimit");
        command.args(["--pid", &std::process::id().to_string()]);
        command
    };
    let most = tool::answer(prlimit().args(["--nofile", "--noheadings", "--raw", "--output", "HARD"])).await?;
    tool::run(prlimit().arg(format!("--nofile={most}:{most}"))).await?;
    most.parse().map_err(|_| format!("{most} files may be open, says prlimit").into())
}

async fn accept(server: &Server) -> Result<()> {
    let mut connection = Connection::open(&server.address).await?;
    let answer = connection.answer_to(&requests::send("webhook", 2)).await?;
    match answer.status {
        202 => Ok(()),
        status => Err(format!("a message was answered with {status}: {}", answer.text()).into()),
    }
}

fn megabytes(server: &Server) -> Result<f64> {
    Ok(server.peak_memory()? as f64 / 1e6)
}

fn say(connections: u32, answers: &Answers, memory: f64) {
    let Answers { by_status, refused_at_once, unanswered } = answers;
    eprintln!("  {connections} connections: {refused_at_once} were answered 503 within a second, {unanswered} never");
    let by_status: Vec<String> = by_status.iter().map(|(status, count)| format!("{status} {count} times")).collect();
    eprintln!("  all answers: {}; at most {memory:.0} MB before PostgreSQL went on", by_status.join(", "));
}
