use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::application::ports::{CipherError, Clock, CredentialsCipher, InstanceRepository, RepositoryError};
use crate::domain::instance::credentials::{Credentials, SealedCredentials};
use crate::domain::instance::{EventSecretChange, Instance, InstanceChange};

/// Gives instances the secrets that their providers bring with each event.
#[derive(Clone)]
pub struct EventSecrets {
    pub instances: Arc<dyn InstanceRepository>,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub clock: Arc<dyn Clock>,
    /// How long a secret that was replaced is let in beside the new one.
    pub overlap: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum EventSecretsError {
    /// It was deleted meanwhile.
    #[error("there is no such instance")]
    UnknownInstance,
    #[error(transparent)]
    Cipher(#[from] CipherError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl EventSecrets {
    /// The secret that the instance has, so that what its provider still repeats is let in; or its first one. One that no key at
    /// hand opens is replaced: nothing could tell the provider what it is.
    ///
    /// # Errors
    /// When the instance was deleted meanwhile, nothing can be sealed, or the database does not answer.
    pub async fn of(&self, instance: &mut Instance) -> Result<Credentials, EventSecretsError> {
        match &instance.event_secret {
            None => self.give(instance).await,
            Some(sealed) => match self.cipher.open(instance.id, sealed) {
                Ok(secret) => Ok(secret),
                Err(error) => {
                    warn!(instance.id = %instance.id, %error, "the secret of the instance's events cannot be opened: its provider gets a new one");
                    self.give(instance).await
                }
            },
        }
    }

    /// Another one in its place, beside which it is let in for a while.
    ///
    /// # Errors
    /// As above.
    pub async fn give(&self, instance: &mut Instance) -> Result<Credentials, EventSecretsError> {
        let secret = Credentials::new(self.cipher.new_secret()?);
        let former = instance.event_secret.clone();
        let former_until = former.is_some().then(|| self.clock.now() + self.overlap);
        let sealed = self.cipher.seal(instance.id, &secret)?;
        let digest = Sha256::digest(secret.expose()).into();
        self.write(instance, EventSecretChange { sealed, digest, replaces: former, former_until }).await?;
        info!(instance.id = %instance.id, "the instance's events have a new secret");
        // Another request may have given it one meanwhile.
        let sealed = instance.event_secret.as_ref().ok_or(EventSecretsError::UnknownInstance)?;
        Ok(self.cipher.open(instance.id, sealed)?)
    }

    /// Notes the digest of the secret that the instance has, of before there were any.
    ///
    /// # Errors
    /// As above.
    pub async fn note_digest(
        &self,
        instance: &Instance,
        sealed: &SealedCredentials,
        digest: [u8; 32],
    ) -> Result<(), EventSecretsError> {
        let (sealed, replaces) = (sealed.clone(), Some(sealed.clone()));
        let change = EventSecretChange { sealed, digest, replaces, former_until: None };
        self.write(&mut instance.clone(), change).await
    }

    async fn write(&self, instance: &mut Instance, secret: EventSecretChange) -> Result<(), EventSecretsError> {
        let change = InstanceChange { event_secret: Some(secret), ..InstanceChange::default() };
        let updated = self.instances.update(&instance.tenant, instance.id, &change, self.clock.now()).await?;
        *instance = updated.ok_or(EventSecretsError::UnknownInstance)?;
        Ok(())
    }
}
