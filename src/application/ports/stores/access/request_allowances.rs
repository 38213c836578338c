use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::request_limit::Counted;

/// How many requests each caller has been allowed in its present minute, by all processes together. A minute begins with the
/// first request that is counted in it.
///
/// `tests/contracts/access/request_allowances.rs` proves this for every implementation.
#[async_trait]
pub trait RequestAllowances: Send + Sync {
    /// Allows up to `wanted` requests more, and never more than `limit` in one minute.
    async fn take(
        &self,
        counted: &Counted,
        limit: u32,
        wanted: u32,
        now: Timestamp,
    ) -> Result<Allowance, RepositoryError>;

    /// Forgets a limited number of minutes that began before `time`; true if there may be more.
    async fn forget(&self, time: Timestamp) -> Result<bool, RepositoryError>;
}

/// What was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// 0: the limit is used up.
    pub granted: u32,
    /// All that was granted in this minute, this included.
    pub taken: u32,
    pub began_at: Timestamp,
}

impl Allowance {
    /// What is granted where so much was taken before, of a minute that began then.
    pub fn after(taken: u32, began_at: Timestamp, limit: u32, wanted: u32) -> Self {
        let granted = limit.saturating_sub(taken).min(wanted);
        Self { granted, taken: taken + granted, began_at }
    }
}
