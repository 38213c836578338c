use async_trait::async_trait;

use crate::application::ports::{RepositoryError, SearchError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::SealedCredentials;
use crate::domain::instance::{Instance, InstanceChange, InstanceId};

/// Where instances are kept. A foreign tenant's instance is answered exactly like one that does not exist.
#[async_trait]
pub trait InstanceRepository: Send + Sync {
    /// # Errors
    /// [`RepositoryError::Conflict`] when tenant, channel and `channel_instance_id` are taken together.
    async fn insert(&self, instance: &Instance) -> Result<(), RepositoryError>;

    /// For delivery: of any tenant.
    async fn find_any(&self, id: InstanceId) -> Result<Option<Instance>, RepositoryError>;

    async fn find(&self, tenant: &Tenant, id: InstanceId) -> Result<Option<Instance>, RepositoryError>;

    async fn find_by_name(
        &self,
        tenant: &Tenant,
        channel: &ChannelName,
        channel_instance_id: &str,
    ) -> Result<Option<Instance>, RepositoryError>;

    /// The instances of any tenant and channel that their clients call so, with ids above `after`, lowest ids first.
    async fn named(
        &self,
        channel_instance_id: &str,
        after: Option<InstanceId>,
    ) -> Result<InstancesPage, RepositoryError>;

    /// The instances of any tenant that have this channel and this address (`channel_phone_or_id`), with ids above `after`, lowest
    /// ids first.
    async fn addressed(
        &self,
        channel: &ChannelName,
        address: &str,
        after: Option<InstanceId>,
    ) -> Result<InstancesPage, RepositoryError>;

    /// The instance of any tenant that its client calls so and whose secret of events has this SHA-256, or had it and was replaced
    /// by one beside which it counts at `now`. However many have the name.
    async fn by_event_secret(
        &self,
        channel_instance_id: &str,
        digest: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Instance>, RepositoryError>;

    /// A tenant's instances, oldest first; of one channel, if given; and at most
    /// [`BYTES_AT_ONCE`](super::BYTES_AT_ONCE). Few lists are made at the same time, as of
    /// [`MessageSearch`](super::MessageSearch).
    async fn list(&self, tenant: &Tenant, channel: Option<&ChannelName>) -> Result<ListedInstances, SearchError>;

    /// At most `limit` instances of any tenant and of these channels, with ids above `after`, lowest ids first.
    async fn of_channels(
        &self,
        channels: &[ChannelName],
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<Instance>, RepositoryError>;

    /// At most `limit` instances of any tenant, and of one channel, if given, that have credentials (more than 0 bytes), with
    /// ids above `after`, lowest ids first.
    async fn sealed(
        &self,
        channel: Option<&ChannelName>,
        after: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<SealedInstance>, RepositoryError>;

    /// Writes what the change names and nothing else, in one statement: of concurrent changes of different members each
    /// holds. `updated_at` never goes back. Returns the instance as it is then; `None` when there is no such instance.
    async fn update(
        &self,
        tenant: &Tenant,
        id: InstanceId,
        change: &InstanceChange,
        now: Timestamp,
    ) -> Result<Option<Instance>, RepositoryError>;

    /// Deletes the instance and, in the same transaction, lists it among the deleted ones
    /// ([`DeletedInstances`](super::DeletedInstances)). Its messages stay as they are, however many there are. False when
    /// there is no such instance.
    async fn delete(&self, tenant: &Tenant, id: InstanceId, now: Timestamp) -> Result<bool, RepositoryError>;
}

/// At most [`INSTANCES_A_PAGE`] instances.
#[derive(Clone, Debug, Default)]
pub struct InstancesPage {
    pub instances: Vec<Instance>,
    /// Where the next page begins; none: this was the last.
    pub next: Option<InstanceId>,
}

pub const INSTANCES_A_PAGE: usize = 100;

impl InstancesPage {
    /// Of rows in order of their ids, at most a page of them, as far as they can be read.
    pub fn of<R>(rows: &[R], id: impl Fn(&R) -> Option<InstanceId>, read: impl Fn(&R) -> Option<Instance>) -> Self {
        let next = rows.last().filter(|_| rows.len() == INSTANCES_A_PAGE).and_then(id);
        Self { instances: rows.iter().filter_map(read).collect(), next }
    }
}

/// The instances of a list.
#[derive(Clone, Debug)]
pub struct ListedInstances {
    pub instances: Vec<Instance>,
    /// Whether there are others, which are too much.
    pub more: bool,
}

/// What an instance of a list counts beside its metadata and its credentials: its names, times and their members.
pub const BYTES_OF_AN_INSTANCE: u64 = 512;

/// An instance's credentials as they are stored, and which instance it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedInstance {
    pub id: InstanceId,
    pub channel_instance_id: String,
    pub credentials: SealedCredentials,
}
