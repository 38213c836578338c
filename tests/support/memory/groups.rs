use std::collections::HashMap;

use async_trait::async_trait;
use correio::application::ports::{
    Added, BYTES_AT_ONCE, GroupMembers, GroupRepository, GroupSyncs, ListedGroups, ListedMembers, RepositoryError,
    SearchError,
};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::group::member::{MOST_MEMBERS, Member, MemberId};
use correio::domain::group::sync::GroupSync;
use correio::domain::group::{Group, GroupChange, GroupDescription, GroupId, GroupName};
use correio::domain::instance::InstanceId;

use super::database::MemoryDatabase;
use super::tables::{Tables, storable};

#[derive(Clone)]
pub struct MemoryGroups {
    database: MemoryDatabase,
}

impl MemoryGroups {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

/// As many as one list may hold, and whether others follow.
fn page<T: Clone>(found: impl Iterator<Item = T>, bytes: impl Fn(&T) -> usize, limit: u32) -> (Vec<T>, bool) {
    let (mut page, mut before) = (Vec::new(), 0);
    for item in found {
        if page.len() == limit as usize || before >= BYTES_AT_ONCE {
            return (page, true);
        }
        before += bytes(&item) as u64;
        page.push(item);
    }
    (page, false)
}

fn length(text: &Option<String>) -> usize {
    text.as_ref().map_or(0, String::len)
}

#[async_trait]
impl GroupRepository for MemoryGroups {
    async fn insert(&self, group: &Group) -> Result<(), RepositoryError> {
        let insert = |tables: &mut Tables| {
            storable([Some(group.name.as_str()), group.description.as_deref()])?;
            tables.groups.insert(group.id, group.clone());
            tables.sync();
            Ok(())
        };
        self.database.run_now("groups.insert", insert).await
    }

    async fn find(&self, tenant: &Tenant, id: GroupId) -> Result<Option<Group>, RepositoryError> {
        let find = |tables: &mut Tables| tables.groups.get(&id).filter(|it| it.tenant == *tenant).cloned();
        self.database.run_now("groups.find", |tables| Ok(find(tables))).await
    }

    async fn list(
        &self,
        tenant: &Tenant,
        instance: Option<InstanceId>,
        after: Option<GroupId>,
        limit: u32,
    ) -> Result<ListedGroups, SearchError> {
        let list = |tables: &mut Tables| {
            let found = tables.groups.values().filter(|it| {
                it.tenant == *tenant
                    && instance.is_none_or(|instance| it.instance_id == instance)
                    && after.is_none_or(|after| it.id > after)
            });
            let bytes = |it: &Group| it.name.len() + length(&it.description) + length(&it.metadata) + 512;
            let (groups, more) = page(found.cloned(), bytes, limit);
            Ok(ListedGroups { groups, more })
        };
        Ok(self.database.run_now("groups.list", list).await?)
    }

    async fn update(
        &self,
        tenant: &Tenant,
        id: GroupId,
        change: &GroupChange,
        now: Timestamp,
    ) -> Result<Option<Group>, RepositoryError> {
        let update = |tables: &mut Tables| {
            let Some(group) = tables.groups.get_mut(&id).filter(|it| it.tenant == *tenant) else { return Ok(None) };
            if let Some(name) = &change.name {
                group.name = GroupName::as_str(name).to_owned();
            }
            if let Some(description) = &change.description {
                group.description = description.as_ref().map(|it| GroupDescription::as_str(it).to_owned());
            }
            group.updated_at = group.updated_at.max(now);
            let group = group.clone();
            tables.sync();
            Ok(Some(group))
        };
        self.database.run_now("groups.update", update).await
    }

    async fn delete(&self, tenant: &Tenant, id: GroupId) -> Result<bool, RepositoryError> {
        let delete = |tables: &mut Tables| {
            if tables.groups.get(&id).is_none_or(|it| it.tenant != *tenant) {
                return Ok(false);
            }
            forget(tables, &[id]);
            Ok(true)
        };
        self.database.run_now("groups.delete", delete).await
    }

    async fn delete_of(&self, instances: &[InstanceId], limit: u32) -> Result<u64, RepositoryError> {
        let delete = |tables: &mut Tables| {
            tables.group_syncs.retain(|instance, _| !instances.contains(instance));
            let of = tables.groups.values().filter(|it| instances.contains(&it.instance_id));
            let of: Vec<GroupId> = of.map(|it| it.id).take(limit as usize).collect();
            forget(tables, &of);
            Ok(of.len() as u64)
        };
        self.database.run_now("groups.delete_of", delete).await
    }
}

fn forget(tables: &mut Tables, groups: &[GroupId]) {
    tables.groups.retain(|id, _| !groups.contains(id));
    tables.group_members.retain(|_, member| !groups.contains(&member.group));
    tables.sync();
}

/// As it is in the group then.
fn put(tables: &mut Tables, group: GroupId, given: &Member) -> Member {
    let members = tables.group_members.values_mut();
    let known = members.into_iter().find(|it| it.group == group && it.identifier.as_str() == given.identifier.as_str());
    match known {
        Some(known) => {
            known.identifier = given.identifier.clone();
            known.name = given.name.clone().or(known.name.take());
            known.metadata = given.metadata.clone().or(known.metadata.take());
            known.is_active = given.is_active;
            known.clone()
        }
        None => {
            let member = Member { group, ..given.clone() };
            tables.group_members.insert(member.id, member.clone());
            member
        }
    }
}

#[async_trait]
impl GroupMembers for MemoryGroups {
    async fn add(&self, group: GroupId, members: &[Member]) -> Result<Option<Vec<Added>>, RepositoryError> {
        let add = |tables: &mut Tables| {
            if !tables.groups.contains_key(&group) {
                return Ok(None);
            }
            let texts = members.iter().flat_map(|it| [Some(it.identifier.as_str()), it.name.as_deref()]);
            storable(texts)?;
            let of_group = tables.group_members.values().filter(|it| it.group == group);
            let known: HashMap<&str, ()> = of_group.map(|it| (it.identifier.as_str(), ())).collect();
            let new = members.iter().filter(|it| !known.contains_key(it.identifier.as_str())).count();
            if known.len() + new > MOST_MEMBERS as usize {
                return Ok(None);
            }
            let added = members.iter().map(|given| {
                let member = put(tables, group, given);
                Added { is_new: member.id == given.id, member }
            });
            let added = added.collect();
            tables.sync();
            Ok(Some(added))
        };
        self.database.run_now("group_members.add", add).await
    }

    async fn list(&self, group: GroupId, after: Option<MemberId>, limit: u32) -> Result<ListedMembers, SearchError> {
        let list = |tables: &mut Tables| {
            let members = tables.group_members.values();
            let found = members.filter(|it| it.group == group && after.is_none_or(|after| it.id > after));
            let bytes = |it: &Member| it.identifier.as_str().len() + length(&it.name) + length(&it.metadata) + 64;
            let (members, more) = page(found.cloned(), bytes, limit);
            Ok(ListedMembers { members, more })
        };
        Ok(self.database.run_now("group_members.list", list).await?)
    }

    async fn remove(&self, group: GroupId, identifier: &str) -> Result<bool, RepositoryError> {
        let remove = |tables: &mut Tables| {
            let before = tables.group_members.len();
            tables.group_members.retain(|_, it| it.group != group || it.identifier.as_str() != identifier);
            tables.sync();
            Ok(tables.group_members.len() < before)
        };
        self.database.run_now("group_members.remove", remove).await
    }
}

#[async_trait]
impl GroupSyncs for MemoryGroups {
    async fn begin(&self, sync: &GroupSync, last: Option<&GroupSync>) -> Result<bool, RepositoryError> {
        let begin = |tables: &mut Tables| {
            let found = |it: &GroupSync| (it.started_at, it.updated_at);
            let known = tables.group_syncs.get(&sync.instance_id).map(found);
            if known.is_some() && known != last.map(found) {
                return Ok(false);
            }
            tables.group_syncs.insert(sync.instance_id, sync.clone());
            tables.sync();
            Ok(true)
        };
        self.database.run_now("group_syncs.begin", begin).await
    }

    async fn note(&self, sync: &GroupSync) -> Result<bool, RepositoryError> {
        let note = |tables: &mut Tables| {
            let known = tables.group_syncs.get_mut(&sync.instance_id);
            let Some(known) = known.filter(|it| it.started_at == sync.started_at) else { return Ok(false) };
            *known = GroupSync { tenant: known.tenant.clone(), ..sync.clone() };
            tables.sync();
            Ok(true)
        };
        self.database.run_now("group_syncs.note", note).await
    }

    async fn find(&self, tenant: &Tenant, instance: InstanceId) -> Result<Option<GroupSync>, RepositoryError> {
        let find = |tables: &mut Tables| tables.group_syncs.get(&instance).filter(|it| it.tenant == *tenant).cloned();
        self.database.run_now("group_syncs.find", |tables| Ok(find(tables))).await
    }

    async fn store(&self, group: &Group, members: &[Member]) -> Result<(), RepositoryError> {
        let store = |tables: &mut Tables| {
            let is_it = |it: &&mut Group| it.instance_id == group.instance_id && it.external_id == group.external_id;
            let id = match tables.groups.values_mut().find(is_it) {
                Some(known) if known.last_sync_at > group.last_sync_at => return Ok(()),
                Some(known) => {
                    known.name.clone_from(&group.name);
                    known.kind = group.kind;
                    known.metadata.clone_from(&group.metadata);
                    known.last_sync_at = group.last_sync_at;
                    known.updated_at = known.updated_at.max(group.updated_at);
                    known.id
                }
                None => {
                    tables.groups.insert(group.id, group.clone());
                    group.id
                }
            };
            let stays = |it: &Member| members.iter().any(|member| member.identifier.as_str() == it.identifier.as_str());
            tables.group_members.retain(|_, it| it.group != id || stays(it));
            for member in members {
                put(tables, id, member);
            }
            tables.sync();
            Ok(())
        };
        self.database.run_now("group_syncs.store", store).await
    }

    async fn delete_before(&self, instance: InstanceId, since: Timestamp, limit: u32) -> Result<u64, RepositoryError> {
        let delete = |tables: &mut Tables| {
            let is_old = |it: &&Group| {
                it.instance_id == instance && it.kind.is_synced() && it.last_sync_at.is_some_and(|at| at < since)
            };
            let old = tables.groups.values().filter(is_old).map(|it| it.id).take(limit as usize);
            let old: Vec<GroupId> = old.collect();
            forget(tables, &old);
            Ok(old.len() as u64)
        };
        self.database.run_now("group_syncs.delete_before", delete).await
    }
}
