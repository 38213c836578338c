//! What is wrong with Kafka and lasts, for operators.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use crate::application::ports::Clock;

/// What passes sooner is not worth a line: a broker that is restarted, a rebalance.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause between two lines about the same.
const AGAIN: Duration = Duration::from_secs(60);

/// How long a record that is not ours may be the last.
const SELDOM: Duration = Duration::from_secs(10 * 60);

/// What a trouble is about. There is at most one for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// A broker's address, `host:port`.
    Address(String),
    /// This process's place in the consumer group.
    Membership,
    /// What is known of how far the group has come.
    Progress,
    /// Partitions that are not read yet.
    AddedPartitions,
    /// The times that records carry.
    Clock,
    /// Records of messages that the database does not have.
    ForeignRecords,
    /// A topic that the broker takes no records for.
    Publishing(String),
}

/// Keeps what is wrong until it is over: each is in the log once it has lasted for ten seconds, again every minute, and when
/// it has ended.
pub struct Troubles {
    clock: Arc<dyn Clock>,
    known: Mutex<BTreeMap<About, Trouble>>,
}

struct Trouble {
    sentence: String,
    /// On the monotonic clock, like the others.
    since: Duration,
    found_at: Duration,
    said_at: Option<Duration>,
}

impl Troubles {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Mutex::default() }
    }

    /// Something is wrong, still or again.
    pub fn found(&self, about: About, sentence: impl Into<String>) {
        let now = self.clock.monotonic();
        let mut known = self.known();
        let trouble = known.entry(about).or_insert_with(|| Trouble {
            sentence: String::new(),
            since: now,
            found_at: now,
            said_at: None,
        });
        trouble.sentence = sentence.into();
        trouble.found_at = now;
        trouble.say(now);
    }

    /// It is not wrong any more.
    pub fn over(&self, about: &About) {
        if let Some(trouble) = self.known().remove(about)
            && trouble.said_at.is_some()
        {
            info!(target: "kafka", trouble = trouble.sentence, "this is over");
        }
    }

    /// Ends what is about addresses that are not wanted any more, and about addresses, clocks and publishing what was not found
    /// again for two minutes: what is not needed is not tried again, and then nothing is wrong. Records that are not ours may
    /// come seldom: those are over after ten.
    pub fn forget_old_or_unless(&self, is_wanted: impl Fn(&str) -> bool) {
        let now = self.clock.monotonic();
        let ended: Vec<About> = self
            .known()
            .iter()
            .filter(|(about, trouble)| match about {
                About::Address(address) => !is_wanted(address) || trouble.is_old(now),
                // A process that publishes nothing any more learns nothing more.
                About::Clock | About::Publishing(_) => trouble.is_old(now),
                About::ForeignRecords => now.saturating_sub(trouble.found_at) > SELDOM,
                _ => false,
            })
            .map(|(about, _)| about.clone())
            .collect();
        for about in ended {
            self.over(&about);
        }
    }

    /// Says again what lasts.
    pub fn repeat(&self) {
        let now = self.clock.monotonic();
        for trouble in self.known().values_mut() {
            trouble.say(now);
        }
    }

    /// A sentence each, of what has lasted for ten seconds.
    pub fn sentences(&self) -> Vec<String> {
        let now = self.clock.monotonic();
        let known = self.known();
        known.values().filter(|trouble| trouble.lasts(now)).map(|trouble| trouble.sentence.clone()).collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<About, Trouble>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trouble {
    fn is_old(&self, now: Duration) -> bool {
        now.saturating_sub(self.found_at) > 2 * AGAIN
    }

    fn lasts(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= PATIENCE
    }

    fn say(&mut self, now: Duration) {
        let is_due = self.said_at.is_none_or(|said_at| now.saturating_sub(said_at) >= AGAIN);
        if self.lasts(now) && is_due {
            let seconds = now.saturating_sub(self.since).as_secs();
            warn!(target: "kafka", seconds, "{}", self.sentence);
            self.said_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::log_lines::written;
    use crate::set_clock::SetClock;

    fn address() -> About {
        About::Address("kafka-1:9092".to_owned())
    }

    #[test]
    fn what_lasts_is_said_after_ten_seconds_then_every_minute_and_when_it_is_over() {
        let clock = Arc::new(SetClock::default());
        let troubles = Troubles::new(clock.clone());
        let lines = written(|| {
            for second in 0..=130 {
                clock.set(second);
                if second == 0 {
                    troubles.found(address(), "no way to kafka-1");
                }
                troubles.repeat();
                assert_eq!(troubles.sentences().len(), usize::from(second >= 10), "{second}");
            }
            troubles.over(&address());
        });
        let said: Vec<_> = lines.iter().filter(|line| line.contains("no way to kafka-1")).collect();
        assert_eq!(said.len(), 4, "{lines:#?}");
        assert!(said[3].contains("this is over"), "{}", said[3]);
        assert_eq!(troubles.sentences(), [""; 0]);
    }

    #[test]
    fn what_passes_sooner_is_not_said() {
        let clock = Arc::new(SetClock::default());
        let troubles = Troubles::new(clock.clone());
        let lines = written(|| {
            troubles.found(address(), "no way to kafka-1");
            clock.set(9);
            troubles.repeat();
            troubles.over(&address());
        });
        assert_eq!(lines, [""; 0]);
    }

    #[test]
    fn an_address_that_is_not_tried_any_more_is_forgotten() {
        let clock = Arc::new(SetClock::default());
        let troubles = Troubles::new(clock.clone());
        troubles.found(address(), "no way to kafka-1");
        troubles.found(About::Membership, "not let in");
        clock.set(120);
        troubles.forget_old_or_unless(|_| true);
        assert_eq!(troubles.sentences(), ["no way to kafka-1", "not let in"]);
        clock.set(121);
        troubles.forget_old_or_unless(|_| true);
        assert_eq!(troubles.sentences(), ["not let in"]);
        troubles.found(address(), "no way to kafka-1");
        troubles.forget_old_or_unless(|_| false);
        clock.set(200);
        assert_eq!(troubles.sentences(), ["not let in"]);
    }
}
