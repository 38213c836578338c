use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::node_watch::{NodeWatch, Sighting};
use crate::application::Stop;
use crate::application::ports::{Clock, NodeRepository, RepositoryError};
use crate::application::service::Repeated;

/// Watches the nodes, for all in this process that has to know which are gone. Apart from those: one look that comes too
/// late starts the watch again, so it waits for none of their statements.
pub struct WatchNodes {
    nodes: Arc<dyn NodeRepository>,
    clock: Arc<dyn Clock>,
    watch: NodeWatch,
    timeout: Duration,
    sightings: Sightings,
}

/// Longest pause between two looks.
const INTERVAL: Duration = Duration::from_millis(500);

impl WatchNodes {
    pub fn new(nodes: Arc<dyn NodeRepository>, clock: Arc<dyn Clock>, sightings: Sightings) -> Self {
        let timeout = sightings.timeout;
        Self { nodes, clock, watch: NodeWatch::new(timeout), timeout, sightings }
    }
}

#[async_trait]
impl Repeated for WatchNodes {
    fn name(&self) -> &'static str {
        "node watch"
    }

    fn purpose(&self) -> &'static str {
        "read which nodes are alive"
    }

    /// A watch that looks too seldom for its timeout finds no node gone.
    fn interval(&self) -> Duration {
        INTERVAL.min(self.timeout / 5)
    }

    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        let looked = self.watch.look(self.nodes.as_ref(), self.clock.as_ref()).await;
        let (seen, failure) = looked.map_or_else(|error| (None, Err(error)), |sighting| (Some(sighting), Ok(())));
        self.sightings.put(seen);
        failure
    }
}

/// What the watch of this process has seen. Copies share it.
///
/// A sighting is used after it was made. What it says of a node that is gone, or has left, holds for ever: no process uses
/// such a name again. What it says of the others may have changed, as it may between any look and any statement after it.
#[derive(Clone)]
pub struct Sightings {
    clock: Arc<dyn Clock>,
    timeout: Duration,
    last: Arc<Mutex<Option<Seen>>>,
}

struct Seen {
    at: Duration,
    sighting: Arc<Sighting>,
}

impl Sightings {
    /// Nodes are watched with this timeout.
    pub fn new(clock: Arc<dyn Clock>, timeout: Duration) -> Self {
        Self { clock, timeout, last: Arc::default() }
    }

    /// The last one. None before the first, while the database does not answer, and after a freeze.
    pub fn last(&self) -> Option<Arc<Sighting>> {
        let now = self.clock.monotonic();
        let last = self.lock();
        let seen = last.as_ref().filter(|seen| now.saturating_sub(seen.at) <= self.timeout / 2);
        seen.map(|seen| seen.sighting.clone())
    }

    fn put(&self, sighting: Option<Sighting>) {
        let at = self.clock.monotonic();
        *self.lock() = sighting.map(|sighting| Seen { at, sighting: Arc::new(sighting) });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Seen>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::domain::Timestamp;

    #[derive(Default)]
    struct Time(AtomicU64);

    #[async_trait]
    impl Clock for Time {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::SeqCst))
        }

        async fn sleep(&self, _: Duration) {}
    }

    #[test]
    fn a_sighting_is_shown_until_a_look_fails_or_half_the_timeout_has_passed() {
        let time = Arc::new(Time::default());
        let sightings = Sightings::new(time.clone(), Duration::from_secs(10));
        let is_shown = || sightings.clone().last().is_some();
        assert!(!is_shown());
        sightings.put(Some(Sighting::default()));
        assert!(is_shown());
        sightings.put(None);
        assert!(!is_shown());
        sightings.put(Some(Sighting::default()));
        for (second, shown) in [(5, true), (6, false)] {
            time.0.store(second, Ordering::SeqCst);
            assert_eq!(is_shown(), shown, "after {second} s");
        }
    }
}
