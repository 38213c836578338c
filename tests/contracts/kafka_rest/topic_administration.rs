use correio::application::ports::*;

use super::kafka::{AnyKafka, on_every_kafka, place};
use crate::support::eventually::{SOON, eventually};

on_every_kafka!(
    a_topic_is_made_grown_and_deleted,
    what_is_only_validated_is_not_done,
    what_the_broker_refuses_is_told_apart,
    settings_are_changed_alone_and_given_back,
    places_in_partitions_are_offsets,
);

async fn described(kafka: &AnyKafka, name: &str) -> Result<Topic, AdministrationError> {
    Ok(kafka.topics.describe(&[name.to_owned()]).await?.remove(0))
}

async fn a_topic_is_made_grown_and_deleted(kafka: AnyKafka) {
    let (first, second) = (kafka.topic(2).await, kafka.topic(1).await);
    let names = kafka.topics.names().await.unwrap();
    assert!(names.contains(&first) && names.is_sorted(), "{names:?}");
    let both = kafka.topics.describe(&[second.clone(), first.clone()]).await.unwrap();
    assert_eq!(both.iter().map(|topic| &topic.name).collect::<Vec<_>>(), [&second, &first], "in the order asked for");
    let topic = &both[1];
    assert!(!topic.is_internal && !topic.id.is_empty());
    assert_eq!((topic.replication_factor(), topic.partitions.len()), (1, 2));
    let cluster = kafka.topics.cluster().await.unwrap();
    assert!(!cluster.id.is_empty());
    let leader = topic.partitions[0].leader.unwrap();
    assert!(cluster.brokers.iter().any(|broker| broker.id == leader));

    kafka.topics.set_partitions(&first, 3).await.unwrap();
    eventually(SOON, "it has grown", async || {
        (described(&kafka, &first).await.unwrap().partitions.len() == 3).then_some(())
    })
    .await;
    kafka.topics.delete(&first).await.unwrap();
    eventually(SOON, "it is gone", async || described(&kafka, &first).await.err()).await;
}

async fn what_is_only_validated_is_not_done(kafka: AnyKafka) {
    let new = kafka.new_topic(1);
    kafka.topics.create(&new, true).await.unwrap();
    assert!(!kafka.topics.names().await.unwrap().contains(&new.name));
    let topic = kafka.topic(1).await;
    let change = SettingChange { name: "retention.ms".to_owned(), value: Some("5".to_owned()) };
    kafka.topics.change_settings(&topic, &[change], true).await.unwrap();
    assert_ne!(retention(&kafka, &topic).await.value.as_deref(), Some("5"));
}

async fn what_the_broker_refuses_is_told_apart(kafka: AnyKafka) {
    let topic = kafka.topic(1).await;
    let new = NewTopic { name: topic.clone(), ..kafka.new_topic(1) };
    let exists = AdministrationError::Exists(format!("Topic '{topic}' already exists."));
    assert_eq!(kafka.topics.create(&new, false).await, Err(exists));
    for new in [
        NewTopic { replication_factor: Some(30), ..kafka.new_topic(1) },
        NewTopic { name: "a b".to_owned(), ..kafka.new_topic(1) },
    ] {
        let refused = kafka.topics.create(&new, false).await;
        assert!(matches!(refused, Err(AdministrationError::Invalid(_))), "{refused:?}");
    }
    assert!(matches!(kafka.topics.set_partitions(&topic, 1).await, Err(AdministrationError::Invalid(_))));
    let away = format!("{}-away", kafka.name);
    assert!(matches!(described(&kafka, &away).await, Err(AdministrationError::Unknown(_))));
    assert!(matches!(kafka.topics.delete(&away).await, Err(AdministrationError::Unknown(_))));
    assert!(!kafka.topics.names().await.unwrap().contains(&away), "asking makes no topic");
    let change = SettingChange { name: "retention.ms".to_owned(), value: Some("soon".to_owned()) };
    let refused = kafka.topics.change_settings(&topic, &[change], false).await;
    assert!(matches!(refused, Err(AdministrationError::Invalid(_))), "{refused:?}");
}

async fn retention(kafka: &AnyKafka, topic: &str) -> TopicSetting {
    let settings = kafka.topics.settings(&[topic.to_owned()]).await.unwrap().remove(0);
    settings.into_iter().find(|setting| setting.name == "retention.ms").unwrap()
}

async fn settings_are_changed_alone_and_given_back(kafka: AnyKafka) {
    let topic = kafka.topic(1).await;
    let default = retention(&kafka, &topic).await;
    assert!(default.is_default, "{default:?}");
    for value in [Some("100000"), None] {
        let change = SettingChange { name: "retention.ms".to_owned(), value: value.map(str::to_owned) };
        kafka.topics.change_settings(&topic, &[change], false).await.unwrap();
        let expected = value.map_or(default.value.clone(), |value| Some(value.to_owned()));
        let now = eventually(SOON, "the setting is changed", async || {
            Some(retention(&kafka, &topic).await).filter(|now| now.value == expected)
        })
        .await;
        assert_eq!(now.is_default, value.is_none());
    }
}

async fn places_in_partitions_are_offsets(kafka: AnyKafka) {
    let topic = kafka.topic(2).await;
    kafka.put(&topic, 1, &["a", "b", "c"]).await;
    let both = [place(&topic, 1), place(&topic, 0)];
    for (at, expected) in [
        (Place::Beginning, [0, 0]),
        (Place::End, [3, 0]),
        (Place::Time(0), [0, 0]),
        (Place::Time(1_500), [1, 0]),
        (Place::Time(3_000), [2, 0]),
        (Place::Time(9_000), [3, 0]),
    ] {
        assert_eq!(kafka.topics.offsets(&both, at).await.unwrap(), expected, "{at:?}");
    }
}
