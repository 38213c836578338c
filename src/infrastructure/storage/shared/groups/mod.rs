//! Groups, their members and their syncs, from rows of either database.

use super::rows::{Row, id, number_option, parsed, tenant, text, text_option, there, time};
use crate::application::ports::RepositoryError;
use crate::domain::group::member::{Identifier, IdentifierType, Member, MemberId};
use crate::domain::group::sync::{GroupSync, SyncStatus};
use crate::domain::group::{Group, GroupId};
use crate::domain::instance::InstanceId;

macro_rules! group_columns {
    () => {
        "id, tenant, user_id, instance_id, name, description, type, external_group_id, metadata, last_sync_at, created_at,
         updated_at"
    };
}
pub(in crate::infrastructure::storage) use group_columns;

macro_rules! member_columns {
    () => {
        "id, group_id, identifier, identifier_type, name, metadata, is_active, added_at"
    };
}
pub(in crate::infrastructure::storage) use member_columns;

macro_rules! sync_columns {
    () => {
        "instance_id, tenant, status, total_groups, synced_groups, total_members, error, started_at, updated_at"
    };
}
pub(in crate::infrastructure::storage) use sync_columns;

pub fn group(row: &impl Row) -> Result<Group, RepositoryError> {
    Ok(Group {
        id: GroupId(id(row, "id")?),
        tenant: tenant(row)?,
        user_id: text(row, "user_id")?,
        instance_id: InstanceId(id(row, "instance_id")?),
        name: text(row, "name")?,
        description: text_option(row, "description")?,
        kind: parsed(row, "type", |text| text.parse().ok())?,
        external_id: text_option(row, "external_group_id")?,
        metadata: row.json("metadata")?,
        last_sync_at: row.time("last_sync_at")?,
        created_at: time(row, "created_at")?,
        updated_at: time(row, "updated_at")?,
    })
}

pub fn member(row: &impl Row) -> Result<Member, RepositoryError> {
    let kind: IdentifierType = parsed(row, "identifier_type", |text| text.parse().ok())?;
    Ok(Member {
        id: MemberId(id(row, "id")?),
        group: GroupId(id(row, "group_id")?),
        identifier: Identifier::stored(text(row, "identifier")?, kind),
        name: text_option(row, "name")?,
        metadata: row.json("metadata")?,
        is_active: there("is_active", row.flag("is_active"))?,
        added_at: time(row, "added_at")?,
    })
}

pub fn sync(row: &impl Row) -> Result<GroupSync, RepositoryError> {
    let count = |column| number_option(row, column).map(Option::unwrap_or_default);
    Ok(GroupSync {
        instance_id: InstanceId(id(row, "instance_id")?),
        tenant: tenant(row)?,
        status: parsed(row, "status", SyncStatus::parse)?,
        total_groups: count("total_groups")?,
        synced_groups: count("synced_groups")?,
        total_members: count("total_members")?,
        error: text_option(row, "error")?,
        started_at: time(row, "started_at")?,
        updated_at: time(row, "updated_at")?,
    })
}
