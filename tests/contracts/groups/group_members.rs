use correio::domain::group::GroupId;
use correio::domain::group::member::{Identifier, IdentifierType, Member, MemberId};

use super::{group, identifiers, member};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id};

on_every_adapter![
    a_member_reads_back_as_it_was,
    one_that_is_in_the_group_is_changed_and_keeps_its_place,
    an_identifier_is_taken_once_in_each_group,
    members_are_listed_in_order_and_page_by_page,
    a_list_of_members_ends_where_it_is_too_much,
    one_that_is_removed_is_gone,
    nobody_is_added_to_a_group_that_is_not_there,
    of_those_added_at_once_none_is_lost,
];

async fn a_member_reads_back_as_it_was(adapters: &Adapters) {
    let mine = group("acme", "mine");
    adapters.groups.insert(&mine).await.unwrap();
    let metadata = Some(r#"{"b":1.00,"a":"é"}"#.to_owned());
    let full = Member { metadata, is_active: false, ..member(&mine, "1", Some("Ana")) };
    let identifier = Identifier::parse("ana@example.org", IdentifierType::Email).unwrap();
    let bare = Member { identifier, ..member(&mine, "2", None) };
    let added = adapters.group_members.add(mine.id, &[full.clone(), bare.clone()]).await.unwrap().unwrap();
    assert!(added.iter().all(|added| added.is_new));
    let given: Vec<Member> = added.into_iter().map(|added| added.member).collect();
    let listed = adapters.group_members.list(mine.id, None, 10).await.unwrap();
    assert_eq!((given, listed.members), (vec![full.clone(), bare.clone()], vec![full, bare]));
}

async fn one_that_is_in_the_group_is_changed_and_keeps_its_place(adapters: &Adapters) {
    let mine = group("acme", "mine");
    adapters.groups.insert(&mine).await.unwrap();
    let metadata = Some("{}".to_owned());
    let first = Member { metadata: metadata.clone(), is_active: false, ..member(&mine, "1", Some("Ana")) };
    adapters.group_members.add(mine.id, &[first.clone(), member(&mine, "2", None)]).await.unwrap().unwrap();
    let again = Member { added_at: at(9), ..member(&mine, "1", Some("Bia")) };
    let new = member(&mine, "3", None);
    let added = adapters.group_members.add(mine.id, &[again, new.clone()]).await.unwrap().unwrap();
    let changed = Member { name: Some("Bia".to_owned()), is_active: true, ..first };
    assert_eq!((&added[0].member, added[0].is_new), (&changed, false));
    assert_eq!((&added[1].member, added[1].is_new), (&new, true));
    let silent = adapters.group_members.add(mine.id, &[member(&mine, "1", None)]).await.unwrap().unwrap();
    assert_eq!((silent[0].member.name.as_deref(), &silent[0].member.metadata), (Some("Bia"), &metadata));
    let listed = adapters.group_members.list(mine.id, None, 10).await.unwrap();
    assert_eq!(identifiers(&listed.members), ["1", "2", "3"]);
}

async fn an_identifier_is_taken_once_in_each_group(adapters: &Adapters) {
    for name in ["a", "b"] {
        let group = group("acme", name);
        adapters.groups.insert(&group).await.unwrap();
        for is_new in [true, false] {
            let added = adapters.group_members.add(group.id, &[member(&group, "1", None)]).await.unwrap().unwrap();
            assert_eq!(added[0].is_new, is_new);
        }
    }
}

async fn members_are_listed_in_order_and_page_by_page(adapters: &Adapters) {
    let mine = group("acme", "mine");
    adapters.groups.insert(&mine).await.unwrap();
    let names = ["9", "5", "7", "1", "3"];
    let members: Vec<Member> = names.iter().map(|name| member(&mine, name, None)).collect();
    adapters.group_members.add(mine.id, &members).await.unwrap().unwrap();
    let (mut after, mut listed) = (None, Vec::new());
    for more in [true, true, false] {
        let page = adapters.group_members.list(mine.id, after, 2).await.unwrap();
        assert_eq!(page.more, more);
        after = page.members.last().map(|member| member.id);
        listed.extend(page.members);
    }
    assert_eq!(identifiers(&listed), names);
}

async fn a_list_of_members_ends_where_it_is_too_much(adapters: &Adapters) {
    let mine = group("acme", "mine");
    adapters.groups.insert(&mine).await.unwrap();
    for number in 0..4 {
        let metadata = Some(format!("{{\"a\":\"{}\"}}", "x".repeat(6 << 20)));
        let large = Member { metadata, ..member(&mine, &number.to_string(), None) };
        adapters.group_members.add(mine.id, &[large]).await.unwrap().unwrap();
    }
    let listed = adapters.group_members.list(mine.id, None, 10).await.unwrap();
    assert_eq!((identifiers(&listed.members), listed.more), (vec!["0", "1", "2"], true));
}

async fn one_that_is_removed_is_gone(adapters: &Adapters) {
    let (mine, other) = (group("acme", "mine"), group("acme", "other"));
    for group in [&mine, &other] {
        adapters.groups.insert(group).await.unwrap();
        adapters.group_members.add(group.id, &[member(group, "1", None)]).await.unwrap().unwrap();
    }
    assert!(adapters.group_members.remove(mine.id, "1").await.unwrap());
    assert!(!adapters.group_members.remove(mine.id, "1").await.unwrap());
    assert!(adapters.group_members.list(mine.id, None, 10).await.unwrap().members.is_empty());
    assert_eq!(adapters.group_members.list(other.id, None, 10).await.unwrap().members.len(), 1);
}

async fn nobody_is_added_to_a_group_that_is_not_there(adapters: &Adapters) {
    let gone = group("acme", "gone");
    let member = Member { id: MemberId(id()), ..member(&gone, "1", None) };
    assert_eq!(adapters.group_members.add(gone.id, &[member]).await.unwrap(), None);
    assert!(adapters.group_members.list(GroupId(id()), None, 10).await.unwrap().members.is_empty());
}

async fn of_those_added_at_once_none_is_lost(adapters: &Adapters) {
    let mine = group("acme", "mine");
    adapters.groups.insert(&mine).await.unwrap();
    let add = async |from: usize| {
        let numbers: Vec<usize> = if from.is_multiple_of(2) { (0..20).collect() } else { (0..20).rev().collect() };
        let members: Vec<Member> = numbers.iter().map(|number| member(&mine, &number.to_string(), None)).collect();
        adapters.group_members.add(mine.id, &members).await.unwrap().unwrap()
    };
    let added = futures::future::join_all((0..4).map(add)).await;
    let new = added.iter().flatten().filter(|added| added.is_new).count();
    let listed = adapters.group_members.list(mine.id, None, 100).await.unwrap();
    assert_eq!((new, listed.members.len()), (20, 20));
}
