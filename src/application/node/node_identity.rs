use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{Either, Shared, select};

use crate::application::ports::{Clock, RepositoryError};
use crate::domain::node::NodeId;

/// The name under which this process takes messages, and whether other nodes may consider it gone.
///
/// A name is good for `timeout`, less a [`MARGIN`], after the last heartbeat that was written for it while it was good was
/// sent: no other node can have watched it stand still for that long. After that the process must go on under a new name.
#[derive(Clone)]
pub struct NodeIdentity {
    clock: Arc<dyn Clock>,
    timeout: Duration,
    name: Arc<Mutex<Option<Name>>>,
    renaming: Arc<Mutex<Renaming>>,
}

/// Between the last moment at which a name is good and the first at which others may consider it gone: what was begun in
/// the one is done in the other.
const MARGIN: Duration = Duration::from_secs(1);

/// Wakes all that wait for the next name.
struct Renaming {
    rename: oneshot::Sender<()>,
    renamed: Shared<oneshot::Receiver<()>>,
}

impl Default for Renaming {
    fn default() -> Self {
        let (rename, renamed) = oneshot::channel();
        Self { rename, renamed: renamed.shared() }
    }
}

#[derive(Clone, Copy)]
struct Name {
    id: NodeId,
    /// The first name of this process.
    process: NodeId,
    /// When its last heartbeat was sent, by the monotonic clock.
    beat_at: Duration,
}

impl NodeIdentity {
    pub fn new(clock: Arc<dyn Clock>, timeout: Duration) -> Self {
        Self { clock, timeout, name: Arc::default(), renaming: Arc::default() }
    }

    /// How long a heartbeat has to stand still before other nodes consider this one gone.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The name to take messages with; none while there is no good one.
    pub fn current(&self) -> Option<NodeId> {
        let name = *self.lock();
        name.filter(|name| self.is_fresh(name)).map(|name| name.id)
    }

    /// The name to take messages with; waits a moment for a new one, as after a freeze.
    ///
    /// # Errors
    /// [`RepositoryError::Unavailable`]: no heartbeat could be written for too long.
    pub async fn current_or_wait(&self) -> Result<NodeId, RepositoryError> {
        const PATIENCE: Duration = Duration::from_secs(2);
        if let Some(id) = self.current() {
            return Ok(id);
        }
        let mut given_up = self.clock.sleep(PATIENCE);
        loop {
            // Before the look, so that a name that comes right after it is not missed.
            let renamed = self.renaming.lock().unwrap_or_else(PoisonError::into_inner).renamed.clone();
            if let Some(id) = self.current() {
                return Ok(id);
            }
            match select(renamed, given_up).await {
                Either::Left((_, still_waiting)) => given_up = still_waiting,
                Either::Right(_) => break,
            }
        }
        Err(RepositoryError::Unavailable("no heartbeat could be written for too long".to_owned()))
    }

    /// Whether no other node can have taken over what `node` claimed.
    pub fn is_certain(&self, node: Option<NodeId>) -> bool {
        node.is_some() && self.current() == node
    }

    /// The last name, good or not.
    pub fn last(&self) -> Option<NodeId> {
        self.lock().map(|name| name.id)
    }

    /// The first name of this process; none before it has one.
    pub fn process(&self) -> Option<NodeId> {
        self.lock().map(|name| name.process)
    }

    /// A heartbeat of `id`, sent at `sent`, was written. A name that went stale meanwhile stays stale.
    pub fn beaten(&self, id: NodeId, sent: Duration) {
        let mut name = self.lock();
        if let Some(current) = name.as_mut().filter(|current| current.id == id && self.is_fresh(current)) {
            current.beat_at = sent;
        }
    }

    /// The process goes on as `id`, registered at `sent`.
    pub fn rename(&self, id: NodeId, sent: Duration) {
        {
            let mut name = self.lock();
            let process = name.map_or(id, |former| former.process);
            *name = Some(Name { id, process, beat_at: sent });
        }
        let next = Renaming::default();
        let last = std::mem::replace(&mut *self.renaming.lock().unwrap_or_else(PoisonError::into_inner), next);
        // There may be no task that waits.
        let _ = last.rename.send(());
    }

    fn is_fresh(&self, name: &Name) -> bool {
        // Of a timeout of a few seconds, a third.
        let margin = MARGIN.min(self.timeout / 3);
        self.clock.monotonic().saturating_sub(name.beat_at) < self.timeout.saturating_sub(margin)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Name>> {
        self.name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
    use std::task::Poll;

    use async_trait::async_trait;
    use futures::future::join_all;
    use uuid::Uuid;

    use super::*;
    use crate::domain::Timestamp;

    /// Counts the pauses, and lets them end when the test says so.
    #[derive(Default)]
    struct Time {
        seconds: AtomicU64,
        pauses: AtomicUsize,
        is_late: AtomicBool,
    }

    #[async_trait]
    impl Clock for Time {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.seconds.load(Ordering::SeqCst))
        }

        async fn sleep(&self, _: Duration) {
            self.pauses.fetch_add(1, Ordering::SeqCst);
            poll_fn(|_| if self.is_late.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }).await;
        }
    }

    /// A process whose name is no longer good.
    fn stale() -> (Arc<Time>, NodeIdentity) {
        let time = Arc::new(Time::default());
        let identity = NodeIdentity::new(time.clone(), Duration::from_secs(15));
        identity.rename(NodeId(Uuid::nil()), time.monotonic());
        time.seconds.store(15, Ordering::SeqCst);
        (time, identity)
    }

    #[test]
    fn all_that_wait_go_on_with_the_next_name_and_none_looks_again_and_again() {
        let (time, identity) = stale();
        let mut waiting = Box::pin(join_all((0..3).map(|_| identity.current_or_wait())));
        for _ in 0..10 {
            assert!(waiting.as_mut().now_or_never().is_none());
        }
        assert_eq!(time.pauses.load(Ordering::SeqCst), 3);
        let next = NodeId(Uuid::max());
        identity.rename(next, time.monotonic());
        let names = waiting.as_mut().now_or_never().expect("they are woken");
        assert!(names.into_iter().all(|name| name.unwrap() == next));
    }

    #[test]
    fn a_name_is_good_for_a_second_less_than_others_wait_and_its_process_keeps_the_first() {
        let (time, identity) = stale();
        let first = identity.process();
        assert_eq!(first, Some(NodeId(Uuid::nil())));
        identity.rename(NodeId(Uuid::max()), time.monotonic());
        for (seconds, is_good) in [(28, true), (29, false)] {
            time.seconds.store(seconds, Ordering::SeqCst);
            assert_eq!(identity.is_certain(Some(NodeId(Uuid::max()))), is_good, "at {seconds} s");
        }
        identity.beaten(NodeId(Uuid::max()), time.monotonic());
        assert_eq!(identity.current(), None, "a heartbeat that was answered too late does not bring it back");
        assert_eq!(identity.process(), first);
    }

    #[test]
    fn a_name_that_does_not_come_is_waited_for_once() {
        let (time, identity) = stale();
        let mut waiting = Box::pin(identity.current_or_wait());
        assert!(waiting.as_mut().now_or_never().is_none());
        // Stale when it comes: it took too long to be registered.
        identity.rename(NodeId(Uuid::max()), Duration::ZERO);
        assert!(waiting.as_mut().now_or_never().is_none());
        time.is_late.store(true, Ordering::SeqCst);
        let answer = waiting.as_mut().now_or_never().expect("it gives up");
        assert!(answer.unwrap_err().may_pass());
        assert_eq!(time.pauses.load(Ordering::SeqCst), 1);
    }
}
