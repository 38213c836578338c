use std::time::{Duration, Instant};

use super::flood::{PATIENCE, first_message, setting};
use crate::Result;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::turn::Turn;
use crate::open_loop::OpenLoop;
use crate::requests;
use crate::server::Server;
use crate::statistics::mean;

/// At the most as many requests wait for their answer.
const CONNECTIONS: usize = 128;

/// After the load, what is still on its way may take so long.
const REST: Duration = Duration::from_secs(5);

/// A request is begun no later than this: what was accepted later than it was due is no steady rate.
const LATEST: Duration = Duration::from_secs(1);

/// A backlog of so many seconds' messages is not worked off any more: why go on.
const HOPELESS_SECONDS: f64 = 10.0;

/// The highest of the rates at which messages go all their way as fast as they come; 0 when none is.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let full_speed = turn.this_round(Figure::Flood).ok_or("it is not known how fast messages go at full speed")?;
    for share in turn.extent.sustained.clone() {
        let rate = share * full_speed;
        let is_sustained = is_sustained(turn, rate).await?;
        eprintln!("  {share} of full speed, {rate:.0} a second: {}sustained", if is_sustained { "" } else { "not " });
        if is_sustained {
            turn.record(Figure::Sustained, rate);
            return Ok(());
        }
    }
    turn.record(Figure::Sustained, 0.0);
    Ok(())
}

async fn is_sustained(turn: &Turn<'_>, rate: f64) -> Result<bool> {
    let (stage, seconds) = (turn.stage, turn.extent.sustained_seconds);
    let mut database = Database::create(stage, turn.build).await?;
    let server = Server::start(stage, turn.build, &setting(stage, &database), "all").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    first_message(&server, &mut database).await?;
    let load = OpenLoop {
        address: server.address.clone(),
        rate,
        seconds,
        connections: CONNECTIONS,
        requests: (1..=1_000).map(|recipient| requests::send("webhook", recipient)).collect(),
        status: 202,
        latest: LATEST,
    };
    let running = load.run();
    let mut running = std::pin::pin!(running);
    let (mut backlogs, mut second) = (Vec::new(), tokio::time::interval(Duration::from_secs(1)));
    let load = loop {
        tokio::select! {
            load = &mut running => break Some(load?).filter(|load| load.kept_up),
            _ = second.tick() => backlogs.push(database.open().await? as f64),
        }
        if backlogs.last().is_some_and(|backlog| *backlog > HOPELESS_SECONDS * rate) {
            break None;
        }
    };
    // Gone, with all that it has not sent: the answer is known.
    let Some(load) = load else {
        drop(server);
        database.remove(stage).await?;
        return Ok(false);
    };
    let stopped = Instant::now();
    database.ended(PATIENCE).await?;
    let soon = stopped.elapsed() < REST;
    let (accepted, sent) = (load.times.len() as u64, database.all_sent().await? - 1);
    if sent != accepted {
        return Err(format!("{accepted} messages were accepted, and {sent} are sent").into());
    }
    server.stop().await?;
    database.remove(stage).await?;
    Ok(soon && is_steady(&backlogs, rate))
}

/// Whether the backlog of the last sixth is that of the second one. Half as much again, and what comes within a second, is
/// chance.
fn is_steady(backlogs: &[f64], rate: f64) -> bool {
    let sixth = backlogs.len() / 6;
    if sixth == 0 {
        return true;
    }
    let (early, late) = (mean(&backlogs[sixth..2 * sixth]), mean(&backlogs[backlogs.len() - sixth..]));
    late <= early * 1.5 + rate
}
