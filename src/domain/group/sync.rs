//! Bringing the groups of an instance here, as its provider has them.

use chrono::TimeDelta;

use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::InstanceId;

/// A sync that has said nothing for so long has ended with its process.
pub const SILENT_FOR: TimeDelta = TimeDelta::minutes(5);

/// What such a one is said to have come to.
pub const INTERRUPTED: &str = "The process that synced the groups has ended; sync them again.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncStatus {
    Running,
    Finished,
    Failed,
}

impl SyncStatus {
    pub const ALL: [SyncStatus; 3] = [Self::Running, Self::Finished, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// The last sync of an instance, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSync {
    pub instance_id: InstanceId,
    pub tenant: Tenant,
    pub status: SyncStatus,
    /// Groups that the provider has.
    pub total_groups: u32,
    /// Those of them that are stored.
    pub synced_groups: u32,
    /// Members of these.
    pub total_members: u32,
    /// A sentence, of one that failed.
    pub error: Option<String>,
    pub started_at: Timestamp,
    pub updated_at: Timestamp,
}

impl GroupSync {
    pub fn begin(tenant: Tenant, instance_id: InstanceId, now: Timestamp) -> Self {
        Self {
            instance_id,
            tenant,
            status: SyncStatus::Running,
            total_groups: 0,
            synced_groups: 0,
            total_members: 0,
            error: None,
            started_at: now,
            updated_at: now,
        }
    }

    /// As it is at `now`: one whose process has ended has failed.
    #[must_use]
    pub fn seen_at(self, now: Timestamp) -> Self {
        if self.status != SyncStatus::Running || now - self.updated_at < SILENT_FOR {
            return self;
        }
        Self { status: SyncStatus::Failed, error: Some(INTERRUPTED.to_owned()), ..self }
    }
}
