use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use super::returned_instances::ReturnedInstances;
use crate::application::ports::Clock;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::delivery::{Acceptance, DeliveryError, DeliveryErrorKind, OffCause};

/// The instances through which nothing can be sent for now, as the answers of their channels say: one that is not
/// connected, or not let in. One message asks again when the time has come, the others wait for what it hears. Copies
/// share it.
///
/// Each process learns it for itself.
#[derive(Clone)]
pub struct InstancesOff {
    clock: Arc<dyn Clock>,
    off: Arc<Mutex<HashMap<InstanceId, Off>>>,
    returned: ReturnedInstances,
}

struct Off {
    /// By the monotonic clock: when it was last put off, and until when.
    since: Duration,
    until: Duration,
    /// By the wall clock: when it was last put off.
    said_at: Timestamp,
    reason: String,
    cause: OffCause,
    /// How often the channel has said so since it last worked.
    times: u32,
    is_asking: bool,
}

/// However often it was asked in vain, it is asked again after this long.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// What has not been asked about for so long is forgotten: its instance was deleted, or has nothing to send.
const KEPT: Duration = Duration::from_secs(3_600);

impl InstancesOff {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, off: Arc::default(), returned: ReturnedInstances::default() }
    }

    /// Those that may be called again after they were off.
    pub fn returned(&self) -> &ReturnedInstances {
        &self.returned
    }

    /// The instances that are off for want of a connection, each with when it was last heard.
    pub fn without_connection(&self) -> Vec<(InstanceId, Timestamp)> {
        let off = self.off();
        let away = off.iter().filter(|(_, off)| off.cause != OffCause::Other);
        away.map(|(instance, off)| (*instance, off.said_at)).collect()
    }

    /// What its channel has just answered to a message whose call began then, by the monotonic clock.
    pub fn heard(&self, instance: InstanceId, began: Duration, verdict: &Result<Acceptance, DeliveryError>) {
        match verdict {
            Err(DeliveryError { kind: DeliveryErrorKind::InstanceOff { pause, cause }, reason, .. }) => {
                self.put_off(instance, *pause, *cause, reason);
            }
            // Whether it reached the channel is not known.
            Err(DeliveryError {
                kind:
                    DeliveryErrorKind::Transient { .. } | DeliveryErrorKind::Unknown | DeliveryErrorKind::NotNow { .. },
                ..
            }) => {}
            Ok(_) | Err(DeliveryError { kind: DeliveryErrorKind::Permanent { .. }, .. }) => self.works(instance, began),
        }
    }

    /// A call that was begun before it was put off says nothing of what is so since.
    fn works(&self, instance: InstanceId, began: Duration) {
        let mut off = self.off();
        if let Some(it) = off.get(&instance).filter(|off| began >= off.since) {
            if it.cause != OffCause::Other {
                self.returned.returned(instance);
            }
            off.remove(&instance);
            info!(instance.id = %instance, "the instance may be called again: it works");
        }
    }

    /// It may be called again: it was changed.
    pub fn let_in(&self, instance: InstanceId) {
        if self.off().remove(&instance).is_some() {
            self.returned.returned(instance);
            info!(instance.id = %instance, "the instance may be called again");
        }
    }

    /// It may be called again if it was off for one of these causes. Whether it was.
    pub fn let_in_if(&self, instance: InstanceId, causes: &[OffCause]) -> bool {
        let mut off = self.off();
        let was_off = off.get(&instance).is_some_and(|off| causes.contains(&off.cause));
        if was_off {
            off.remove(&instance);
            self.returned.returned(instance);
            info!(instance.id = %instance, "the instance may be called again: it is connected");
        }
        was_off
    }

    /// Whether a message of it may be sent: if it is off, one may ask again once the time has come.
    pub fn may_ask(&self, instance: InstanceId) -> bool {
        let now = self.clock.monotonic();
        match self.off().get_mut(&instance) {
            None => true,
            Some(off) if off.is_asking || now < off.until => false,
            Some(off) => {
                off.is_asking = true;
                true
            }
        }
    }

    /// A call that [may have asked](Self::may_ask) is over, or was not made.
    pub fn has_asked(&self, instance: InstanceId) {
        if let Some(off) = self.off().get_mut(&instance) {
            off.is_asking = false;
        }
    }

    /// Why no message of it may be sent now; none if one may.
    pub fn reason(&self, instance: InstanceId) -> Option<String> {
        let now = self.clock.monotonic();
        let instances = self.off();
        let off = instances.get(&instance)?;
        (off.is_asking || now < off.until).then(|| off.reason.clone())
    }

    fn put_off(&self, instance: InstanceId, pause: Duration, cause: OffCause, reason: &str) {
        let now = self.clock.monotonic();
        let mut instances = self.off();
        instances.retain(|_, off| now < off.until.saturating_add(KEPT));
        let said_at = self.clock.now();
        let first = Off { since: now, until: now, said_at, reason: String::new(), cause, times: 0, is_asking: false };
        let entry = instances.entry(instance);
        if matches!(entry, Entry::Vacant(_)) {
            warn!(instance.id = %instance, reason, "the instance is put off: its channel takes nothing from it");
        }
        let off = entry.or_insert(first);
        (off.since, off.said_at) = (now, said_at);
        // Several calls may have been under way: they say the same thing.
        if off.times == 0 || off.until <= now {
            let pause = pause.saturating_mul(2_u32.saturating_pow(off.times)).min(LONGEST_PAUSE);
            off.until = now.saturating_add(pause);
            off.times = off.times.saturating_add(1);
        }
        off.cause = cause;
        reason.clone_into(&mut off.reason);
    }

    fn off(&self) -> MutexGuard<'_, HashMap<InstanceId, Off>> {
        self.off.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use async_trait::async_trait;
    use uuid::Uuid;

    use super::*;
    use OffCause::{Disconnected, NeverConnected, Other};

    const INSTANCE: InstanceId = InstanceId(Uuid::nil());

    /// A clock that is moved by hand, in seconds.
    #[derive(Default)]
    struct Moved(AtomicU64);

    #[async_trait]
    impl Clock for Moved {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn monotonic(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }

        async fn sleep(&self, _: Duration) {}
    }

    fn off(cause: OffCause) -> InstancesOff {
        let off = InstancesOff::new(Arc::new(Moved::default()));
        let error = DeliveryError::instance_disconnected("off", Duration::from_secs(30), cause);
        off.heard(INSTANCE, Duration::ZERO, &Err(error));
        assert!(!off.may_ask(INSTANCE));
        off
    }

    #[test]
    fn a_connection_ends_the_wait_for_it_and_for_nothing_else() {
        let lets_in = |cause, ends: &[OffCause]| {
            let off = off(cause);
            off.let_in_if(INSTANCE, ends);
            off.may_ask(INSTANCE)
        };
        let (seen, connected) = ([Disconnected], [Disconnected, NeverConnected]);
        assert_eq!([Disconnected, NeverConnected, Other].map(|cause| lets_in(cause, &seen)), [true, false, false]);
        assert_eq!([Disconnected, NeverConnected, Other].map(|cause| lets_in(cause, &connected)), [true, true, false]);
    }

    #[test]
    fn what_was_begun_before_it_was_put_off_does_not_let_it_in() {
        let clock = Arc::new(Moved::default());
        let off = InstancesOff::new(clock.clone());
        let at = Duration::from_secs;
        let works = Ok(Acceptance { channel_message_id: None, http_status: Some(200) });
        let too_fast = || Err(DeliveryError::instance_off("too fast", at(4)));
        clock.0.store(10, Ordering::Relaxed);
        off.heard(INSTANCE, at(9), &too_fast());
        off.heard(INSTANCE, at(9), &works);
        assert!(!off.may_ask(INSTANCE), "its answer is older than the word that was heard first");
        clock.0.store(14, Ordering::Relaxed);
        assert!(off.may_ask(INSTANCE));
        off.heard(INSTANCE, at(14), &too_fast());
        off.has_asked(INSTANCE);
        clock.0.store(18, Ordering::Relaxed);
        assert!(!off.may_ask(INSTANCE), "twice as long the second time");
        clock.0.store(22, Ordering::Relaxed);
        assert!(off.may_ask(INSTANCE));
        off.heard(INSTANCE, at(22), &works);
        off.has_asked(INSTANCE);
        assert!(off.may_ask(INSTANCE) && off.reason(INSTANCE).is_none());
    }
}
