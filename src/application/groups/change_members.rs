use std::collections::HashMap;
use std::sync::Arc;

use crate::application::ports::{
    Added, Channels, Clock, GroupMembers, GroupRepository, Ids, InstanceRepository, RepositoryError,
};
use crate::domain::access::principal::Principal;
use crate::domain::group::member::{Identifier, MOST_MEMBERS, Member, MemberId};
use crate::domain::group::{Group, GroupId};
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::Content;

/// Puts members into a tenant's own groups, and takes them out.
pub struct ChangeMembers {
    pub groups: Arc<dyn GroupRepository>,
    pub members: Arc<dyn GroupMembers>,
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

/// Who is to be added.
#[derive(Clone, Debug)]
pub struct NewMember {
    pub identifier: Identifier,
    pub name: Option<String>,
    /// Compact JSON text of an object.
    pub metadata: Option<String>,
}

/// What became of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub added: usize,
    pub updated: usize,
    /// By the place among those that were given: why, as the end of a sentence.
    pub refused: Vec<(usize, String)>,
}

#[derive(Debug, thiserror::Error)]
pub enum ChangeMembersError {
    /// Also for a group of another tenant.
    #[error("there is no such group")]
    UnknownGroup,
    #[error("there is no such member")]
    UnknownMember,
    #[error("the members of a synced group are its provider's")]
    IsSynced,
    #[error("the group would have more than {MOST_MEMBERS} members")]
    TooMany,
    /// The group's channel would refuse what is sent there: the end of a sentence.
    #[error("the identifier {0}")]
    Refused(String),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ChangeMembers {
    /// One that is in the group already is changed.
    ///
    /// # Errors
    /// When the tenant has no such group, it is full, synced, or the database does not answer; or the channel takes no such
    /// recipient.
    pub async fn add(&self, caller: &Principal, id: GroupId, new: NewMember) -> Result<Added, ChangeMembersError> {
        let group = self.custom(caller, id).await?;
        let channel = self.channel(&group).await?;
        if let Some(flaw) = self.flaw(channel.as_ref(), &new.identifier) {
            return Err(ChangeMembersError::Refused(flaw));
        }
        let member = self.member(group.id, new);
        let added = self.members.add(group.id, &[member]).await?;
        added.and_then(|added| added.into_iter().next()).ok_or(ChangeMembersError::TooMany)
    }

    /// All that can be, at once; of those with one identifier the last holds. Each was read or not before: why not is kept.
    ///
    /// # Errors
    /// As above; but whom the channel refuses is not added, and said.
    pub async fn add_many(
        &self,
        caller: &Principal,
        id: GroupId,
        new: Vec<Result<NewMember, String>>,
    ) -> Result<Batch, ChangeMembersError> {
        let group = self.custom(caller, id).await?;
        let channel = self.channel(&group).await?;
        let mut batch = Batch::default();
        let mut chosen: Vec<Member> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut again = 0;
        for (place, new) in new.into_iter().enumerate() {
            let new = match new {
                Ok(new) => new,
                Err(flaw) => {
                    batch.refused.push((place, flaw));
                    continue;
                }
            };
            if let Some(flaw) = self.flaw(channel.as_ref(), &new.identifier) {
                batch.refused.push((place, format!("identifier {flaw}")));
                continue;
            }
            let member = self.member(group.id, new);
            match places.get(member.identifier.as_str()) {
                Some(&earlier) => {
                    again += 1;
                    let id = chosen[earlier].id;
                    chosen[earlier] = Member { id, ..member };
                }
                None => {
                    places.insert(member.identifier.as_str().to_owned(), chosen.len());
                    chosen.push(member);
                }
            }
        }
        if !chosen.is_empty() {
            let added = self.members.add(group.id, &chosen).await?.ok_or(ChangeMembersError::TooMany)?;
            batch.added = added.iter().filter(|added| added.is_new).count();
            batch.updated = added.len() - batch.added + again;
        }
        Ok(batch)
    }

    /// # Errors
    /// When the tenant has no such group, it has no such member, it is synced, or the database does not answer.
    pub async fn remove(&self, caller: &Principal, id: GroupId, identifier: &str) -> Result<(), ChangeMembersError> {
        let group = self.custom(caller, id).await?;
        let is_removed = self.members.remove(group.id, identifier).await?;
        is_removed.then_some(()).ok_or(ChangeMembersError::UnknownMember)
    }

    async fn custom(&self, caller: &Principal, id: GroupId) -> Result<Group, ChangeMembersError> {
        let group = self.groups.find(&caller.tenant, id).await?.ok_or(ChangeMembersError::UnknownGroup)?;
        if group.kind.is_synced() { Err(ChangeMembersError::IsSynced) } else { Ok(group) }
    }

    /// None when the instance is gone.
    async fn channel(&self, group: &Group) -> Result<Option<ChannelName>, RepositoryError> {
        let instance = self.instances.find(&group.tenant, group.instance_id).await?;
        Ok(instance.map(|instance| instance.channel))
    }

    /// Why its channel would refuse each message to it.
    fn flaw(&self, channel: Option<&ChannelName>, identifier: &Identifier) -> Option<String> {
        let sender = self.channels.find(channel?)?;
        let content = Content { text: Some("-".to_owned()), ..Content::default() };
        let problems = sender.check_message(&identifier.recipient(), &content).err()?;
        problems.into_iter().find(|problem| problem.path == "/remoteJid").map(|problem| problem.detail)
    }

    fn member(&self, group: GroupId, new: NewMember) -> Member {
        Member {
            id: MemberId(self.ids.next()),
            group,
            identifier: new.identifier,
            name: new.name,
            metadata: new.metadata,
            is_active: true,
            added_at: self.clock.now(),
        }
    }
}
