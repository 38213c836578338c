//! What a caller's consumer holds, and what its group does to that.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;

use super::waiting::Waiting;
use crate::application::ports::TopicPartition;
use crate::infrastructure::kafka::client::QuietEvents;

/// What outlives the consumer.
#[derive(Default)]
pub struct Shared {
    state: Mutex<State>,
    /// It is to end: what it is doing ends soon.
    pub is_closing: AtomicBool,
}

#[derive(Default)]
pub struct State {
    /// Read, and not given out: it was too much for the last answer, or there was none.
    pub waiting: Waiting,
    /// The offset behind what was given out.
    pub given: BTreeMap<TopicPartition, i64>,
}

impl Shared {
    pub fn new(waiting: Waiting) -> Self {
        Self { state: Mutex::new(State { waiting, given: BTreeMap::new() }), is_closing: AtomicBool::new(false) }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what belongs to another member from now on: committed by this one, it would take that one back.
pub struct ReaderEvents {
    pub quiet: QuietEvents,
    pub shared: Arc<Shared>,
}

impl ClientContext for ReaderEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.quiet.log(level, facility, line);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.quiet.error(error, reason);
    }
}

impl ConsumerContext for ReaderEvents {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            let mut state = self.shared.state();
            let is_revoked =
                |place: &TopicPartition| partitions.find_partition(&place.topic, place.partition).is_some();
            state.given.retain(|place, _| !is_revoked(place));
            state.waiting.keep(|record| !is_revoked(&record.place));
        }
    }
}
