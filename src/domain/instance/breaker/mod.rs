//! What keeps calls from a destination that fails, and lets a probe through: when it opens, and how long it waits between probes.

mod course;
mod seen;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::domain::access::principal::Tenant;
use crate::domain::instance::InstanceId;
use crate::domain::message::delivery::{Acceptance, DeliveryError, DeliveryErrorKind, FailureKind};

pub use course::{Course, Probe, ProbeEnd};
pub use seen::{AT_LEAST, IN_A_ROW, Opens, Seen, WITHIN};

/// What has a breaker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BreakerOf {
    Instance(InstanceId),
    /// Where instances of a tenant send to: scheme, host and port. Of one tenant alone, so that what hangs at an address which
    /// many share keeps no other tenant from it.
    Host(Tenant, String),
}

impl BreakerOf {
    pub fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::Instance(instance) => Some(*instance),
            Self::Host(..) => None,
        }
    }
}

/// As it is stored.
impl fmt::Display for BreakerOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instance(instance) => write!(f, "instance:{instance}"),
            Self::Host(tenant, host) => write!(f, "host:{host} {}", tenant.as_str()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Its destination is called.
    Closed,
    /// It is not, until the next probe.
    Open,
    /// A probe is under way.
    HalfOpen,
}

impl BreakerState {
    pub const ALL: [BreakerState; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

impl FromStr for BreakerState {
    type Err = UnknownBreakerState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownBreakerState)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unknown state of a breaker")]
pub struct UnknownBreakerState;

/// What the end of a call says of its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It took a message, or refused a single one.
    Works,
    Fails,
    Nothing,
}

impl Said {
    /// Of its instance.
    pub fn of(verdict: &Result<Acceptance, DeliveryError>) -> Self {
        let Err(error) = verdict else { return Self::Works };
        match error.kind {
            // Nothing may have been called, as something is configured wrongly.
            DeliveryErrorKind::Permanent { failure: FailureKind::Channel } => Self::Nothing,
            DeliveryErrorKind::Permanent { .. } => Self::Works,
            // An answer that asks for patience, with this message or this recipient, is one of a destination that works.
            DeliveryErrorKind::Transient { .. } if error.http_status.is_some_and(asks_for_patience) => Self::Nothing,
            DeliveryErrorKind::Transient { .. } | DeliveryErrorKind::Unknown => Self::Fails,
            DeliveryErrorKind::NotNow { .. } | DeliveryErrorKind::InstanceOff { .. } => Self::Nothing,
        }
    }

    /// Of its host: that answers, whatever it says.
    pub fn of_host(verdict: &Result<Acceptance, DeliveryError>) -> Self {
        let has_answered = match verdict {
            Ok(acceptance) => acceptance.http_status.is_some(),
            Err(error) => error.http_status.is_some(),
        };
        if has_answered { Self::Works } else { Self::of(verdict) }
    }
}

fn asks_for_patience(http_status: u16) -> bool {
    (400..500).contains(&http_status)
}

/// The pause after it opened, and the longest one: twice as long after each probe that failed.
pub const FIRST_PAUSE: Duration = Duration::from_secs(10);
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How long until the next probe, after so many that failed.
pub fn pause(failed_probes: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failed_probes)).min(LONGEST_PAUSE)
}
