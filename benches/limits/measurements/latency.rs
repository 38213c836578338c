use super::Turn;
use super::accepts::{self, CONNECTIONS};
use crate::Result;
use crate::database::Database;
use crate::figures::Figure;
use crate::open_loop::OpenLoop;
use crate::requests;
use crate::server::Server;
use crate::setting::Setting;
use crate::statistics::{milliseconds, percentile};

/// A second, at the most.
const HIGHEST_RATE: f64 = 5_000.0;

/// How long accepting takes when the server has room: at half of what it can accept, whatever it has to wait for.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let (stage, seconds) = (turn.stage, turn.extent.seconds);
    let mut database = Database::create(stage, turn.build).await?;
    let server = Server::start(stage, turn.build, &Setting::kafka(stage, &database), "api").await?;
    server.create_instance("webhook", &turn.receiver()).await?;
    let warm_up = stage.wrk.send(&server.address, ("webhook", "5585"), CONNECTIONS, 2).await?;
    let maximum = turn.last(Figure::Accepts).unwrap_or_else(|| warm_up.rate());
    let before = accepts::settled(&mut database).await?;
    let load = OpenLoop {
        address: server.address.clone(),
        rate: (maximum / 2.0).min(HIGHEST_RATE),
        seconds,
        connections: CONNECTIONS as usize,
        requests: (1..=1_000).map(|recipient| requests::send("webhook", recipient)).collect(),
        status: 202,
    };
    let mut times = load.run().await?.times;
    let stored = accepts::settled(&mut database).await? - before;
    if stored != times.len() as u64 {
        return Err(format!("{} messages were accepted, and {stored} are stored", times.len()).into());
    }
    for (figure, share) in [(Figure::AcceptMedian, 0.5), (Figure::AcceptP99, 0.99)] {
        let time = percentile(&mut times, share).ok_or("no message was accepted")?;
        turn.record(figure, milliseconds(time));
    }
    server.stop().await?;
    database.remove(stage).await
}
