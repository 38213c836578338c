use std::sync::Arc;

use crate::application::ports::{ApiKeyRepository, Clock, RepositoryError, TokenError, TokenVerifier, Users};
use crate::domain::access::api_key;
use crate::domain::access::principal::Principal;
use crate::domain::access::user::User;

/// Identifies a caller.
pub struct Authenticate {
    pub api_keys: Arc<dyn ApiKeyRepository>,
    pub tokens: Arc<dyn TokenVerifier>,
    pub users: Arc<dyn Users>,
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

/// Who calls, and how often it may.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub principal: Principal,
    /// Of its key; none: as the installation says.
    pub requests_per_minute: Option<u32>,
}

impl Authenticate {
    /// # Errors
    /// [`AuthenticateError::Invalid`] for every credential that is not valid.
    pub async fn execute(&self, presented: Presented<'_>) -> Result<Principal, AuthenticateError> {
        self.with_limit(presented).await.map(|authenticated| authenticated.principal)
    }

    /// # Errors
    /// As above.
    pub async fn with_limit(&self, presented: Presented<'_>) -> Result<Authenticated, AuthenticateError> {
        match presented {
            Presented::Bearer(token) if is_jwt(token) => {
                let principal = self.by_token(token).await?;
                Ok(Authenticated { principal, requests_per_minute: None })
            }
            Presented::Bearer(key) | Presented::ApiKey(key) => self.by_api_key(key).await,
        }
    }

    async fn by_token(&self, token: &str) -> Result<Principal, AuthenticateError> {
        let principal = self.tokens.verify(token).await.map_err(|error| match error {
            TokenError::Invalid(reason) => AuthenticateError::Invalid(reason),
            TokenError::Unavailable(reason) => AuthenticateError::Unavailable(reason),
        })?;
        // Another issuer may call its users like this: only what we know of one of ours counts.
        if let Some(id) = User::id_in(&principal.subject)
            && let Some(user) = self.users.find(id).await?
            && user.disabled_at.is_some()
        {
            return Err(AuthenticateError::Invalid("its user is disabled".to_owned()));
        }
        Ok(principal)
    }

    async fn by_api_key(&self, key: &str) -> Result<Authenticated, AuthenticateError> {
        // What cannot be a key costs no query.
        let found = match api_key::has_form(key) {
            true => self.api_keys.find_by_hash(&api_key::hash(key)).await?,
            false => None,
        };
        let valid = found.filter(|found| found.is_valid_at(self.clock.now()));
        // Unknown, revoked and expired keys get the same answer: a caller does not learn what a key once was.
        let refused = || AuthenticateError::Invalid("the API key is unknown, revoked or expired".to_owned());
        let found = valid.ok_or_else(refused)?;
        Ok(Authenticated { principal: found.principal(), requests_per_minute: found.requests_per_minute })
    }
}

/// A JWT has three parts; our keys have no dots.
fn is_jwt(token: &str) -> bool {
    token.matches('.').count() == 2
}
