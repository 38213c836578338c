use std::sync::Arc;

use tracing::{info, warn};

use crate::application::ports::{
    Account, Channels, CipherError, Clock, CredentialsCipher, GroupSyncs, Ids, InstanceRepository, ProvidedGroups,
    ProviderGroup, RepositoryError,
};
use crate::domain::access::principal::Principal;
use crate::domain::group::member::{Member, MemberId};
use crate::domain::group::sync::{GroupSync, SyncStatus};
use crate::domain::group::{Group, GroupId, GroupKind};
use crate::domain::instance::{Instance, InstanceId};

/// Brings the groups of an instance here, as its provider has them.
pub struct SyncGroups {
    pub instances: Arc<dyn InstanceRepository>,
    pub syncs: Arc<dyn GroupSyncs>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

/// Groups that are deleted in one transaction, each with its members.
const DELETED_AT_ONCE: u32 = 20;

/// A sync that has begun, and is to be [carried out](SyncGroups::carry_out).
pub struct BegunSync {
    instance: Instance,
    account: Account,
    user_id: String,
    sync: GroupSync,
}

/// What came of asking for one.
pub enum AskedSync {
    Begun(Box<BegunSync>),
    /// One that was asked for before still runs.
    Running(GroupSync),
}

#[derive(Debug, thiserror::Error)]
pub enum SyncGroupsError {
    /// Also for an instance of another tenant.
    #[error("there is no such instance")]
    UnknownInstance,
    #[error("its channel has no groups of its own")]
    NoGroups,
    /// None was asked for yet.
    #[error("the instance's groups were not synced yet")]
    NotSynced,
    /// It was silent for so long that another one was begun.
    #[error("another sync of the instance's groups has begun")]
    Superseded,
    /// A sentence.
    #[error("{0}")]
    Provider(String),
    #[error(transparent)]
    Cipher(#[from] CipherError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl SyncGroups {
    /// # Errors
    /// When the tenant has no such instance, its channel has no groups, its credentials cannot be opened, or the database does not
    /// answer.
    pub async fn begin(&self, caller: &Principal, id: Option<InstanceId>) -> Result<AskedSync, SyncGroupsError> {
        let id = id.ok_or(SyncGroupsError::UnknownInstance)?;
        let found = self.instances.find(&caller.tenant, id).await?;
        let instance = found.ok_or(SyncGroupsError::UnknownInstance)?;
        if self.channels.group_directory(&instance.channel).is_none() {
            return Err(SyncGroupsError::NoGroups);
        }
        let credentials = self.cipher.open(instance.id, &instance.credentials)?;
        let account = Account { channel_instance_id: instance.channel_instance_id.clone(), credentials };
        let now = self.clock.now();
        let last = self.syncs.find(&caller.tenant, instance.id).await?;
        if let Some(running) = last.clone().filter(|last| last.runs_at(now)) {
            return Ok(AskedSync::Running(running));
        }
        let sync = GroupSync::begin(caller.tenant.clone(), instance.id, now);
        let sync = match &last {
            Some(last) => sync.after(last),
            None => sync,
        };
        if !self.syncs.begin(&sync, last.as_ref()).await? {
            return Ok(AskedSync::Running(self.standing(caller, Some(instance.id)).await?));
        }
        Ok(AskedSync::Begun(Box::new(BegunSync { instance, account, user_id: caller.subject.clone(), sync })))
    }

    /// A caller that hangs up must not drop this future: what it has begun is said to run.
    ///
    /// # Errors
    /// When the provider fails, or the database does not answer.
    pub async fn carry_out(&self, begun: BegunSync) -> Result<GroupSync, SyncGroupsError> {
        let BegunSync { instance, account, user_id, mut sync } = begun;
        match self.bring(&instance, &account, &user_id, &mut sync).await {
            Ok(()) => sync.status = SyncStatus::Finished,
            Err(SyncGroupsError::Superseded) => return Err(SyncGroupsError::Superseded),
            Err(error) => {
                sync.status = SyncStatus::Failed;
                sync.error = Some(match &error {
                    SyncGroupsError::Provider(reason) => reason.clone(),
                    _ => "The groups could not be stored.".to_owned(),
                });
                warn!(instance.id = %instance.id, %error, "the groups of an instance were not synced");
                self.note(&mut sync).await?;
                return Err(error);
            }
        }
        info!(instance.id = %instance.id, groups = sync.synced_groups, "the groups of an instance are synced");
        self.note(&mut sync).await?;
        Ok(sync)
    }

    /// The last one that was asked for.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn standing(&self, caller: &Principal, id: Option<InstanceId>) -> Result<GroupSync, SyncGroupsError> {
        let id = id.ok_or(SyncGroupsError::UnknownInstance)?;
        let sync = self.syncs.find(&caller.tenant, id).await?.ok_or(SyncGroupsError::NotSynced)?;
        Ok(sync.seen_at(self.clock.now()))
    }

    async fn bring(
        &self,
        instance: &Instance,
        account: &Account,
        user_id: &str,
        sync: &mut GroupSync,
    ) -> Result<(), SyncGroupsError> {
        let directory = self.channels.group_directory(&instance.channel).ok_or(SyncGroupsError::NoGroups)?;
        let ProvidedGroups { groups, unreadable } =
            directory.groups(account).await.map_err(SyncGroupsError::Provider)?;
        sync.total_groups = u32::try_from(groups.len()).unwrap_or(u32::MAX);
        for provided in groups {
            let members = u32::try_from(provided.participants.len()).unwrap_or(u32::MAX);
            let (group, members_of) = self.stored(instance, directory.kind(), user_id, sync, provided);
            self.syncs.store(&group, &members_of).await?;
            sync.synced_groups += 1;
            sync.total_members = sync.total_members.saturating_add(members);
            // Now and then, so that it is seen to run.
            if sync.synced_groups.is_multiple_of(50) {
                self.note(sync).await?;
            }
        }
        // One that began since has what the provider has now.
        self.note(sync).await?;
        if unreadable > 0 {
            warn!(instance.id = %instance.id, unreadable, "some of the groups that a provider lists cannot be read: none is deleted");
            return Ok(());
        }
        // What the provider has no more.
        while self.syncs.delete_before(instance.id, sync.started_at, DELETED_AT_ONCE).await?
            >= u64::from(DELETED_AT_ONCE)
        {
            self.note(sync).await?;
        }
        Ok(())
    }

    fn stored(
        &self,
        instance: &Instance,
        kind: GroupKind,
        user_id: &str,
        sync: &GroupSync,
        provided: ProviderGroup,
    ) -> (Group, Vec<Member>) {
        let now = self.clock.now();
        let group = Group {
            id: GroupId(self.ids.next()),
            tenant: instance.tenant.clone(),
            user_id: user_id.to_owned(),
            instance_id: instance.id,
            name: provided.name,
            description: None,
            kind,
            external_id: Some(provided.external_id),
            metadata: Some(provided.metadata),
            last_sync_at: Some(sync.started_at),
            created_at: now,
            updated_at: now,
        };
        let members = provided.participants.into_iter().map(|participant| Member {
            id: MemberId(self.ids.next()),
            group: group.id,
            identifier: participant.identifier,
            name: Some(participant.name),
            metadata: Some(participant.metadata),
            is_active: true,
            added_at: now,
        });
        let members = members.collect();
        (group, members)
    }

    /// A sync that another one has taken the place of goes no further: it was silent for too long.
    async fn note(&self, sync: &mut GroupSync) -> Result<(), SyncGroupsError> {
        sync.updated_at = self.clock.now();
        if self.syncs.note(sync).await? { Ok(()) } else { Err(SyncGroupsError::Superseded) }
    }
}
