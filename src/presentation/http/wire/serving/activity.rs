use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use super::limits::Limits;

/// How long after its connection a request may come that was on its way when the server stopped.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// What a connection is at, and since when.
#[derive(Clone)]
pub struct Activity {
    state: Arc<Mutex<State>>,
    limits: Limits,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    /// Since when the client takes nothing of what is there for it.
    stalled_since: Option<Instant>,
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
        let state = State { phase: Phase::Head { since: Instant::now() }, stalled_since: None };
        Self { state: Arc::new(Mutex::new(state)), limits }
    }

    /// Bytes have come.
    pub fn received(&self) {
        let phase = &mut self.state().phase;
        if let Phase::Idle { .. } = *phase {
            *phase = Phase::Head { since: Instant::now() };
        }
    }

    /// The client was offered bytes, and took some or none.
    pub fn wrote<T>(&self, written: &Poll<T>) {
        let stalled_since = &mut self.state().stalled_since;
        if written.is_ready() {
            *stalled_since = None;
        } else if stalled_since.is_none() {
            *stalled_since = Some(Instant::now());
        }
    }

    /// What was written has left: hyper flushes once it has written all.
    pub fn flushed(&self) {
        let phase = &mut self.state().phase;
        if let Phase::Idle { is_flushed: false, .. } = *phase {
            *phase = Phase::Idle { since: Instant::now(), is_flushed: true };
        }
    }

    /// Whether nothing is on its way in either direction.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.state().phase, Phase::Idle { is_flushed: true, .. })
    }

    /// A head is there.
    pub fn answering(&self) -> Answering {
        self.state().phase = Phase::Answering;
        Answering(self.clone())
    }

    /// When to ask next whether it is overdue. Not later than the shortest of the limits from now, so that whatever begins
    /// meanwhile is not missed.
    pub fn next_look(&self) -> Instant {
        let Limits { header_timeout, keep_alive_timeout, stall_timeout, .. } = self.limits;
        let latest = Instant::now() + header_timeout.min(keep_alive_timeout).min(stall_timeout);
        self.end().map_or(latest, |end| end.min(latest))
    }

    pub fn is_overdue(&self, now: Instant) -> bool {
        self.end().is_some_and(|end| end <= now)
    }

    /// None when there has been a request.
    pub fn first_head_expected_until(&self) -> Option<Instant> {
        match self.state().phase {
            Phase::Head { since } => Some(since + self.limits.header_timeout.min(ON_ITS_WAY)),
            Phase::Answering | Phase::Idle { .. } => None,
        }
    }

    fn end(&self) -> Option<Instant> {
        let State { phase, stalled_since } = *self.state();
        let silent = match phase {
            Phase::Head { since } => Some(since + self.limits.header_timeout),
            // As long as the client takes what is there for it, it may take its time.
            Phase::Answering | Phase::Idle { is_flushed: false, .. } => None,
            Phase::Idle { since, is_flushed: true } => Some(since + self.limits.keep_alive_timeout),
        };
        let stalled = stalled_since.map(|since| since + self.limits.stall_timeout);
        silent.into_iter().chain(stalled).min()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.state().phase = Phase::Idle { since: Instant::now(), is_flushed: false };
    }
}
