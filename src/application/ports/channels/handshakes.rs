use async_trait::async_trait;

use crate::application::ports::{RepositoryError, SealedInstance};
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;

/// By which token a provider knows an instance, when it asks where to report to: found by its SHA-256, however many instances there
/// are. It is among the sealed credentials; so whoever opens them first notes it, and other credentials take the note away.
///
/// `tests/contracts/instances/handshakes.rs` proves what is promised here.
#[async_trait]
pub trait Handshakes: Send + Sync {
    /// An instance of this channel, of any tenant, whose token has this digest; of this name, if one is given.
    async fn find(
        &self,
        channel: &ChannelName,
        digest: &[u8; 32],
        channel_instance_id: Option<&str>,
    ) -> Result<Option<SealedInstance>, RepositoryError>;

    /// At most `limit` instances of this channel that have credentials (more than 0 bytes) and whose token is not noted, with ids
    /// above `after`, lowest ids first.
    async fn unnoted(
        &self,
        channel: &ChannelName,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<SealedInstance>, RepositoryError>;

    /// Notes the token of each, if its credentials are still these.
    async fn note(&self, noted: &[(SealedInstance, [u8; 32])]) -> Result<(), RepositoryError>;
}
