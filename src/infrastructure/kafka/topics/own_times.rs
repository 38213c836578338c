//! The times that Correio gives clients' records, and what they have instead where Kafka refuses them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::application::ports::Clock;
use crate::domain::topic::RecordTime;
use crate::infrastructure::kafka::client::{NO_TIME, RecordTimes, Troubles};

/// What arrived so long ago (milliseconds) may be too old for its topic.
const WAITED: i64 = 5 * 60 * 1_000;

/// A topic takes no time that is far from its broker's clock. A client's own time is refused then; one of ours gives way to the time
/// of the publication, and that to none, for a while for all records of the topic. One topic's settings are no other's.
pub struct OwnTimes {
    clock: Arc<dyn Clock>,
    troubles: Arc<Troubles>,
    /// By topic; those that take them are not there.
    refusing: Mutex<HashMap<String, RecordTimes>>,
}

impl OwnTimes {
    pub fn new(clock: Arc<dyn Clock>, troubles: Arc<Troubles>) -> Self {
        Self { clock, troubles, refusing: Mutex::default() }
    }

    /// The time that a record is published with, in milliseconds since 1970. None: librdkafka takes the moment.
    pub fn of(&self, topic: &str, time: RecordTime) -> Option<i64> {
        let own = match time {
            RecordTime::Given(millis) => return Some(millis),
            RecordTime::Arrived(millis) => Some(millis),
            RecordTime::Published => None,
        };
        let is_refused = self.refusing().get(topic).is_some_and(RecordTimes::is_refused);
        if is_refused { Some(NO_TIME) } else { own }
    }

    /// Kafka has taken a record that was published with this.
    pub fn taken(&self, topic: &str, time: RecordTime, published: Option<i64>) {
        let mut refusing = self.refusing();
        let is_over = |times: &RecordTimes| times.taken(self.millis(published));
        if !matches!(time, RecordTime::Given(_)) && refusing.get(topic).is_some_and(is_over) {
            refusing.remove(topic);
        }
    }

    /// Kafka has refused the time of a record that travelled alone. Returns what it is published with instead. None: it is refused.
    pub fn instead(&self, topic: &str, time: RecordTime, refused: Option<i64>) -> Option<i64> {
        if matches!(time, RecordTime::Given(_)) || refused == Some(NO_TIME) {
            return None;
        }
        let (now, refused) = (self.clock.now().timestamp_millis(), self.millis(refused));
        if now.saturating_sub(refused) > WAITED {
            return Some(now);
        }
        let times = || {
            let consequence = format!(
                "records of the topic {topic} whose clients give no time are published, and stored, without one"
            );
            RecordTimes::new(self.clock.clone(), self.troubles.clone(), consequence)
        };
        self.refusing().entry(topic.to_owned()).or_insert_with(times).refused(refused);
        Some(NO_TIME)
    }

    fn millis(&self, published: Option<i64>) -> i64 {
        published.unwrap_or_else(|| self.clock.now().timestamp_millis())
    }

    fn refusing(&self) -> MutexGuard<'_, HashMap<String, RecordTimes>> {
        self.refusing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::set_clock::SetClock;

    const NOW: i64 = 1_800_000_000_000;

    #[test]
    fn a_refused_time_of_ours_costs_one_look_a_minute_and_one_topic_its_times() {
        let clock = Arc::new(SetClock::at(NOW.unsigned_abs() / 1_000));
        let troubles = Arc::new(Troubles::new(clock.clone()));
        let times = OwnTimes::new(clock.clone(), troubles.clone());
        let arrived = RecordTime::Arrived(NOW);
        assert_eq!((times.of("a", arrived), times.of("a", RecordTime::Published)), (Some(NOW), None));
        assert_eq!(times.instead("a", arrived, Some(NOW)), Some(NO_TIME));
        times.taken("a", arrived, Some(NO_TIME));
        assert_eq!((times.of("a", arrived), times.of("a", RecordTime::Published)), (Some(NO_TIME), Some(NO_TIME)));
        assert_eq!(times.instead("a", arrived, Some(NO_TIME)), None);
        assert_eq!((times.of("b", arrived), times.of("a", RecordTime::Given(7))), (Some(NOW), Some(7)));
        clock.pass(Duration::from_secs(60));
        assert!(troubles.sentences()[0].contains("records of the topic a"), "{:?}", troubles.sentences());
        assert_eq!(times.of("a", RecordTime::Published), None, "it is tried again");
        times.taken("a", RecordTime::Given(7), Some(7));
        assert!(!troubles.sentences().is_empty(), "a client's time says nothing");
        times.taken("a", RecordTime::Published, None);
        assert!(troubles.sentences().is_empty() && times.refusing().is_empty());
    }

    #[test]
    fn a_clients_time_stands_and_one_that_has_waited_gives_way_to_the_moment() {
        let clock = Arc::new(SetClock::at(NOW.unsigned_abs() / 1_000));
        let times = OwnTimes::new(clock.clone(), Arc::new(Troubles::new(clock)));
        for given in [0, NOW, NOW + 1_000_000_000] {
            assert_eq!(times.instead("a", RecordTime::Given(given), Some(given)), None);
        }
        let waited = NOW - WAITED - 1;
        assert_eq!(times.instead("a", RecordTime::Arrived(waited), Some(waited)), Some(NOW));
        assert_eq!(times.of("a", RecordTime::Published), None, "that says nothing of the clocks");
    }
}
