use async_trait::async_trait;

use crate::domain::access::principal::Principal;

/// Verifies a bearer token (JWT) and returns its principal.
#[async_trait]
pub trait TokenVerifier: Send + Sync {
    /// # Errors
    /// [`TokenError::Invalid`] for every token that cannot be trusted; the reason may be shown to its bearer.
    async fn verify(&self, token: &str) -> Result<Principal, TokenError>;
}

#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("{0}")]
    Invalid(String),
    /// The keys to verify the token with are not available now.
    #[error("the token cannot be verified now: {0}")]
    Unavailable(String),
}
