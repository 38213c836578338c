use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::limits::Limits;

/// How long after its connection a request may come that was on its way when the server stopped.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// What a connection is at, and since when.
#[derive(Clone)]
pub struct Activity {
    phase: Arc<Mutex<Phase>>,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// A head is on its way, or the first is waited for.
    Head {
        since: Instant,
    },
    Answering,
    /// Between two requests.
    Idle {
        since: Instant,
        /// Whether all of the answer has left.
        is_flushed: bool,
    },
}

/// A request that is being answered, until this is dropped.
pub struct Answering(Activity);

impl Activity {
    pub fn begin(limits: Limits) -> Self {
        Self { phase: Arc::new(Mutex::new(Phase::Head { since: Instant::now() })), limits }
    }

    /// Bytes have come.
    pub fn received(&self) {
        let mut phase = self.phase();
        if let Phase::Idle { .. } = *phase {
            *phase = Phase::Head { since: Instant::now() };
        }
    }

    /// What was written has left: hyper flushes once it has written all.
    pub fn flushed(&self) {
        if let Phase::Idle { is_flushed, .. } = &mut *self.phase() {
            *is_flushed = true;
        }
    }

    /// Whether nothing is on its way in either direction.
    pub fn is_at_rest(&self) -> bool {
        matches!(*self.phase(), Phase::Idle { is_flushed: true, .. })
    }

    /// A head is there.
    pub fn answering(&self) -> Answering {
        *self.phase() = Phase::Answering;
        Answering(self.clone())
    }

    /// When to ask next whether it is overdue. Not later than the shorter of the limits from now, so that whatever begins
    /// meanwhile is not missed.
    pub fn next_look(&self) -> Instant {
        let latest = Instant::now() + self.limits.header_timeout.min(self.limits.keep_alive_timeout);
        self.end().map_or(latest, |end| end.min(latest))
    }

    pub fn is_overdue(&self, now: Instant) -> bool {
        self.end().is_some_and(|end| end <= now)
    }

    /// None when there has been a request.
    pub fn first_head_expected_until(&self) -> Option<Instant> {
        match *self.phase() {
            Phase::Head { since } => Some(since + self.limits.header_timeout.min(ON_ITS_WAY)),
            Phase::Answering | Phase::Idle { .. } => None,
        }
    }

    fn end(&self) -> Option<Instant> {
        let (since, limit): (Instant, Duration) = match *self.phase() {
            Phase::Head { since } => (since, self.limits.header_timeout),
            Phase::Idle { since, .. } => (since, self.limits.keep_alive_timeout),
            Phase::Answering => return None,
        };
        Some(since + limit)
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        *self.0.phase() = Phase::Idle { since: Instant::now(), is_flushed: false };
    }
}
