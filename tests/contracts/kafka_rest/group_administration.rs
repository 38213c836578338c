use correio::application::ports::*;

use super::kafka::{AnyKafka, on_every_kafka, place, read};
use crate::support::eventually::{SOON, eventually};

on_every_kafka!(a_group_that_there_is_not_is_dead_and_made_by_a_commit, nothing_is_committed_for_a_group_with_members);

async fn a_group_that_there_is_not_is_dead_and_made_by_a_commit(kafka: AnyKafka) {
    let (topic, group) = (kafka.topic(2).await, format!("{}-group", kafka.name));
    let found = kafka.groups.describe(&group).await.unwrap();
    assert_eq!((found.state, found.members.len()), (GroupState::Dead, 0));
    assert_eq!(kafka.groups.committed(&group).await.unwrap(), []);
    let offsets: Vec<CommittedOffset> =
        (0..2).map(|partition| CommittedOffset { place: place(&topic, partition), offset: 0 }).collect();
    kafka.groups.commit(&group, &offsets).await.unwrap();
    assert_eq!(kafka.groups.committed(&group).await.unwrap(), offsets);
    let listed = kafka.groups.list().await.unwrap();
    let known = listed.iter().find(|listed| listed.id == group).unwrap();
    assert_eq!(known.state, GroupState::Empty);
    assert_eq!(kafka.groups.describe(&group).await.unwrap().state, GroupState::Empty);
}

async fn nothing_is_committed_for_a_group_with_members(kafka: AnyKafka) {
    let (topic, group) = (kafka.topic(1).await, format!("{}-group", kafka.name));
    kafka.put(&topic, 0, &["a", "b"]).await;
    let consumer = kafka.consumer(&group, false);
    consumer.subscribe(&Subscription::Topics(vec![topic.clone()])).await.unwrap();
    assert_eq!(read(&consumer, 2).await, ["a", "b"]);
    consumer.commit(None).await.unwrap();
    let found = kafka.groups.describe(&group).await.unwrap();
    assert_eq!((found.state, found.members.len()), (GroupState::Stable, 1));
    let beginning = [CommittedOffset { place: place(&topic, 0), offset: 0 }];
    let refused = kafka.groups.commit(&group, &beginning).await;
    assert!(matches!(refused, Err(AdministrationError::Active(_))), "{refused:?}");
    drop(consumer);
    eventually(SOON, "the group is empty", async || {
        (kafka.groups.describe(&group).await.unwrap().state == GroupState::Empty).then_some(())
    })
    .await;
    assert_eq!(kafka.groups.committed(&group).await.unwrap()[0].offset, 2);
    kafka.groups.commit(&group, &beginning).await.unwrap();
    assert_eq!(kafka.groups.committed(&group).await.unwrap(), beginning);
}
