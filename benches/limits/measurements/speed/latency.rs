use std::time::Duration;

use super::accepts::{self, CONNECTIONS};
use crate::Result;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::turn::Turn;
use crate::open_loop::OpenLoop;
use crate::requests;
use crate::server::Server;
use crate::setting::Setting;
use crate::statistics::{milliseconds, percentile};

/// A second, at the most.
const HIGHEST_RATE: f64 = 5_000.0;

/// A request that waits for so long says enough: its time counts from when it was due.
const LATEST: Duration = Duration::from_secs(5);

/// How long accepting takes when the server has room: at half of what it can accept, whatever it has to wait for.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, seconds) = (turn.stage, turn.extent.seconds);
    let mut database = Database::create(stage, turn.build).await?;
    let server = Server::start(stage, turn.build, &Setting::kafka(stage, &database.url()), "api").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    let warm_up = stage.wrk.send(&server.address, ("webhook", "5585"), CONNECTIONS, 2).await?;
    let maximum = turn.this_round(Figure::Accepts).unwrap_or_else(|| warm_up.rate());
    let rate = (maximum / 2.0).min(HIGHEST_RATE);
    // What the generator and the machine take of it: the same load on a receiver that does nothing.
    let mut idle = load(&stage.nginx.address, rate, seconds, vec![requests::call_of_a_webhook()], 200).await?;
    let before = accepts::settled(&mut database).await?;
    let messages = (1..=1_000).map(|recipient| requests::send("webhook", recipient)).collect();
    let mut times = load(&server.address, rate, seconds, messages, 202).await?;
    let stored = accepts::settled(&mut database).await? - before;
    if stored != times.len() as u64 {
        return Err(format!("{} messages were accepted, and {stored} are stored", times.len()).into());
    }
    turn.record(Figure::OpenLoop, rate);
    turn.record(Figure::ReceiverP99, at(&mut idle, 0.99)?);
    turn.record(Figure::AcceptMedian, at(&mut times, 0.5)?);
    turn.record(Figure::AcceptP99, at(&mut times, 0.99)?);
    server.stop().await?;
    database.remove(stage).await
}

async fn load(address: &str, rate: f64, seconds: u32, requests: Vec<Vec<u8>>, status: u16) -> Result<Vec<Duration>> {
    let connections = CONNECTIONS as usize;
    let load = OpenLoop { address: address.to_owned(), rate, seconds, connections, requests, status, latest: LATEST }
        .run()
        .await?;
    // The times of those that were sent say nothing of the others.
    if load.kept_up { Ok(load.times) } else { Err(format!("{rate:.0} requests a second were too many").into()) }
}

/// In milliseconds.
fn at(times: &mut [Duration], share: f64) -> Result<f64> {
    Ok(milliseconds(percentile(times, share).ok_or("nothing was answered")?))
}
