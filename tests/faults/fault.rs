//! What can befall a stage. Every fault begins and ends, so that stories compose them.

use std::time::Duration;

use chrono::Utc;

use super::stage::Stage;
use super::way::Way;
use crate::support::proxy::Weather;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    WorkerKilled(usize),
    ApiKilled,
    WorkerFrozen(usize),
    ApiFrozen,
    PostgresKilled,
    KafkaKilled,
    TopicDeleted,
    ReceiverGone,
    DiskFull,
    /// Every connection is closed, and new ones at once.
    Cut(Way),
    Slow(Way),
    /// Nothing comes through any more, and nobody says so.
    Silent(Way),
}

/// Either way, of every piece: a database in another city.
const DELAY: Duration = Duration::from_millis(10);

impl Fault {
    pub fn what(self) -> String {
        match self {
            Fault::WorkerKilled(_) => "worker killed".to_owned(),
            Fault::ApiKilled => "API killed".to_owned(),
            Fault::WorkerFrozen(_) => "worker frozen".to_owned(),
            Fault::ApiFrozen => "API frozen".to_owned(),
            Fault::PostgresKilled => "PostgreSQL killed".to_owned(),
            Fault::KafkaKilled => "Kafka killed".to_owned(),
            Fault::TopicDeleted => "topic deleted".to_owned(),
            Fault::ReceiverGone => "receiver gone".to_owned(),
            Fault::DiskFull => "disk full".to_owned(),
            Fault::Cut(way) => format!("{} cut", way.to_whom()),
            Fault::Slow(way) => format!("{} slow", way.to_whom()),
            Fault::Silent(way) => format!("{} silent", way.to_whom()),
        }
    }

    pub async fn begin(self, stage: &mut Stage) {
        match self {
            Fault::WorkerKilled(number) => stage.workers[number].kill9(),
            Fault::ApiKilled => stage.api.kill9(),
            Fault::WorkerFrozen(number) => stage.workers[number].freeze(),
            Fault::ApiFrozen => stage.api.process.freeze(),
            Fault::PostgresKilled => stage.servers.postgres().kill(),
            Fault::KafkaKilled => stage.servers.kafka().kill(),
            Fault::TopicDeleted => stage.api.installation.topic("messaging.send").delete().await,
            Fault::ReceiverGone => stage.receiver.go_away(),
            Fault::DiskFull => stage.disk().fill(),
            Fault::Cut(way) => stage.proxy(way).turn(Weather::Cut),
            Fault::Slow(way) => stage.proxy(way).turn(Weather::Slow(DELAY)),
            Fault::Silent(way) => stage.proxy(way).turn(Weather::Silent),
        }
    }

    pub async fn end(self, stage: &mut Stage) {
        match self {
            Fault::WorkerKilled(number) => stage.workers[number].restart().await,
            Fault::ApiKilled => stage.api.restart().await,
            Fault::WorkerFrozen(number) => stage.workers[number].thaw(),
            Fault::ApiFrozen => stage.api.process.thaw(),
            Fault::PostgresKilled => stage.servers.postgres().restart().await,
            Fault::KafkaKilled => stage.servers.kafka().restart().await,
            // The program makes it again.
            Fault::TopicDeleted => {}
            Fault::ReceiverGone => stage.receiver.come_back().await,
            Fault::DiskFull => stage.disk().empty(),
            Fault::Cut(way) | Fault::Slow(way) | Fault::Silent(way) => stage.proxy(way).turn(Weather::Fine),
        }
    }
}

impl Stage {
    /// Lets this befall it for so long, and everything else go on meanwhile.
    pub async fn suffers(&mut self, fault: Fault, time: Duration) {
        self.suffers_all(&[fault], time).await;
    }

    /// At the same time. They end in this order: servers have to come before the processes that start on them.
    pub async fn suffers_all(&mut self, faults: &[Fault], time: Duration) {
        let mut begun = Vec::new();
        for fault in faults {
            begun.push(Utc::now());
            fault.begin(self).await;
        }
        tokio::time::sleep(time).await;
        for (fault, from) in faults.iter().zip(begun) {
            fault.end(self).await;
            self.disturbances.note(fault.what(), from);
        }
    }
}
