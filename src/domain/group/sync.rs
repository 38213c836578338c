//! Bringing the groups of an instance here, as its provider has them.

use chrono::TimeDelta;

use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::InstanceId;

/// A sync that has said nothing for so long has ended with its process.
const SILENT_FOR: TimeDelta = TimeDelta::minutes(5);

/// The least by which one begins after another: as exactly as times are kept.
const LEAST: TimeDelta = TimeDelta::milliseconds(1);

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

    /// In the place of `last`. It begins later, also where the clock of that one's process was ahead: what the later of two syncs has
    /// stored stays.
    #[must_use]
    pub fn after(self, last: &Self) -> Self {
        Self { started_at: self.started_at.max(last.started_at + LEAST), ..self }
    }

    /// Whether it runs at `now`, by its last word. As long as a word may be old, it may be ahead of this clock: one that is further
    /// ahead says that a clock was wrong, and not that the sync runs until that time comes.
    pub fn runs_at(&self, now: Timestamp) -> bool {
        self.status == SyncStatus::Running && (now - self.updated_at).abs() < SILENT_FOR
    }

    /// As it is at `now`: one whose process has ended has failed.
    #[must_use]
    pub fn seen_at(self, now: Timestamp) -> Self {
        if self.status != SyncStatus::Running || self.runs_at(now) {
            return self;
        }
        Self { status: SyncStatus::Failed, error: Some(INTERRUPTED.to_owned()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn begun(seconds: i64) -> GroupSync {
        GroupSync::begin(Tenant::new("acme").unwrap(), InstanceId(Uuid::nil()), at(seconds))
    }

    #[test]
    fn a_running_sync_ends_with_its_words_whatever_clock_they_are_of() {
        for (now, runs) in [(0, true), (299, true), (300, false), (-299, true), (-300, false), (-5_000_000, false)] {
            assert_eq!(begun(0).runs_at(at(now)), runs, "{now}");
            let status = if runs { SyncStatus::Running } else { SyncStatus::Failed };
            assert_eq!(begun(0).seen_at(at(now)).status, status, "{now}");
        }
        let finished = GroupSync { status: SyncStatus::Finished, ..begun(0) };
        assert!(!finished.runs_at(at(0)));
        assert_eq!(finished.clone().seen_at(at(9_000)), finished);
    }

    #[test]
    fn a_sync_begins_later_than_the_one_in_whose_place_it_is() {
        assert_eq!(begun(9).after(&begun(3)).started_at, at(9));
        let ahead = begun(5_000_000);
        let next = begun(9).after(&ahead);
        assert!(next.started_at > ahead.started_at);
        assert_eq!(next.updated_at, at(9), "it is heard of by the clock of its own process");
        assert!(begun(10).after(&next).started_at > next.started_at);
    }
}
