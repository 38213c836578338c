//! Every fault there is, one after the other and two at a time, as a seed has it.

use std::time::{Duration, Instant};

use super::fault::Fault;
use super::setting::Setting;
use super::stage::{NODE_TIMEOUT, Stage};
use super::trial::{Trial, in_settings};
use super::way::Way;

in_settings! {
    Kafka kafka: everything_fails_at_random;
    DirectPostgres postgres: everything_fails_at_random;
    DirectSqlite sqlite: everything_fails_at_random;
}

async fn everything_fails_at_random(setting: Setting) {
    let seed = std::env::var("FAULTS_SEED").ok().map_or_else(|| fastrand::u64(..), |seed| seed.parse().unwrap());
    let mut trial = Trial::of("all of them at random", setting).through_proxies().delivering_everything();
    if setting == Setting::DirectSqlite {
        trial = trial.on_a_small_disk(400);
    }
    trial
        .with("KAFKA_PUBLISH_TIMEOUT", "5s")
        .endure(async |stage| {
            println!("faults at random: FAULTS_SEED={seed}");
            let mut random = fastrand::Rng::with_seed(seed);
            let end = Instant::now() + stage.length.seconds(10, 300);
            while Instant::now() < end {
                endure_some(stage, &mut random).await;
            }
        })
        .await;
}

async fn endure_some(stage: &mut Stage, random: &mut fastrand::Rng) {
    let outages = outages(stage.setting);
    let mut faults = Vec::new();
    if random.u8(0..3) > 0 {
        faults.push(outages[random.usize(0..outages.len())]);
    }
    // After the outage: who is killed during it cannot start before it is over.
    if faults.is_empty() || random.bool() {
        let processes = processes(stage.setting);
        faults.push(processes[random.usize(0..processes.len())]);
    }
    let longest = 2.0 * NODE_TIMEOUT.as_secs_f64();
    let time = Duration::from_secs_f64(0.2 + random.f64() * longest);
    println!("  {faults:?} for {time:.1?}");
    stage.suffers_all(&faults, time).await;
    // Most of the time all is well, so that what has piled up is worked off, and is there for the next fault to hit.
    tokio::time::sleep(time + Duration::from_secs_f64(random.f64() * 5.0)).await;
}

fn outages(setting: Setting) -> Vec<Fault> {
    use Fault::{Cut, DiskFull, KafkaKilled, PostgresKilled, ReceiverGone, Silent, Slow, TopicDeleted};
    let ways = match setting {
        Setting::Kafka => &[Way::Channel, Way::Postgres, Way::Kafka][..],
        Setting::DirectPostgres => &[Way::Channel, Way::Postgres],
        Setting::DirectSqlite => &[Way::Channel],
    };
    let connections = ways.iter().flat_map(|way| [Cut(*way), Slow(*way), Silent(*way)]);
    let servers = match setting {
        Setting::Kafka => &[ReceiverGone, PostgresKilled, KafkaKilled, TopicDeleted][..],
        Setting::DirectPostgres => &[ReceiverGone, PostgresKilled],
        Setting::DirectSqlite => &[ReceiverGone, DiskFull],
    };
    connections.chain(servers.iter().copied()).collect()
}

fn processes(setting: Setting) -> Vec<Fault> {
    use Fault::{ApiFrozen, ApiKilled, WorkerFrozen, WorkerKilled};
    let workers = match setting {
        Setting::Kafka => 0..2,
        Setting::DirectPostgres => 0..1,
        Setting::DirectSqlite => 0..0,
    };
    workers.flat_map(|number| [WorkerKilled(number), WorkerFrozen(number)]).chain([ApiKilled, ApiFrozen]).collect()
}
