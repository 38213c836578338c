use correio::domain::group::{Group, GroupChange, GroupDescription, GroupId, GroupKind, GroupName};

use super::{group, member};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, tenant};

on_every_adapter![
    a_group_reads_back_as_it_was,
    a_foreign_group_is_like_none,
    groups_are_listed_oldest_first_and_page_by_page,
    a_list_of_groups_ends_where_it_is_too_much,
    a_change_of_a_group_writes_what_it_names,
    a_deleted_group_takes_its_members_along,
    the_groups_of_a_deleted_instance_go_portion_by_portion,
];

async fn stored(adapters: &Adapters, group: Group) -> Group {
    adapters.groups.insert(&group).await.unwrap();
    group
}

async fn a_group_reads_back_as_it_was(adapters: &Adapters) {
    let full = Group {
        kind: GroupKind::SyncedWhatsapp,
        external_id: Some("1203@g.us".to_owned()),
        last_sync_at: Some(at(3)),
        ..group("acme", "full")
    };
    let bare = Group { description: None, metadata: None, ..group("acme", "bare") };
    for group in [full, bare] {
        let group = stored(adapters, group).await;
        assert_eq!(adapters.groups.find(&group.tenant, group.id).await.unwrap(), Some(group));
    }
}

async fn a_foreign_group_is_like_none(adapters: &Adapters) {
    let theirs = stored(adapters, group("acme", "theirs")).await;
    let me = tenant("globex");
    assert_eq!(adapters.groups.find(&me, theirs.id).await.unwrap(), None);
    assert!(adapters.groups.list(&me, None, None, 10).await.unwrap().groups.is_empty());
    assert!(adapters.groups.list(&me, Some(theirs.instance_id), None, 10).await.unwrap().groups.is_empty());
    let change = GroupChange { description: Some(None), ..GroupChange::default() };
    assert_eq!(adapters.groups.update(&me, theirs.id, &change, at(5)).await.unwrap(), None);
    assert!(!adapters.groups.delete(&me, theirs.id).await.unwrap());
    assert_eq!(adapters.groups.find(&theirs.tenant, theirs.id).await.unwrap(), Some(theirs));
    assert_eq!(adapters.groups.find(&me, GroupId(id())).await.unwrap(), None);
}

async fn groups_are_listed_oldest_first_and_page_by_page(adapters: &Adapters) {
    let mut all = Vec::new();
    for number in 0..5 {
        all.push(stored(adapters, group("acme", &format!("group {number}"))).await);
    }
    stored(adapters, group("globex", "theirs")).await;
    let (acme, mut after, mut listed) = (tenant("acme"), None, Vec::new());
    for more in [true, true, false] {
        let page = adapters.groups.list(&acme, None, after, 2).await.unwrap();
        assert_eq!(page.more, more);
        after = page.groups.last().map(|group| group.id);
        listed.extend(page.groups);
    }
    assert_eq!(listed, all);
    let of_one = adapters.groups.list(&acme, Some(all[3].instance_id), None, 10).await.unwrap();
    assert_eq!((of_one.groups, of_one.more), (vec![all[3].clone()], false));
}

async fn a_list_of_groups_ends_where_it_is_too_much(adapters: &Adapters) {
    for number in 0..4 {
        let metadata = Some(format!("{{\"a\":\"{}\"}}", "x".repeat(6 << 20)));
        stored(adapters, Group { metadata, ..group("acme", &format!("group {number}")) }).await;
    }
    let listed = adapters.groups.list(&tenant("acme"), None, None, 10).await.unwrap();
    assert_eq!((listed.groups.len(), listed.more), (3, true));
    let last = listed.groups.last().map(|group| group.id);
    let rest = adapters.groups.list(&tenant("acme"), None, last, 10).await.unwrap();
    assert_eq!((rest.groups.len(), rest.more), (1, false));
}

async fn a_change_of_a_group_writes_what_it_names(adapters: &Adapters) {
    let mine = stored(adapters, group("acme", "mine")).await;
    let name = GroupChange { name: Some(GroupName::parse("Novos").unwrap()), description: None };
    let now = adapters.groups.update(&mine.tenant, mine.id, &name, at(5)).await.unwrap().unwrap();
    assert_eq!(now, Group { name: "Novos".to_owned(), updated_at: at(5), ..mine.clone() });
    let text = GroupDescription::parse("outros").unwrap();
    for description in [None, Some(text)] {
        let change = GroupChange { name: None, description: Some(description.clone()) };
        let now = adapters.groups.update(&mine.tenant, mine.id, &change, at(2)).await.unwrap().unwrap();
        let description = description.map(GroupDescription::into_string);
        assert_eq!((now.name.as_str(), now.description, now.updated_at), ("Novos", description, at(5)));
    }
}

async fn a_deleted_group_takes_its_members_along(adapters: &Adapters) {
    let (mine, other) = (stored(adapters, group("acme", "a")).await, stored(adapters, group("acme", "b")).await);
    for group in [&mine, &other] {
        adapters.group_members.add(group.id, &[member(group, "1", None)]).await.unwrap().unwrap();
    }
    assert!(adapters.groups.delete(&mine.tenant, mine.id).await.unwrap());
    assert!(!adapters.groups.delete(&mine.tenant, mine.id).await.unwrap());
    assert!(adapters.group_members.list(mine.id, None, 10).await.unwrap().members.is_empty());
    assert_eq!(adapters.group_members.list(other.id, None, 10).await.unwrap().members.len(), 1);
}

async fn the_groups_of_a_deleted_instance_go_portion_by_portion(adapters: &Adapters) {
    let first = stored(adapters, group("acme", "a")).await;
    for _ in 0..2 {
        let group = stored(adapters, Group { instance_id: first.instance_id, ..group("acme", "b") }).await;
        adapters.group_members.add(group.id, &[member(&group, "1", None)]).await.unwrap().unwrap();
    }
    let other = stored(adapters, group("acme", "other")).await;
    let instances = [first.instance_id];
    assert_eq!(adapters.groups.delete_of(&instances, 2).await.unwrap(), 2);
    assert_eq!(adapters.groups.delete_of(&instances, 2).await.unwrap(), 1);
    assert_eq!(adapters.groups.delete_of(&[], 2).await.unwrap(), 0);
    let left = adapters.groups.list(&tenant("acme"), None, None, 10).await.unwrap().groups;
    assert_eq!(left, [other]);
}
