//! A configured channel: whose it is, its address and its credentials.

pub mod channel;
pub mod credentials;
mod name;
pub mod pace;

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use channel::ChannelName;
use credentials::SealedCredentials;
use pace::Pace;

pub use name::{InstanceAddress, InstanceName};

/// What the messages of a deleted instance say that were open then.
pub const DELETED: &str = "The instance was deleted.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(pub Uuid);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether the channel behind an instance can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionStatus {
    Connected,
    Disconnected,
    Connecting,
    Error,
    Pending,
}

impl ConnectionStatus {
    pub const ALL: [ConnectionStatus; 5] =
        [Self::Connected, Self::Disconnected, Self::Connecting, Self::Error, Self::Pending];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
            Self::Connecting => "connecting",
            Self::Error => "error",
            Self::Pending => "pending",
        }
    }
}

impl FromStr for ConnectionStatus {
    type Err = UnknownConnectionStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownConnectionStatus)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unknown state of a connection")]
pub struct UnknownConnectionStatus;

#[derive(Clone, Debug)]
pub struct Instance {
    pub id: InstanceId,
    pub tenant: Tenant,
    pub user_id: String,
    pub name: Option<String>,
    pub channel: ChannelName,
    /// The client's name for it: unique in its tenant and channel.
    pub channel_instance_id: String,
    /// Its address: a phone number, a URL, ...
    pub channel_phone_or_id: String,
    pub status: ConnectionStatus,
    pub credentials: SealedCredentials,
    /// What its provider brings with each event, sealed as its credentials are; none: it was never connected.
    pub event_secret: Option<SealedCredentials>,
    /// Tries for its messages, the first included; none: the installation's.
    pub max_tries: Option<u32>,
    /// Whether a message that may have been delivered is tried again; none: as its channel does.
    pub retry_unknown: Option<bool>,
    /// Whether its provider takes one call of it at a time, as far as the provider has told.
    pub one_call_at_a_time: Option<bool>,
    /// Calls a minute over all processes; none: as many as there are messages.
    pub rate_limit_per_minute: Option<u32>,
    /// Calls at once after a pause, where it has a rate; none: one.
    pub burst: Option<u32>,
    /// Compact JSON text of an object, for the client's own use.
    pub metadata: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What is to be changed of an instance. `None` stays as it is, also when another request changes it at the same time; `Some(None)` is
/// cleared.
#[derive(Clone, Debug, Default)]
pub struct InstanceChange {
    pub channel_phone_or_id: Option<String>,
    pub name: Option<Option<String>>,
    pub status: Option<ConnectionStatus>,
    pub credentials: Option<SealedCredentials>,
    pub event_secret: Option<EventSecretChange>,
    pub max_tries: Option<Option<u32>>,
    pub retry_unknown: Option<Option<bool>>,
    pub one_call_at_a_time: Option<bool>,
    pub rate_limit_per_minute: Option<Option<u32>>,
    pub burst: Option<Option<u32>>,
    pub metadata: Option<Option<String>>,
}

/// A new secret for the events of an instance.
#[derive(Clone, Debug)]
pub struct EventSecretChange {
    pub sealed: SealedCredentials,
    /// Its SHA-256, by which the instance is found.
    pub digest: [u8; 32],
    /// It counts only in the place of this one; none: only where the instance has none. Of two that are made at once the provider has
    /// to get the one that is kept.
    pub replaces: Option<SealedCredentials>,
    /// Until when what brings the one that it replaces is let in, too; none: as it is.
    pub former_until: Option<Timestamp>,
}

/// Where an instance's messages go, and with what right.
#[derive(Clone, Debug)]
pub struct Destination {
    /// A phone number, a URL, ...
    pub address: String,
    pub credentials: SealedCredentials,
    /// As the instance's.
    pub retry_unknown: Option<bool>,
    pub takes_one_call: bool,
    pub pace: Option<Pace>,
}

impl Instance {
    /// How often it may be called, if that is bounded.
    pub fn pace(&self) -> Option<Pace> {
        pace(self.rate_limit_per_minute, self.burst)
    }

    pub fn destination(self) -> Destination {
        Destination {
            pace: self.pace(),
            address: self.channel_phone_or_id,
            credentials: self.credentials,
            retry_unknown: self.retry_unknown,
            takes_one_call: self.one_call_at_a_time == Some(true),
        }
    }
}

/// As its columns say. A rate out of bounds, written by hand, counts as the nearest one.
pub fn pace(rate_limit_per_minute: Option<u32>, burst: Option<u32>) -> Option<Pace> {
    let bounded = |number: u32| number.clamp(1, pace::MOST_PER_MINUTE);
    Pace::new(bounded(rate_limit_per_minute?), burst.map(bounded))
}
