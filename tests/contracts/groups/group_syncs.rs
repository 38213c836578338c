use correio::domain::group::member::Member;
use correio::domain::group::sync::{GroupSync, SyncStatus};
use correio::domain::group::{Group, GroupId, GroupKind};

use super::{group, identifiers, member};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, tenant};

on_every_adapter![
    a_sync_takes_the_place_of_the_one_that_was_found,
    a_sync_is_noted_by_the_one_that_began_it,
    a_foreign_sync_is_like_none,
    a_synced_group_is_as_its_provider_has_it,
    what_the_provider_has_no_more_is_deleted,
];

fn synced(name: &str) -> Group {
    let external_id = Some("1203@g.us".to_owned());
    Group { kind: GroupKind::SyncedWhatsapp, external_id, last_sync_at: Some(at(1)), ..group("acme", name) }
}

async fn a_sync_takes_the_place_of_the_one_that_was_found(adapters: &Adapters) {
    let syncs = &adapters.group_syncs;
    let first = GroupSync::begin(tenant("acme"), group("acme", "x").instance_id, at(0));
    assert!(syncs.begin(&first, None).await.unwrap());
    assert!(!syncs.begin(&first, None).await.unwrap(), "there is one");
    let second = GroupSync { started_at: at(400), updated_at: at(400), ..first.clone() };
    assert!(syncs.begin(&second, Some(&first)).await.unwrap());
    let third = GroupSync { started_at: at(401), updated_at: at(401), ..first.clone() };
    assert!(!syncs.begin(&third, Some(&first)).await.unwrap(), "another has begun since");
    let ended =
        GroupSync { status: SyncStatus::Failed, error: Some("away".to_owned()), updated_at: at(402), ..second.clone() };
    assert!(syncs.note(&ended).await.unwrap());
    assert!(!syncs.begin(&third, Some(&second)).await.unwrap(), "it has said something since");
    assert!(syncs.begin(&third, Some(&ended)).await.unwrap());
    let found = adapters.group_syncs.find(&third.tenant, third.instance_id).await.unwrap();
    assert_eq!(found, Some(third));
}

async fn a_sync_is_noted_by_the_one_that_began_it(adapters: &Adapters) {
    let sync = GroupSync::begin(tenant("acme"), group("acme", "x").instance_id, at(0));
    assert!(!adapters.group_syncs.note(&sync).await.unwrap());
    assert!(adapters.group_syncs.begin(&sync, None).await.unwrap());
    let late = GroupSync { started_at: at(-5), total_groups: 9, ..sync.clone() };
    assert!(!adapters.group_syncs.note(&late).await.unwrap());
    let noted = GroupSync {
        status: SyncStatus::Finished,
        total_groups: 3,
        synced_groups: 2,
        total_members: 70_000,
        updated_at: at(8),
        ..sync
    };
    assert!(adapters.group_syncs.note(&noted).await.unwrap());
    let found = adapters.group_syncs.find(&noted.tenant, noted.instance_id).await.unwrap();
    assert_eq!(found, Some(noted));
}

async fn a_foreign_sync_is_like_none(adapters: &Adapters) {
    let sync = GroupSync::begin(tenant("acme"), group("acme", "x").instance_id, at(0));
    assert!(adapters.group_syncs.begin(&sync, None).await.unwrap());
    assert_eq!(adapters.group_syncs.find(&tenant("globex"), sync.instance_id).await.unwrap(), None);
}

async fn a_synced_group_is_as_its_provider_has_it(adapters: &Adapters) {
    let first = synced("Vendas");
    let people = |group: &Group, names: &[&str]| -> Vec<Member> {
        names.iter().map(|name| member(group, name, Some("Sem nome"))).collect()
    };
    adapters.group_syncs.store(&first, &people(&first, &["1", "2"])).await.unwrap();
    let again = Group {
        id: GroupId(id()),
        description: None,
        metadata: Some("{}".to_owned()),
        last_sync_at: Some(at(50)),
        created_at: at(50),
        updated_at: at(50),
        ..Group { instance_id: first.instance_id, ..synced("Vendas e trocas") }
    };
    adapters.group_syncs.store(&again, &people(&again, &["2", "3"])).await.unwrap();
    let listed = adapters.groups.list(&first.tenant, None, None, 10).await.unwrap().groups;
    let expected =
        Group { id: first.id, description: first.description.clone(), created_at: first.created_at, ..again };
    assert_eq!(listed, [expected]);
    let members = adapters.group_members.list(first.id, None, 10).await.unwrap().members;
    assert_eq!(identifiers(&members), ["2", "3"]);
    assert!(members.iter().all(|member| member.group == first.id));
    // By a sync that had begun before.
    adapters.group_syncs.store(&Group { id: GroupId(id()), ..first.clone() }, &[]).await.unwrap();
    let members = adapters.group_members.list(first.id, None, 10).await.unwrap().members;
    assert_eq!(identifiers(&members), ["2", "3"]);
    let emptied = Group { id: GroupId(id()), last_sync_at: Some(at(60)), ..first.clone() };
    adapters.group_syncs.store(&emptied, &[]).await.unwrap();
    assert!(adapters.group_members.list(first.id, None, 10).await.unwrap().members.is_empty());
}

async fn what_the_provider_has_no_more_is_deleted(adapters: &Adapters) {
    let old = synced("old");
    let kept = Group {
        external_id: Some("1204@g.us".to_owned()),
        last_sync_at: Some(at(5)),
        instance_id: old.instance_id,
        ..synced("kept")
    };
    let custom = Group { instance_id: old.instance_id, ..group("acme", "custom") };
    let others = synced("of another instance");
    for group in [&old, &kept, &others] {
        adapters.group_syncs.store(group, &[member(group, "1", None)]).await.unwrap();
    }
    adapters.groups.insert(&custom).await.unwrap();
    assert_eq!(adapters.group_syncs.delete_before(old.instance_id, at(5), 10).await.unwrap(), 1);
    let left = adapters.groups.list(&tenant("acme"), None, None, 10).await.unwrap().groups;
    let mut names: Vec<&str> = left.iter().map(|group| group.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["custom", "kept", "of another instance"]);
    assert!(adapters.group_members.list(old.id, None, 10).await.unwrap().members.is_empty());
}
