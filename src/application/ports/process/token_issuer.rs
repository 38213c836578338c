use std::time::Duration;

use crate::domain::Timestamp;
use crate::domain::access::principal::Principal;

/// Makes tokens that the [`TokenVerifier`](super::TokenVerifier) of every process of this installation takes for the same
/// principal.
pub trait TokenIssuer: Send + Sync {
    /// # Errors
    /// A sentence for the log, when the claims that are configured cannot say it.
    fn issue(&self, principal: &Principal, lives: Duration, now: Timestamp) -> Result<String, String>;
}
