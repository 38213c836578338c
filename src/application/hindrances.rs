//! What keeps the work of this process from going on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::warn;

use super::ports::Clock;

/// What passes sooner is not said: a database that is restarted, a lock that is held for a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause between two lines about the same.
const AGAIN: Duration = Duration::from_secs(60);

/// Keeps what does not go on until it does: each is in the log once it has lasted for ten seconds, and again every minute. Clones
/// share it.
#[derive(Clone)]
pub struct Hindrances {
    clock: Arc<dyn Clock>,
    /// By what cannot be done: the end of a sentence that begins with "cannot".
    known: Arc<Mutex<BTreeMap<&'static str, Hindrance>>>,
}

struct Hindrance {
    cause: String,
    /// By the monotonic clock, like the other.
    since: Duration,
    said_at: Option<Duration>,
}

impl Hindrances {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, known: Arc::default() }
    }

    /// Something cannot be done, still or again.
    pub fn found(&self, purpose: &'static str, cause: String) {
        let now = self.clock.monotonic();
        let mut known = self.known();
        let hindrance =
            known.entry(purpose).or_insert_with(|| Hindrance { cause: String::new(), since: now, said_at: None });
        hindrance.cause = cause;
        let is_due = hindrance.said_at.is_none_or(|said_at| now.saturating_sub(said_at) >= AGAIN);
        if hindrance.lasts(now) && is_due {
            warn!(cause = hindrance.cause, seconds = hindrance.seconds(now), "still cannot {purpose}");
            hindrance.said_at = Some(now);
        }
    }

    /// It can be done. Returns whether the log has said that it cannot.
    pub fn over(&self, purpose: &'static str) -> bool {
        self.known().remove(purpose).is_some_and(|hindrance| hindrance.said_at.is_some())
    }

    /// A sentence each, of what has lasted for ten seconds. The cause is for the log alone: callers without credentials read these.
    pub fn sentences(&self) -> Vec<String> {
        let now = self.clock.monotonic();
        let known = self.known();
        let lasting = known.iter().filter(|(_, hindrance)| hindrance.lasts(now));
        lasting
            .map(|(purpose, hindrance)| {
                format!("for {} s this process could not {purpose}; the log says why", hindrance.seconds(now))
            })
            .collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<&'static str, Hindrance>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hindrance {
    fn lasts(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) >= PATIENCE
    }

    fn seconds(&self, now: Duration) -> u64 {
        now.saturating_sub(self.since).as_secs()
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::log_lines::written;
    use crate::set_clock::SetClock;

    #[test]
    fn what_lasts_is_said_after_ten_seconds_and_then_every_minute() {
        let clock = Arc::new(SetClock::default());
        let hindrances = Hindrances::new(clock.clone());
        let lines = written(|| {
            for second in 0..=75 {
                clock.set(second);
                hindrances.found("publish events", format!("no answer in second {second}"));
                let expected = format!("for {second} s this process could not publish events; the log says why");
                let said = if second < 10 { vec![] } else { vec![expected] };
                assert_eq!(hindrances.sentences(), said);
            }
            assert!(hindrances.over("publish events"), "the log has to say this, too");
        });
        let [first, again] = &lines[..] else { panic!("{lines:#?}") };
        assert!(first.contains("WARN") && first.contains("second 10"), "{first}");
        assert!(again.contains("still cannot publish events") && again.contains("second 70"), "{again}");
        assert_eq!(hindrances.sentences(), [""; 0]);
    }

    #[test]
    fn what_passes_sooner_is_not_said() {
        let clock = Arc::new(SetClock::default());
        let hindrances = Hindrances::new(clock.clone());
        let lines = written(|| {
            hindrances.found("publish events", "no answer".to_owned());
            clock.set(9);
            assert!(!hindrances.over("publish events"));
            clock.set(15);
            hindrances.found("publish events", "no answer".to_owned());
        });
        assert_eq!((lines, hindrances.sentences()), (vec![], vec![]));
    }
}
