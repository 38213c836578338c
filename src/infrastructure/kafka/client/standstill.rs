//! A producer that stands still although Kafka is there.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::connection::Connection;
use crate::application::ports::Clock;

/// How long everything for a partition has to time out, with its leader connected.
const LIMIT: Duration = Duration::from_secs(60);

/// As much of it one publication counts for that timed out, however long it waited: the leader may have been away before.
const MOST_OF_ONE: Duration = Duration::from_secs(30);

/// Why a producer is replaced that stands still, for its line in the log.
pub const STANDSTILL: &str = "nothing got through to a partition for a minute, with its leader connected";

/// Watches what becomes of a producer's publications. librdkafka's can wait for a partition for ever after its leader was away
/// for some seconds (<https://github.com/confluentinc/librdkafka/issues/5430>, seen with 2.12.1).
pub struct StandstillWatch {
    connection: Arc<Connection>,
    clock: Arc<dyn Clock>,
    partitions: Mutex<Partitions>,
    is_found: AtomicBool,
}

impl StandstillWatch {
    /// Of a producer that gives a publication up after `publish_timeout`.
    pub fn new(publish_timeout: Duration, connection: Arc<Connection>, clock: Arc<dyn Clock>) -> Self {
        let partitions = Mutex::new(Partitions::new(publish_timeout));
        Self { connection, clock, partitions, is_found: AtomicBool::new(false) }
    }

    /// Takes in what became of one. The producer calls it back.
    pub fn reported(&self, topic: &str, partition: i32, error: Option<&KafkaError>) {
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        match error.map(KafkaError::rdkafka_error_code) {
            None => partitions.succeeded(topic, partition),
            // A leader that is away is no fault of the producer.
            Some(Some(RDKafkaErrorCode::MessageTimedOut)) if !self.connection.has_leader(topic, partition) => {
                partitions.forget();
            }
            Some(Some(RDKafkaErrorCode::MessageTimedOut)) => {
                if partitions.timed_out(topic, partition, self.clock.monotonic()) {
                    self.is_found.store(true, Ordering::Release);
                }
            }
            Some(_) => {}
        }
    }

    /// Whether the producer stands still, and another one has to take over: said once.
    pub fn take(&self) -> bool {
        self.is_found.load(Ordering::Acquire) && self.is_found.swap(false, Ordering::AcqRel)
    }
}

/// The partitions for which publications time out, none succeeding.
#[derive(Debug)]
struct Partitions {
    publish_timeout: Duration,
    /// Topic, partition, and when the first publication began that timed out, by the monotonic clock.
    since: HashMap<(String, i32), Duration>,
    /// Those that stood still until the producer was replaced. Where its successor gets no further, the cause is another one.
    found: HashSet<(String, i32)>,
}

impl Partitions {
    fn new(publish_timeout: Duration) -> Self {
        let publish_timeout = publish_timeout.min(MOST_OF_ONE);
        Self { publish_timeout, since: HashMap::new(), found: HashSet::new() }
    }

    fn succeeded(&mut self, topic: &str, partition: i32) {
        if self.since.is_empty() && self.found.is_empty() {
            return;
        }
        let partition = (topic.to_owned(), partition);
        self.since.remove(&partition);
        self.found.remove(&partition);
    }

    /// Returns whether this has lasted too long; the watch then begins again.
    fn timed_out(&mut self, topic: &str, partition: i32, now: Duration) -> bool {
        let (partition, begun) = ((topic.to_owned(), partition), now.saturating_sub(self.publish_timeout));
        let since = *self.since.entry(partition.clone()).or_insert(begun);
        let is_too_long = now.saturating_sub(since) >= LIMIT;
        if is_too_long {
            self.since.clear();
        }
        is_too_long && self.found.insert(partition)
    }

    /// A leader is away: what times out says nothing about the producer.
    fn forget(&mut self) {
        self.since.clear();
        self.found.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_minute_of_timeouts_alone_is_a_standstill() {
        let mut partitions = Partitions::new(seconds(30));
        assert!(!partitions.timed_out("send", 1, seconds(100)));
        assert!(!partitions.timed_out("send", 1, seconds(129)));
        partitions.succeeded("send", 0);
        assert!(partitions.timed_out("send", 1, seconds(130)));
        assert!(!partitions.timed_out("send", 1, seconds(131)), "the next producer has its own minute");
    }

    #[test]
    fn a_success_or_an_outage_begins_anew() {
        let mut partitions = Partitions::new(seconds(30));
        assert!(!partitions.timed_out("send", 1, seconds(100)));
        partitions.succeeded("send", 1);
        assert!(!partitions.timed_out("send", 1, seconds(150)));
        partitions.forget();
        assert!(!partitions.timed_out("send", 1, seconds(200)));
        assert!(partitions.timed_out("send", 1, seconds(230)));
    }

    #[test]
    fn a_producer_that_gets_no_further_than_the_one_before_is_not_replaced_again() {
        let mut partitions = Partitions::new(seconds(30));
        let standstills = |partitions: &mut Partitions, from: u64| {
            (from..from + 300).filter(|second| partitions.timed_out("send", 1, seconds(*second))).count()
        };
        assert_eq!(standstills(&mut partitions, 100), 1);
        partitions.succeeded("send", 1);
        assert_eq!(standstills(&mut partitions, 1_000), 1);
        partitions.forget();
        assert_eq!(standstills(&mut partitions, 2_000), 1);
    }

    #[test]
    fn one_publication_that_waited_for_long_is_no_standstill() {
        let mut partitions = Partitions::new(seconds(120));
        assert!(!partitions.timed_out("orders", 0, seconds(500)), "its leader may just have come back");
        assert!(partitions.timed_out("orders", 0, seconds(530)));
    }
}
