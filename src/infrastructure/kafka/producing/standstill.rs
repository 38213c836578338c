//! A producer that stands still although Kafka is there.

use std::collections::HashMap;
use std::time::Duration;

/// How long everything for a partition has to time out, with its leader connected.
const LIMIT: Duration = Duration::from_secs(60);

/// The partitions for which publications time out, none succeeding. librdkafka's producer can wait for one for ever after its
/// leader was away for some seconds (<https://github.com/confluentinc/librdkafka/issues/5430>, seen with 2.12.1).
#[derive(Debug)]
pub struct Standstill {
    publish_timeout: Duration,
    /// Topic, partition, and when the first publication began that timed out, by the monotonic clock.
    since: HashMap<(String, i32), Duration>,
}

impl Standstill {
    pub fn new(publish_timeout: Duration) -> Self {
        Self { publish_timeout, since: HashMap::new() }
    }

    pub fn succeeded(&mut self, topic: &str, partition: i32) {
        if !self.since.is_empty() {
            self.since.remove(&(topic.to_owned(), partition));
        }
    }

    /// Returns whether this has lasted too long; the watch then begins again.
    pub fn timed_out(&mut self, topic: &str, partition: i32, now: Duration) -> bool {
        let begun = now.saturating_sub(self.publish_timeout);
        let since = *self.since.entry((topic.to_owned(), partition)).or_insert(begun);
        let is_too_long = now.saturating_sub(since) >= LIMIT;
        if is_too_long {
            self.since.clear();
        }
        is_too_long
    }

    /// A leader is away: what times out says nothing about the producer.
    pub fn forget(&mut self) {
        self.since.clear();
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
        let mut standstill = Standstill::new(seconds(30));
        assert!(!standstill.timed_out("send", 1, seconds(100)));
        assert!(!standstill.timed_out("send", 1, seconds(129)));
        standstill.succeeded("send", 0);
        assert!(standstill.timed_out("send", 1, seconds(130)));
        assert!(!standstill.timed_out("send", 1, seconds(131)), "the next producer has its own minute");
    }

    #[test]
    fn a_success_or_an_outage_begins_anew() {
        let mut standstill = Standstill::new(seconds(30));
        assert!(!standstill.timed_out("send", 1, seconds(100)));
        standstill.succeeded("send", 1);
        assert!(!standstill.timed_out("send", 1, seconds(150)));
        standstill.forget();
        assert!(!standstill.timed_out("send", 1, seconds(200)));
        assert!(standstill.timed_out("send", 1, seconds(230)));
    }
}
