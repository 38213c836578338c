use async_trait::async_trait;

/// Hashes passwords, which is slow on purpose: only so many at a time, so that sign-ins leave the processors to others.
#[async_trait]
pub trait Passwords: Send + Sync {
    async fn hash(&self, password: String) -> Result<String, PasswordsError>;

    /// Whether this password has this hash. Without a hash it takes as long and is false: an answer does not tell whether there
    /// is such a user.
    async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, PasswordsError>;
}

#[derive(Debug, thiserror::Error)]
pub enum PasswordsError {
    /// Too many wait.
    #[error("too many passwords are being checked")]
    Busy,
    #[error("a password cannot be hashed or checked: {0}")]
    Failed(String),
}
