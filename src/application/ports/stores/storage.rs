use std::time::Duration;

use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;

/// The database as a whole.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Succeeds if the database answers and, as far as can be seen without writing, takes what is written.
    async fn ping(&self) -> Result<(), RepositoryError>;

    /// What an operator has to put right, a sentence each, as the last ping found it; no sentence has a secret in it.
    fn troubles(&self) -> Vec<String> {
        Vec::new()
    }

    /// Until when the database has lived, as far as can be learnt without this machine's clock: at least that much time has
    /// passed for what is stored. None where the server has a clock of its own, which it asks before it forgets anything, and
    /// where nothing is stored yet.
    async fn lived_until(&self) -> Result<Option<Timestamp>, RepositoryError> {
        Ok(None)
    }

    /// Periodic work of seconds: makes room for the messages of the weeks to come. Rows that lie outside of all weeks are moved
    /// into theirs, unless that would keep others waiting for long. Safe to run in several processes concurrently. That it has lived until `now` is kept,
    /// where [`Storage::lived_until`] says so.
    async fn maintain(&self, now: Timestamp) -> Result<(), RepositoryError>;

    /// Deletes idempotency keys that have expired at `now`, and the keys of messages that were received 30 days before it: a
    /// bounded part of them. Returns whether there may be more. Safe to run in several processes concurrently.
    async fn delete_expired_keys(&self, now: Timestamp) -> Result<bool, RepositoryError>;

    /// Periodic work of milliseconds: gathers what was counted since the last time. Counts are as good without it, and take
    /// longer and longer to read. Safe to run in several processes concurrently.
    async fn roll_up(&self) -> Result<(), RepositoryError>;

    /// Periodic work that may take hours, and keeps nothing else waiting: what is over is vacuumed, once. Does nothing while
    /// another process does it. May be dropped at any time.
    async fn overhaul(&self, now: Timestamp) -> Result<(), RepositoryError>;

    /// Deletes messages that were accepted longer ago than `retention`, and their attempts: those that are at an end and owe
    /// no dead letter; and broadcasts that ended longer ago, and longer than keys are kept. Where messages are stored by weeks, one stays until all of its week can go. A message that is
    /// replayed at the same time either stays, queued, or is unknown to the replay.
    ///
    /// A bounded part of it; returns whether there may be more. Safe to run in several processes concurrently.
    async fn delete_history(&self, retention: Duration, now: Timestamp) -> Result<bool, RepositoryError>;

    /// How the weeks stand at `now`; none where messages are not stored by weeks. Costs the same however long the history.
    async fn weeks(&self, now: Timestamp) -> Result<Option<WeeksStanding>, RepositoryError>;
}

/// Whether there is room for the messages of the weeks to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeeksStanding {
    /// Weeks after this one that are there, without a gap; 4 when all is well.
    pub ahead: u32,
    /// Rows of messages and attempts that lie outside of all weeks, up to [`Self::COUNTED`]; 0 when all is well.
    pub strays: u32,
}

impl WeeksStanding {
    /// Strays are not counted further.
    pub const COUNTED: u32 = 1_000;

    /// Whether an operator should look.
    pub fn is_worrying(self) -> bool {
        self.ahead < 2 || self.strays > 0
    }
}
