//! How a process works in the background: services, and the one way in which they report failures.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{Either, select};
use tracing::{info, warn};

use super::Stop;
use super::hindrances::Hindrances;
use super::ports::{Clock, RepositoryError};

/// Work that a process does from its start to its stop. [`Gateway::services`](super::gateway::Gateway::services) lists
/// all but the heartbeat, which [`Gateway::live`](super::gateway::Gateway::live) starts before them and stops after them.
#[async_trait]
pub trait Service: Send {
    /// A noun, for the log and for tests: `relay`.
    fn name(&self) -> &'static str;

    /// Returns once `stop` has resolved and what was begun is at its end.
    async fn run(self: Box<Self>, stop: Stop);
}

/// Work that is done again and again, a round at a time.
#[async_trait]
pub trait Repeated: Send + Sync {
    /// See [`Service::name`].
    fn name(&self) -> &'static str;

    /// What cannot be done while rounds fail: the end of a sentence that begins with "cannot".
    fn purpose(&self) -> &'static str;

    /// Pause between two rounds.
    fn interval(&self) -> Duration;

    /// Pause after a round that failed.
    fn interval_after_failure(&self) -> Duration {
        self.interval()
    }

    /// # Errors
    /// When the database does not answer. The next round tries again.
    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError>;

    /// What keeps it from going on although its rounds succeed.
    fn hindrance(&self) -> Option<String> {
        None
    }

    /// Resolves when the next round is wanted before the pause is over.
    async fn is_wanted(&mut self) {
        std::future::pending().await
    }
}

/// Repeated work as a service: it warns once when rounds begin to fail, and says once that they work again.
pub struct Repeating<R> {
    work: R,
    clock: Arc<dyn Clock>,
    hindrances: Hindrances,
}

impl<R: Repeated> Repeating<R> {
    pub fn new(work: R, clock: Arc<dyn Clock>) -> Self {
        let hindrances = Hindrances::new(clock.clone());
        Self { work, clock, hindrances }
    }

    /// What keeps it from going on is kept there.
    #[must_use]
    pub fn telling(self, hindrances: &Hindrances) -> Self {
        Self { hindrances: hindrances.clone(), ..self }
    }
}

#[async_trait]
impl<R: Repeated> Service for Repeating<R> {
    fn name(&self) -> &'static str {
        self.work.name()
    }

    async fn run(self: Box<Self>, stop: Stop) {
        let Self { mut work, clock, hindrances } = *self;
        let (service, purpose) = (work.name(), work.purpose());
        let mut is_failing = false;
        loop {
            let failure = work.round(&stop).await.err();
            if let Some(error) = failure.as_ref().filter(|_| !is_failing) {
                warn!(service, %error, "cannot {purpose}; tried again until it works");
            }
            match failure.as_ref().map(RepositoryError::to_string).or_else(|| work.hindrance()) {
                Some(cause) => hindrances.found(purpose, cause),
                None if hindrances.over(purpose) || is_failing => info!(service, "can {purpose} again"),
                None => {}
            }
            is_failing = failure.is_some();
            let interval = if is_failing { work.interval_after_failure() } else { work.interval() };
            let next = select(clock.sleep(interval), work.is_wanted());
            if let Either::Left(_) = select(stop.clone(), next).await {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::FutureExt;
    use futures::channel::oneshot;

    use super::*;
    use crate::domain::Timestamp;
    use crate::log_lines::written;

    /// A clock without pauses.
    struct NoTime;

    #[async_trait]
    impl Clock for NoTime {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }

        async fn sleep(&self, _: Duration) {}
    }

    /// A clock whose pauses take no time. Seconds.
    #[derive(Default)]
    struct Hasty(AtomicU64);

    #[async_trait]
    impl Clock for Hasty {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }

        async fn sleep(&self, duration: Duration) {
            self.0.fetch_add(duration.as_secs(), Ordering::Relaxed);
        }
    }

    /// Rounds that work or fail as the script says; the last one stops the service.
    struct Scripted {
        rounds: Vec<bool>,
        stop: Option<oneshot::Sender<()>>,
    }

    #[async_trait]
    impl Repeated for Scripted {
        fn name(&self) -> &'static str {
            "post"
        }

        fn purpose(&self) -> &'static str {
            "deliver the post"
        }

        fn interval(&self) -> Duration {
            Duration::from_secs(1)
        }

        async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
            let works = self.rounds.remove(0);
            if self.rounds.is_empty() {
                drop(self.stop.take());
            }
            if works { Ok(()) } else { Err(RepositoryError::Unavailable("away".to_owned())) }
        }
    }

    /// The lines that a service with these rounds writes.
    fn log_of(rounds: &[bool]) -> Vec<String> {
        let (stop, stopped) = oneshot::channel::<()>();
        let work = Scripted { rounds: rounds.to_vec(), stop: Some(stop) };
        let service = Box::new(Repeating::new(work, Arc::new(NoTime)));
        written(|| {
            let ended = service.run(stopped.map(|_| ()).boxed().shared()).now_or_never();
            assert_eq!(ended, Some(()), "it goes on after its stop");
        })
    }

    #[test]
    fn a_service_warns_once_when_it_begins_to_fail_and_says_once_that_it_works_again() {
        let lines = log_of(&[true, false, false, false, true, true, false]);
        let [first, again, second] = &lines[..] else { panic!("{lines:#?}") };
        for warning in [first, second] {
            assert!(warning.contains("WARN") && warning.contains("cannot deliver the post"), "{warning}");
            assert!(warning.contains("service=\"post\"") && warning.contains("away"), "{warning}");
        }
        assert!(again.contains("INFO") && again.contains("can deliver the post again"), "{again}");
    }

    #[test]
    fn a_service_that_works_says_nothing() {
        assert_eq!(log_of(&[true; 5]), Vec::<String>::new());
    }

    #[test]
    fn rounds_that_go_on_failing_are_said_again_until_they_work() {
        let after = |rounds: &[bool]| {
            let (clock, (stop, stopped)) = (Arc::new(Hasty::default()), oneshot::channel::<()>());
            let hindrances = Hindrances::new(clock.clone());
            let work = Scripted { rounds: rounds.to_vec(), stop: Some(stop) };
            let service = Box::new(Repeating::new(work, clock).telling(&hindrances));
            let lines = written(|| {
                let ended = service.run(stopped.map(|_| ()).boxed().shared()).now_or_never();
                assert_eq!(ended, Some(()), "it goes on after its stop");
            });
            (lines.len(), hindrances.sentences())
        };
        let said = "for 74 s this process could not deliver the post; the log says why".to_owned();
        assert_eq!(after(&[false; 75]), (3, vec![said]));
        let ended = [[false; 75].as_slice(), &[true]].concat();
        assert_eq!(after(&ended), (4, vec![]));
    }
}
