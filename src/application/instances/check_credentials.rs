use std::sync::Arc;

use tracing::error;

use crate::application::ports::{CredentialsCipher, InstanceRepository, RepositoryError};

/// Checks at a start whether this process can open the credentials that are stored: with another key, every message that
/// it took would be put off, and fail in the end.
pub struct CheckCredentials {
    pub instances: Arc<dyn InstanceRepository>,
    pub cipher: Arc<dyn CredentialsCipher>,
}

#[derive(Debug, thiserror::Error)]
pub enum CheckCredentialsError {
    #[error(
        "the key (without the variable, the one in DATA_DIR/credentials.key) opens the credentials of none of the {0} \
         instance(s): start with the key that sealed them; of several keys with commas in between, all open"
    )]
    NoneOpened(u64),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// Instances read at a time.
const PAGE: u32 = 500;

/// How many of the instances that cannot be opened are named.
const NAMED: usize = 5;

impl CheckCredentials {
    /// Reports the instances whose credentials cannot be opened, if others can.
    ///
    /// # Errors
    /// [`CheckCredentialsError::NoneOpened`] when there are credentials, and none of them can be opened.
    pub async fn execute(&self) -> Result<(), CheckCredentialsError> {
        let (mut opened, mut unopened, mut named) = (0u64, 0u64, Vec::new());
        let mut after = None;
        loop {
            let page = self.instances.sealed(None, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for instance in page {
                if self.cipher.open(instance.id, &instance.credentials).is_ok() {
                    opened += 1;
                    continue;
                }
                unopened += 1;
                if named.len() < NAMED {
                    named.push(instance.channel_instance_id);
                }
            }
        }
        if unopened == 0 {
            return Ok(());
        }
        if opened == 0 {
            return Err(CheckCredentialsError::NoneOpened(unopened));
        }
        error!(
            unopened,
            opened,
            instances = named.join(", "),
            "CREDENTIALS_KEY does not open the credentials of some instances: this process puts their messages off, and they \
             fail after UNDELIVERABLE_AFTER; add the key that sealed them, or give the instances new credentials"
        );
        Ok(())
    }
}
