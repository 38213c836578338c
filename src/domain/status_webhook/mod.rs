//! Status webhooks: who is told that messages change, and of which changes.

mod change;
mod fan_out;
mod states;

use super::Timestamp;
use super::access::principal::Tenant;
use super::instance::InstanceId;
use super::instance::credentials::SealedCredentials;

pub use change::{Change, Snapshot};
pub use fan_out::{FanOut, ROOM, Room, Telling, fan_out};
pub use states::{InvalidStates, States, TOLD};

/// Subscriptions that one tenant may have.
pub const MOST: u32 = 100;

/// How often a change is told until a subscriber takes it: for about three days.
pub const TRIES: u32 = 100;

/// A tenant's wish to be told of changes of its messages' states.
#[derive(Clone, Debug)]
pub struct StatusSubscription {
    /// That of the instance that stands behind it, too, which no client sees.
    pub id: InstanceId,
    pub tenant: Tenant,
    /// Who made it.
    pub user_id: String,
    pub url: String,
    /// Sealed for the instance.
    pub credentials: SealedCredentials,
    pub states: States,
    /// Only of messages of this instance.
    pub channel_instance_id: Option<String>,
    /// Counts its changes: of two at the same time one is made anew.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl StatusSubscription {
    /// What the instance behind it is called.
    pub fn instance_name(id: InstanceId) -> String {
        format!("status:{id}")
    }
}

/// A subscription, as far as it matters for what it is told.
#[derive(Clone, Debug)]
pub struct Subscriber {
    pub id: InstanceId,
    pub tenant: Tenant,
    pub user_id: String,
    pub states: States,
    pub channel_instance_id: Option<String>,
}

impl Subscriber {
    /// Whether it is told of this.
    pub fn hears(&self, change: &Change) -> bool {
        let message = &change.message;
        message.tenant == self.tenant
            && self.states.contain(message.status)
            && self.channel_instance_id.as_ref().is_none_or(|name| message.channel_instance_id == *name)
    }
}

impl From<&StatusSubscription> for Subscriber {
    fn from(subscription: &StatusSubscription) -> Self {
        Self {
            id: subscription.id,
            tenant: subscription.tenant.clone(),
            user_id: subscription.user_id.clone(),
            states: subscription.states.clone(),
            channel_instance_id: subscription.channel_instance_id.clone(),
        }
    }
}
