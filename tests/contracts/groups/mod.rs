mod group_members;
mod group_repository;
mod group_syncs;

use correio::domain::group::member::{Identifier, IdentifierType, Member, MemberId};
use correio::domain::group::{Group, GroupId, GroupKind};

use crate::support::given::{at, id, instance, tenant};

fn group(tenant_name: &str, name: &str) -> Group {
    Group {
        id: GroupId(id()),
        tenant: tenant(tenant_name),
        user_id: "user".to_owned(),
        instance_id: instance(tenant_name, "hook").id,
        name: name.to_owned(),
        description: Some("Os de sempre".to_owned()),
        kind: GroupKind::Custom,
        external_id: None,
        metadata: Some(r#"{"b":1.00,"a":"é"}"#.to_owned()),
        last_sync_at: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn member(group: &Group, identifier: &str, name: Option<&str>) -> Member {
    Member {
        id: MemberId(id()),
        group: group.id,
        identifier: Identifier::parse(identifier, IdentifierType::Phone).unwrap(),
        name: name.map(str::to_owned),
        metadata: None,
        is_active: true,
        added_at: at(1),
    }
}

fn identifiers(members: &[Member]) -> Vec<&str> {
    members.iter().map(|member| member.identifier.as_str()).collect()
}
