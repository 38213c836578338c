use std::time::{Duration, Instant};

use crate::Result;
use crate::connection::Connection;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::turn::Turn;
use crate::pgbench;
use crate::requests;
use crate::server::Server;
use crate::setting::Setting;
use crate::statistics::{median, milliseconds, percentile};

/// Commits that a message in direct mode waits for: that it was accepted, and how it ended.
const COMMITS: f64 = 2.0;

/// What a caller who waits pays for going through us, beyond the call itself and the two commits that keep the promise.
///
/// The three times are a fraction of what a disk or a busy processor adds for a moment: so they are taken in turns, a second
/// each, and compared within each turn.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, turns) = (turn.stage, turn.extent.seconds.div_ceil(2));
    let mut database = Database::create(stage, turn.build).await?;
    let server = Server::start(stage, turn.build, &Setting::direct(&database.url()), "all").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    let (mut commits, mut calls, mut sends, mut added) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..turns {
        let commit = milliseconds(pgbench::commit_time(stage, &mut database, 1).await?);
        let called = median_time(&stage.nginx.address, &requests::call_of_a_webhook()).await?;
        let sent = median_time(&server.address, &requests::send("webhook", 1)).await?;
        added.push(sent - called - COMMITS * commit);
        commits.push(commit);
        calls.push(called);
        sends.push(sent);
    }
    database.all_sent().await?;
    turn.record(Figure::Commit, median(&commits));
    turn.record(Figure::ReceiverMedian, median(&calls));
    turn.record(Figure::DirectMedian, median(&sends));
    turn.record(Figure::DirectAdds, median(&added));
    server.stop().await?;
    database.remove(stage).await
}

/// In milliseconds, of one request after the other on one connection, for a second.
async fn median_time(address: &str, request: &[u8]) -> Result<f64> {
    let mut connection = Connection::open(address).await?;
    // The first ones plan statements and open connections.
    for _ in 0..20 {
        connection.status_of(request).await?;
    }
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < Duration::from_secs(1) {
        let sent = Instant::now();
        let status = connection.status_of(request).await?;
        times.push(sent.elapsed());
        if status != 200 {
            return Err(format!("{address} answered {status}").into());
        }
    }
    Ok(milliseconds(percentile(&mut times, 0.5).ok_or("nothing was answered")?))
}
