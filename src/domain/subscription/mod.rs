//! Which events, filtered and shaped how, become messages of which instance.

use std::fmt;

use uuid::Uuid;

use super::Timestamp;
use super::access::principal::Tenant;
use super::event::EventId;
use super::event::kind::KindPattern;
use super::instance::InstanceName;
use super::instance::channel::ChannelName;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubscriptionId(pub Uuid);

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// In characters.
pub const LONGEST_NAME: usize = 255;

/// So many of them one subscription may have.
pub const MOST_PATTERNS: usize = 50;

/// So many subscriptions one tenant may have: each event is compared with all.
pub const MOST_OF_A_TENANT: usize = 1_000;

/// Bytes of filters and templates that all of a tenant's have together: all are read for each of its events.
pub const MOST_BYTES_OF_A_TENANT: usize = 1 << 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub tenant: Tenant,
    /// Who made it: its messages are that caller's.
    pub user_id: String,
    pub name: String,
    pub kinds: Vec<KindPattern>,
    /// CEL; none: every event of these types.
    pub filter: Option<String>,
    /// What a message says; none: the event as JSON.
    pub template: Option<String>,
    pub channel: ChannelName,
    pub channel_instance_id: InstanceName,
    /// A template, too; none: the event's id.
    pub recipient: Option<String>,
    /// Events that come while it is not are noted as skipped.
    pub is_enabled: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Subscription {
    /// Whether events of this type are for it, if its filter lets them through.
    pub fn is_for(&self, kind: &str) -> bool {
        self.kinds.iter().any(|pattern| pattern.matches(kind))
    }

    /// Bytes of its filter and its templates.
    pub fn bytes(&self) -> usize {
        [&self.filter, &self.template, &self.recipient].into_iter().flatten().map(String::len).sum()
    }
}

/// What became of an event at one subscription: written once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDelivery {
    pub event: EventId,
    pub subscription: SubscriptionId,
    pub outcome: DeliveryOutcome,
    pub at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// It became this message.
    Message(Uuid),
    /// The subscription was disabled.
    Skipped,
}
