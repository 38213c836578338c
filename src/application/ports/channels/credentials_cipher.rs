use crate::domain::instance::InstanceId;
use crate::domain::instance::credentials::{Credentials, SealedCredentials};

/// Encrypts credentials at rest, bound to their instance: what was sealed for one cannot be opened for another.
pub trait CredentialsCipher: Send + Sync {
    /// # Errors
    /// When the system gives no randomness.
    fn seal(&self, instance: InstanceId, credentials: &Credentials) -> Result<SealedCredentials, CipherError>;

    /// # Errors
    /// When no key at hand opens them, or they were changed.
    fn open(&self, instance: InstanceId, sealed: &SealedCredentials) -> Result<Credentials, CipherError>;

    /// A secret that cannot be guessed, in characters that need no escaping anywhere.
    ///
    /// # Errors
    /// When the system gives no randomness.
    fn new_secret(&self) -> Result<String, CipherError>;
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CipherError(pub &'static str);
