//! Processes that are killed, and processes that stand still.

use std::time::Duration;

use super::fault::Fault;
use super::setting::Setting;
use super::stage::NODE_TIMEOUT;
use super::trial::{Trial, in_settings};

in_settings! {
    Kafka kafka: workers_are_killed, the_api_is_killed_all_the_time, a_worker_freezes_and_wakes_up;
    DirectPostgres postgres: the_api_is_killed_all_the_time, the_api_freezes_and_wakes_up;
    DirectSqlite sqlite: the_api_is_killed_all_the_time, the_api_freezes_and_wakes_up;
}

async fn workers_are_killed(setting: Setting) {
    let trial = Trial::of("`kill -9` of a worker, again and again", setting);
    trial
        .endure(async |stage| {
            for number in 0..stage.length.choose(3, 10) {
                stage.suffers(Fault::WorkerKilled(number % 2), Duration::from_millis(500)).await;
                tokio::time::sleep(stage.length.seconds(1, 4)).await;
            }
        })
        .await;
}

async fn the_api_is_killed_all_the_time(setting: Setting) {
    let trial = Trial::of("`kill -9` of the API every 2 s", setting);
    trial
        .endure(async |stage| {
            for _ in 0..stage.length.choose(3, 30) {
                stage.suffers(Fault::ApiKilled, Duration::ZERO).await;
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        })
        .await;
}

async fn a_worker_freezes_and_wakes_up(setting: Setting) {
    let trial = Trial::of("`SIGSTOP` of a worker for twice `NODE_TIMEOUT`", setting);
    trial.endure(async |stage| stage.suffers(Fault::WorkerFrozen(0), 2 * NODE_TIMEOUT).await).await;
}

async fn the_api_freezes_and_wakes_up(setting: Setting) {
    let trial = Trial::of("`SIGSTOP` of the API for twice `NODE_TIMEOUT`", setting);
    trial.endure(async |stage| stage.suffers(Fault::ApiFrozen, 2 * NODE_TIMEOUT).await).await;
}
