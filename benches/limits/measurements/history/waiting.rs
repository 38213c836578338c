use std::time::{Duration, Instant};

use crate::Result;
use crate::database::Database;
use crate::figures::Figure;
use crate::measurements::speed::accepts::{self, CONNECTIONS};
use crate::measurements::speed::flood::PATIENCE;
use crate::measurements::turn::Turn;
use crate::server::Server;
use crate::setting::Setting;

/// Memory and start with many messages waiting: accepted in Kafka mode while nobody consumed them.
pub async fn measure(turn: &mut Turn<'_>) -> Result<()> {
    let stage = turn.stage;
    let mut database = Database::create(stage, turn.build).await?;
    let setting = Setting::kafka(stage, &database.url());
    let api = Server::start(stage, turn.build, &setting, "api").await?;
    api.create_instance("webhook", &turn.receiver()).await?;
    accept(turn, turn.extent.waiting, &api, &mut database).await?;
    turn.record(Figure::ApiMemory, megabytes(api.peak_memory()?));
    api.stop().await?;

    for run in 0..turn.extent.runs {
        // A group of its own: one that has to wait for the members of the last start would wait for its own sake. It takes
        // as little as it can of what waits.
        let setting = setting.clone().with("KAFKA_GROUP_ID", format!("start-{run}")).with("WORKER_CONCURRENCY", "1");
        let mut server = Server::spawn(stage, turn.build, &setting, "all")?;
        let took = server.ready().await?;
        turn.round = run;
        turn.record(Figure::Start, took.as_secs_f64());
        server.stop().await?;
    }

    turn.round = 0;
    let open = database.open().await?;
    let worker = Server::start(stage, turn.build, &setting, "worker").await?;
    let begin = Instant::now();
    database.ended(PATIENCE).await?;
    turn.record(Figure::Drain, open as f64 / begin.elapsed().as_secs_f64());
    turn.record(Figure::WorkerMemory, megabytes(worker.peak_memory()?));
    database.all_sent().await?;
    worker.stop().await?;
    database.remove(stage).await
}

/// Until so many wait.
pub async fn accept(turn: &Turn<'_>, messages: u32, api: &Server, database: &mut Database) -> Result<()> {
    let (mut seconds, mut answered) = (1, 0);
    loop {
        let flow = turn.stage.wrk.send(&api.address, ("webhook", "5585"), CONNECTIONS, seconds).await?;
        answered += flow.requests;
        let missing = u64::from(messages).saturating_sub(answered);
        if missing == 0 {
            break;
        }
        // Not for long at once: the machine may be faster then than it was now.
        seconds = (missing as f64 / flow.rate()).ceil().clamp(1.0, 20.0) as u32;
    }
    let stored = accepts::settled(database).await?;
    if stored < answered {
        return Err(format!("{answered} messages were accepted, and {stored} are stored").into());
    }
    // Published, too: until then they wait in the process, and not in Kafka.
    tokio::time::sleep(Duration::from_secs(1)).await;
    Ok(())
}

pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
