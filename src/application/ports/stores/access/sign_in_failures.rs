use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;

/// The names with which signing in has failed lately, users' or not, for all processes. A name is given as its SHA-256.
///
/// `tests/contracts/access/sign_in_failures.rs` proves this for every implementation.
#[async_trait]
pub trait SignInFailures: Send + Sync {
    /// Until when the name is locked, if it is.
    async fn locked_until(&self, name: &[u8; 32], now: Timestamp) -> Result<Option<Timestamp>, RepositoryError>;

    /// Notes how a try ended, in one step: a name that has been locked meanwhile stays locked whatever the try came to, so that
    /// of many tries at once no more than [`FAILURES`](crate::domain::access::lockout::FAILURES) are told anything. A success
    /// forgets the failures before it.
    async fn end(&self, name: &[u8; 32], succeeded: bool, now: Timestamp) -> Result<SignInEnd, RepositoryError>;

    /// Forgets a limited number of names whose last failure was before `time`; true if there may be more.
    async fn forget(&self, time: Timestamp) -> Result<bool, RepositoryError>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignInEnd {
    Noted,
    LockedUntil(Timestamp),
}
