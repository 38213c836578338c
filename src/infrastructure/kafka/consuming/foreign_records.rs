//! Records of another installation, which uses our topic and our group.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::application::ports::Clock;
use crate::domain::message::MessageId;
use crate::infrastructure::kafka::client::{About, Troubles};

/// How long a record is remembered.
const RECENT: Duration = Duration::from_secs(10 * 60);

/// So many messages are no accident.
const ENOUGH: usize = 3;

/// No more are counted.
const MOST: usize = 1_000;

/// A message that is older may have been deleted since it was published, by retention or by hand.
const YOUNG: Duration = Duration::from_secs(60 * 60);

/// Counts the messages that records name and the database does not have. Each is set aside, and lost to the installation that
/// published it for as long as this process reads its partition.
pub struct ForeignRecords {
    topic: String,
    clock: Arc<dyn Clock>,
    troubles: Arc<Troubles>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    messages: HashSet<MessageId>,
    /// On the monotonic clock, the oldest first.
    order: VecDeque<(Duration, MessageId)>,
}

impl ForeignRecords {
    pub fn new(topic: String, clock: Arc<dyn Clock>, troubles: Arc<Troubles>) -> Self {
        Self { topic, clock, troubles, seen: Mutex::default() }
    }

    /// A record named this message, and there is none.
    pub fn found(&self, message: MessageId) {
        if !self.is_young(message) {
            return;
        }
        let now = self.clock.monotonic();
        let count = self.seen.lock().unwrap_or_else(PoisonError::into_inner).count(message, now);
        if count >= ENOUGH {
            let count = if count < MOST { count.to_string() } else { format!("{MOST} or more") };
            let sentence = format!(
                "records of messages that this database does not have: {count} in the last ten minutes, in the topic {}. Another \
                 installation uses this topic, or the database was restored from a backup; two installations that share a Kafka \
                 take each other's records: give each its KAFKA_TOPIC_PREFIX and KAFKA_GROUP_ID",
                self.topic
            );
            self.troubles.found(About::ForeignRecords, sentence);
        }
    }

    fn is_young(&self, message: MessageId) -> bool {
        let Some(time) = message.0.get_timestamp() else { return false };
        let (seconds, _) = time.to_unix();
        let now = self.clock.now().timestamp();
        i64::try_from(seconds).is_ok_and(|seconds| now.abs_diff(seconds) < YOUNG.as_secs())
    }
}

impl Seen {
    fn count(&mut self, message: MessageId, now: Duration) -> usize {
        let is_old = |(at, _): &(Duration, MessageId)| now.saturating_sub(*at) > RECENT;
        while self.order.len() >= MOST || self.order.front().is_some_and(is_old) {
            if let Some((_, old)) = self.order.pop_front() {
                self.messages.remove(&old);
            }
        }
        if self.messages.insert(message) {
            self.order.push_back((now, message));
        }
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use uuid::{NoContext, Timestamp as UuidTime, Uuid};

    use super::*;
    use crate::set_clock::SetClock;

    fn message(second: u64) -> MessageId {
        MessageId(Uuid::new_v7(UuidTime::from_unix(NoContext, second, 0)))
    }

    fn records() -> (Arc<SetClock>, Arc<Troubles>, ForeignRecords) {
        let clock = Arc::new(SetClock::at(10_000));
        let troubles = Arc::new(Troubles::new(clock.clone()));
        let records = ForeignRecords::new("messaging.send".to_owned(), clock.clone(), troubles.clone());
        (clock, troubles, records)
    }

    /// What has lasted for long enough to be said.
    fn said(clock: &SetClock, troubles: &Troubles) -> Vec<String> {
        clock.pass(Duration::from_secs(10));
        troubles.sentences()
    }

    #[test]
    fn some_young_messages_that_are_nowhere_are_said_until_there_were_none_for_ten_minutes() {
        let (clock, troubles, records) = records();
        for _ in 0..4 {
            records.found(message(10_000));
        }
        let sentences = said(&clock, &troubles);
        assert!(sentences[0].contains("does not have: 4 in the last ten minutes, in the topic messaging.send."));
        assert!(sentences[0].contains("KAFKA_TOPIC_PREFIX and KAFKA_GROUP_ID"), "{sentences:?}");
        clock.set(10_600);
        troubles.forget_old_or_unless(|_| true);
        assert_eq!(troubles.sentences().len(), 1);
        clock.set(10_601);
        troubles.forget_old_or_unless(|_| true);
        assert_eq!(troubles.sentences(), [""; 0]);
    }

    #[test]
    fn one_message_again_and_again_few_in_a_long_time_and_old_ones_are_not_said() {
        let (clock, troubles, records) = records();
        let one = message(10_000);
        for _ in 0..20 {
            records.found(one);
            records.found(message(6_000));
            records.found(MessageId(Uuid::new_v4()));
        }
        assert_eq!(said(&clock, &troubles), [""; 0]);
        for half in 0..10 {
            let second = 20_000 + half * 301;
            clock.set(second);
            records.found(message(second));
            troubles.forget_old_or_unless(|_| true);
        }
        let count = records.seen.lock().unwrap().order.len();
        assert!(count < ENOUGH && said(&clock, &troubles).is_empty(), "{count}");
    }

    #[test]
    fn no_more_are_remembered_than_are_counted() {
        let (clock, troubles, records) = records();
        for _ in 0..2 * MOST {
            records.found(message(10_000));
        }
        assert!(said(&clock, &troubles)[0].contains("does not have: 1000 or more in"));
        let seen = records.seen.lock().unwrap();
        assert_eq!((seen.order.len(), seen.messages.len()), (MOST, MOST));
    }
}
