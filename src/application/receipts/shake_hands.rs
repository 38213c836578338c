use std::sync::Arc;

use sha2::{Digest, Sha256};
use tracing::debug;

use crate::application::ports::{
    Channels, CredentialsCipher, Handshakes, RepositoryError, SealedInstance, SignedEventReader,
};

/// Knows a provider by its token when it asks where to report to. Anybody may try one: whatever it is, it costs a look-up.
pub struct ShakeHands {
    pub handshakes: Arc<dyn Handshakes>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
}

/// Instances whose tokens are noted at a time. Beyond those that no key opens, each is opened once.
const PAGE: u32 = 500;

/// Of credentials in which there is no token.
const NO_TOKEN: [u8; 32] = [0; 32];

impl ShakeHands {
    /// Whether an instance has this token; one of this name, if it is given.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn execute(&self, channel_instance_id: Option<&str>, token: &str) -> Result<bool, RepositoryError> {
        let digest = digest(token);
        for reader in self.channels.signed_event_readers() {
            self.note_tokens(reader.as_ref()).await?;
            let found = self.handshakes.find(&reader.channel(), &digest, channel_instance_id).await?;
            // Its credentials may be others than those of which it was noted, which a process of another version wrote.
            if found.is_some_and(|instance| self.token_of(reader.as_ref(), &instance) == Some(digest)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Of the instances that are new, or have other credentials. Where no key opens any of a page, no more are tried.
    async fn note_tokens(&self, reader: &dyn SignedEventReader) -> Result<(), RepositoryError> {
        let mut after = None;
        loop {
            let page = self.handshakes.unnoted(&reader.channel(), after, PAGE).await?;
            let noted: Vec<_> = page.iter().filter_map(|it| Some((it.clone(), self.token_of(reader, it)?))).collect();
            if noted.is_empty() {
                return Ok(());
            }
            self.handshakes.note(&noted).await?;
            let Some(last) = page.last().filter(|_| page.len() == PAGE as usize) else { return Ok(()) };
            after = Some(last.id);
        }
    }

    /// The digest of its token; none when no key opens its credentials.
    fn token_of(&self, reader: &dyn SignedEventReader, instance: &SealedInstance) -> Option<[u8; 32]> {
        let opened = self.cipher.open(instance.id, &instance.credentials);
        let opened =
            opened.inspect_err(|error| debug!(instance.id = %instance.id, %error, "the credentials cannot be opened"));
        Some(reader.token(&opened.ok()?).map_or(NO_TOKEN, |token| digest(&token)))
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}
