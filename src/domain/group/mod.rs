//! A named list of recipients of one instance; a synced group is one recipient, its id at the channel.

mod group_text;
pub mod member;
pub mod sync;

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::domain::Timestamp;
use crate::domain::access::principal::{Principal, Tenant};
use crate::domain::instance::InstanceId;

pub use group_text::{GroupDescription, GroupName};

/// A UUIDv7: a list in their order is in the order in which the groups were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub Uuid);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whose list it is: our client's, or the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    Custom,
    SyncedWhatsapp,
    SyncedTelegram,
    SyncedEmail,
}

impl GroupKind {
    pub const ALL: [GroupKind; 4] = [Self::Custom, Self::SyncedWhatsapp, Self::SyncedTelegram, Self::SyncedEmail];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Custom => "CUSTOM",
            Self::SyncedWhatsapp => "SYNCED_WHATSAPP",
            Self::SyncedTelegram => "SYNCED_TELEGRAM",
            Self::SyncedEmail => "SYNCED_EMAIL",
        }
    }

    pub fn is_synced(self) -> bool {
        self != Self::Custom
    }
}

impl FromStr for GroupKind {
    type Err = UnknownGroupKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownGroupKind)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("unknown kind of group")]
pub struct UnknownGroupKind;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub id: GroupId,
    pub tenant: Tenant,
    /// Who made it: a JWT's `sub`, or `key:<id>`.
    pub user_id: String,
    pub instance_id: InstanceId,
    pub name: String,
    pub description: Option<String>,
    pub kind: GroupKind,
    /// Of a synced group: its id at the channel, which is where its messages go.
    pub external_id: Option<String>,
    /// Compact JSON text of an object: what the provider says of it.
    pub metadata: Option<String>,
    pub last_sync_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Group {
    /// A list of the client's own, without members yet.
    pub fn custom(
        maker: &Principal,
        id: GroupId,
        instance_id: InstanceId,
        name: GroupName,
        description: Option<GroupDescription>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant: maker.tenant.clone(),
            user_id: maker.subject.clone(),
            instance_id,
            name: name.into_string(),
            description: description.map(GroupDescription::into_string),
            kind: GroupKind::Custom,
            external_id: None,
            metadata: None,
            last_sync_at: None,
            created_at: now,
            updated_at: now,
        }
    }
}

/// What is to be changed of a group. `None` stays as it is; `Some(None)` is cleared.
#[derive(Clone, Debug, Default)]
pub struct GroupChange {
    pub name: Option<GroupName>,
    pub description: Option<Option<GroupDescription>>,
}
