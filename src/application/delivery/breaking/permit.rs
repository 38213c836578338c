//! The permission for one call: where a breaker is open, it is the probe.

use std::time::Duration;

use uuid::Uuid;

use crate::domain::access::principal::Tenant;
use crate::domain::instance::InstanceId;
use crate::domain::instance::breaker::BreakerOf;

/// What is about to be called.
pub struct Called {
    pub tenant: Tenant,
    pub instance: InstanceId,
    /// Where it sends to, if its channel says.
    pub host: Option<String>,
    pub longest_call: Duration,
}

/// One call may be made.
#[derive(Default)]
pub struct Permit {
    pub(super) probes: Vec<Probe>,
}

pub(super) struct Probe {
    pub of: BreakerOf,
    pub name: Uuid,
    pub failed_probes: u32,
    /// The call has to begin before, by the monotonic clock: it ends before another one may be given then.
    pub begins_before: Duration,
}

/// Another one probes, or its time has not come.
#[derive(Debug)]
pub struct Refused {
    pub reason: String,
    pub pause: Duration,
}

/// From the question for a probe to its call.
pub(super) const LEEWAY: Duration = Duration::from_secs(10);

impl Called {
    pub(super) fn of_host(&self) -> Option<BreakerOf> {
        Some(BreakerOf::Host(self.tenant.clone(), self.host.clone()?))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = BreakerOf> {
        self.of_host().into_iter().chain([BreakerOf::Instance(self.instance)])
    }
}

impl Permit {
    pub(super) fn is_good(&self, now: Duration) -> bool {
        self.probes.iter().all(|probe| now < probe.begins_before)
    }
}
