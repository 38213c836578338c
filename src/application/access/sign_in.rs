use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::application::ports::{
    Clock, Passwords, PasswordsError, RepositoryError, SignInEnd, SignInFailures, TokenIssuer, Users,
};
use crate::domain::Timestamp;
use crate::domain::access::user::User;

/// Gives a user a token for a name and a password. Guessing locks the name, also one that no user has.
pub struct SignIn {
    pub users: Arc<dyn Users>,
    pub failures: Arc<dyn SignInFailures>,
    pub passwords: Arc<dyn Passwords>,
    pub tokens: Arc<dyn TokenIssuer>,
    pub clock: Arc<dyn Clock>,
    /// How long a token lives.
    pub token_lives: Duration,
}

pub struct SignedIn {
    pub user: User,
    pub token: String,
    pub lives: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown, disabled, or with another password: the caller is not told which.
    #[error("the name or the password is wrong")]
    Refused,
    #[error("the name is locked until {0}")]
    Locked(Timestamp),
    #[error("too many sign in at the moment")]
    Busy,
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// For the log.
    #[error("{0}")]
    Failed(String),
}

impl From<PasswordsError> for SignInError {
    fn from(error: PasswordsError) -> Self {
        match error {
            PasswordsError::Busy => Self::Busy,
            PasswordsError::Failed(_) => Self::Failed(error.to_string()),
        }
    }
}

impl SignIn {
    /// # Errors
    /// [`SignInError::Refused`] and [`SignInError::Locked`] tell nothing of whether there is such a user.
    pub async fn execute(&self, name: &str, password: String) -> Result<SignedIn, SignInError> {
        let key: [u8; 32] = Sha256::digest(name.as_bytes()).into();
        // What is locked costs no processor.
        if let Some(until) = self.failures.locked_until(&key, self.clock.now()).await? {
            return Err(SignInError::Locked(until));
        }
        let user = self.users.find_by_name(name).await?.filter(|user| user.disabled_at.is_none());
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let is_right = self.passwords.verify(password, hash).await?;
        let user = user.filter(|_| is_right);
        let now = self.clock.now();
        if let SignInEnd::LockedUntil(until) = self.failures.end(&key, user.is_some(), now).await? {
            return Err(SignInError::Locked(until));
        }
        let user = user.ok_or(SignInError::Refused)?;
        let token = self.tokens.issue(&user.principal(), self.token_lives, now).map_err(SignInError::Failed)?;
        Ok(SignedIn { user, token, lives: self.token_lives })
    }
}
