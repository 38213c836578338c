use std::sync::Arc;

use crate::application::ports::{ApiKeyRepository, Clock, RepositoryError, TokenError, TokenVerifier};
use crate::domain::access::api_key;
use crate::domain::access::principal::Principal;

/// Identifies a caller.
pub struct Authenticate {
    pub api_keys: Arc<dyn ApiKeyRepository>,
    pub tokens: Arc<dyn TokenVerifier>,
    pub clock: Arc<dyn Clock>,
}

/// What a caller presented.
pub enum Presented<'a> {
    ApiKey(&'a str),
    /// A JWT or an API key.
    Bearer(&'a str),
}

#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// The reason may be shown to the caller.
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error("{0}")]
    Unavailable(String),
}

impl Authenticate {
    /// # Errors
    /// [`AuthenticateError::Invalid`] for every credential that is not valid.
    pub async fn execute(&self, presented: Presented<'_>) -> Result<Principal, AuthenticateError> {
        match presented {
            Presented::Bearer(token) if is_jwt(token) => self.tokens.verify(token).await.map_err(|error| match error {
                TokenError::Invalid(reason) => AuthenticateError::Invalid(reason),
                TokenError::Unavailable(reason) => AuthenticateError::Unavailable(reason),
            }),
            Presented::Bearer(key) | Presented::ApiKey(key) => self.by_api_key(key).await,
        }
    }

    async fn by_api_key(&self, key: &str) -> Result<Principal, AuthenticateError> {
        // What cannot be a key costs no query.
        let found = match api_key::has_form(key) {
            true => self.api_keys.find_by_hash(&api_key::hash(key)).await?,
            false => None,
        };
        let valid = found.filter(|found| found.is_valid_at(self.clock.now()));
        // Unknown, revoked and expired keys get the same answer: a caller does not learn what a key once was.
        valid
            .map(|found| found.principal())
            .ok_or_else(|| AuthenticateError::Invalid("the API key is unknown, revoked or expired".to_owned()))
    }
}

/// A JWT has three parts; our keys have no dots.
fn is_jwt(token: &str) -> bool {
    token.matches('.').count() == 2
}
