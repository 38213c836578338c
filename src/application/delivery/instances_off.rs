use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use crate::application::ports::Clock;
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
}

struct Off {
    /// By the monotonic clock.
    until: Duration,
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
        Self { clock, off: Arc::default() }
    }

    /// What its channel has just answered to a message.
    pub fn heard(&self, instance: InstanceId, verdict: &Result<Acceptance, DeliveryError>) {
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
            Ok(_) | Err(DeliveryError { kind: DeliveryErrorKind::Permanent { .. }, .. }) => self.let_in(instance),
        }
    }

    /// It may be called again: it works, or was changed.
    pub fn let_in(&self, instance: InstanceId) {
        if self.off().remove(&instance).is_some() {
            info!(instance.id = %instance, "the instance may be called again");
        }
    }

    /// It may be called again if it was off for one of these causes.
    pub fn let_in_if(&self, instance: InstanceId, causes: &[OffCause]) {
        let mut off = self.off();
        if off.get(&instance).is_some_and(|off| causes.contains(&off.cause)) {
            off.remove(&instance);
            info!(instance.id = %instance, "the instance may be called again: it is connected");
        }
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
        let first = Off { until: now, reason: String::new(), cause, times: 0, is_asking: false };
        let entry = instances.entry(instance);
        if matches!(entry, Entry::Vacant(_)) {
            warn!(instance.id = %instance, reason, "the instance is put off: its channel takes nothing from it");
        }
        let off = entry.or_insert(first);
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
    use async_trait::async_trait;
    use uuid::Uuid;

    use super::*;
    use crate::domain::Timestamp;
    use OffCause::{Disconnected, NeverConnected, Other};

    const INSTANCE: InstanceId = InstanceId(Uuid::nil());

    struct Noon;

    #[async_trait]
    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }

        async fn sleep(&self, _: Duration) {}
    }

    fn off(cause: OffCause) -> InstancesOff {
        let off = InstancesOff::new(Arc::new(Noon));
        let error = DeliveryError::instance_disconnected("off", Duration::from_secs(30), cause);
        off.heard(INSTANCE, &Err(error));
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
}
