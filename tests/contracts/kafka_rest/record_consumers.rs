use std::time::Duration;

use correio::application::ports::*;
use correio::domain::topic::TopicPattern;

use super::kafka::{AnyKafka, on_every_kafka, place, read};
use crate::support::eventually::{SOON, eventually};

on_every_kafka!(
    what_was_asked_for_more_after_is_committed,
    an_assigned_consumer_goes_where_it_is_told,
    a_fetch_is_bounded_and_loses_nothing,
    what_its_caller_did_not_get_comes_again,
    a_pattern_reads_whole_names_and_none_of_kafkas_own,
    what_a_refusal_leaves_untouched_comes_next,
);

mod real {
    use super::super::kafka::AnyKafka;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_topic_that_is_made_later_is_read() {
        if let Some(kafka) = AnyKafka::real() {
            super::a_topic_that_is_made_later_is_read(kafka).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_member_that_has_enough_remains_one_and_loses_nothing() {
        if let Some(kafka) = AnyKafka::real() {
            super::a_member_that_has_enough_remains_one_and_loses_nothing(kafka).await;
        }
    }
}

async fn what_was_asked_for_more_after_is_committed(kafka: AnyKafka) {
    let (topic, group) = (kafka.topic(1).await, format!("{}-group", kafka.name));
    kafka.put(&topic, 0, &["a", "b"]).await;
    let subscription = Subscription::Topics(vec![topic.clone()]);
    let first = kafka.consumer(&group, true);
    first.subscribe(&subscription).await.unwrap();
    assert_eq!(read(&first, 2).await, ["a", "b"]);
    first.close().await;
    drop(first);
    kafka.put(&topic, 0, &["c"]).await;
    let second = kafka.consumer(&group, true);
    second.subscribe(&subscription).await.unwrap();
    assert_eq!(read(&second, 1).await, ["c"]);
}

async fn an_assigned_consumer_goes_where_it_is_told(kafka: AnyKafka) {
    let (topic, group) = (kafka.topic(2).await, format!("{}-group", kafka.name));
    kafka.put(&topic, 1, &["a", "b", "c"]).await;
    let (there, consumer) = (place(&topic, 1), kafka.consumer(&group, false));
    consumer.assign(std::slice::from_ref(&there)).await.unwrap();
    assert_eq!(consumer.assignment().await.unwrap(), std::slice::from_ref(&there));
    assert_eq!(read(&consumer, 3).await, ["a", "b", "c"]);
    for (to, expected) in [
        (SeekTo::Offset(1), vec!["b", "c"]),
        (SeekTo::Place(Place::Beginning), vec!["a", "b", "c"]),
        (SeekTo::Place(Place::Time(2_500)), vec!["c"]),
    ] {
        consumer.seek(&[(there.clone(), to)]).await.unwrap();
        assert_eq!(read(&consumer, expected.len()).await, expected, "{to:?}");
    }
    assert_eq!(consumer.committed(std::slice::from_ref(&there)).await.unwrap(), []);
    let offset = CommittedOffset { place: there.clone(), offset: 2 };
    consumer.commit(Some(std::slice::from_ref(&offset))).await.unwrap();
    assert_eq!(consumer.committed(&[there, place(&topic, 0)]).await.unwrap(), [offset]);
}

async fn a_fetch_is_bounded_and_loses_nothing(kafka: AnyKafka) {
    let (topic, group) = (kafka.topic(1).await, format!("{}-group", kafka.name));
    let large = "x".repeat(100);
    kafka.put(&topic, 0, &["a", &large, "b"]).await;
    let consumer = kafka.consumer(&group, false);
    consumer.assign(&[place(&topic, 0)]).await.unwrap();
    let bounds = ReadBounds { timeout: Duration::from_secs(2), least_bytes: Some(1), most_bytes: 10 };
    let mut read = Vec::new();
    for _ in 0..10 {
        let records = consumer.read(bounds).await.unwrap();
        assert!(records.len() <= 1 || records.iter().map(ReadRecord::size).sum::<usize>() <= 10);
        read.extend(records.into_iter().map(|record| record.value.unwrap().len()));
        if read.len() == 3 {
            break;
        }
    }
    assert_eq!(read, [1, 100, 1]);
}

async fn what_its_caller_did_not_get_comes_again(kafka: AnyKafka) {
    let (topic, group) = (kafka.topic(1).await, format!("{}-group", kafka.name));
    kafka.put(&topic, 0, &["a", "b"]).await;
    let (there, consumer) = (place(&topic, 0), kafka.consumer(&group, false));
    consumer.assign(std::slice::from_ref(&there)).await.unwrap();
    let bounds = ReadBounds { timeout: Duration::from_millis(300), least_bytes: Some(2), most_bytes: 100 };
    let taken = eventually(SOON, "records come", async || {
        consumer.read_ahead(bounds).await.unwrap();
        Some(consumer.take(100)).filter(|records| !records.is_empty())
    })
    .await;
    consumer.take_back(taken);
    consumer.commit(None).await.unwrap();
    assert_eq!(consumer.committed(std::slice::from_ref(&there)).await.unwrap(), [], "nothing was given out");
    assert_eq!(read(&consumer, 2).await, ["a", "b"]);
    consumer.commit(None).await.unwrap();
    let behind = CommittedOffset { place: there.clone(), offset: 2 };
    assert_eq!(consumer.committed(&[there]).await.unwrap(), [behind]);
}

fn matching(pattern: &str) -> Subscription {
    Subscription::Pattern(TopicPattern::parse(pattern).unwrap())
}

async fn a_pattern_reads_whole_names_and_none_of_kafkas_own(kafka: AnyKafka) {
    let group = format!("{}-group", kafka.name);
    let (one, other) = (kafka.topic(1).await, kafka.topic(1).await);
    kafka.put(&one, 0, &["a"]).await;
    kafka.put(&other, 0, &["b"]).await;
    let consumer = kafka.consumer(&group, false);
    let (beginning, _) = other.split_at(other.len() - 1);
    consumer.subscribe(&matching(&format!("__.*|{one}|{beginning}"))).await.unwrap();
    assert_eq!(read(&consumer, 1).await, ["a"]);
    assert_eq!(consumer.assignment().await.unwrap(), [place(&one, 0)]);
    consumer.subscribe(&matching(&format!("{beginning}.+"))).await.unwrap();
    assert_eq!(read(&consumer, 1).await, ["b"]);
}

async fn a_topic_that_is_made_later_is_read(kafka: AnyKafka) {
    let consumer = kafka.consumer(&format!("{}-group", kafka.name), false);
    consumer.subscribe(&matching(&format!("{}.*", kafka.name))).await.unwrap();
    let topic = kafka.topic(1).await;
    kafka.put(&topic, 0, &["a"]).await;
    assert_eq!(read(&consumer, 1).await, ["a"]);
}

async fn what_a_refusal_leaves_untouched_comes_next(kafka: AnyKafka) {
    let (topic, group) = (kafka.topic(1).await, format!("{}-group", kafka.name));
    kafka.put(&topic, 0, &["a", "b"]).await;
    let consumer = kafka.consumer(&group, false);
    consumer.subscribe(&Subscription::Topics(vec![topic.clone()])).await.unwrap();
    let bounds = ReadBounds { timeout: Duration::from_millis(300), least_bytes: Some(2), most_bytes: 100 };
    let taken = eventually(SOON, "records come", async || {
        consumer.read_ahead(bounds).await.unwrap();
        Some(consumer.take(100)).filter(|records| !records.is_empty())
    })
    .await;
    consumer.take_back(taken);
    // librdkafka takes no topic twice. The Kafka in memory does.
    let _refused = consumer.subscribe(&Subscription::Topics(vec![topic.clone(), topic])).await;
    assert_eq!(read(&consumer, 2).await, ["a", "b"]);
}

async fn a_member_that_has_enough_remains_one_and_loses_nothing(kafka: AnyKafka) {
    let (topic, group) = (kafka.topic(1).await, format!("{}-group", kafka.name));
    let large = "x".repeat(100);
    kafka.put(&topic, 0, &["a", &large, "b", "c"]).await;
    let consumer = kafka.consumer(&group, false);
    consumer.subscribe(&Subscription::Topics(vec![topic.clone()])).await.unwrap();
    let bounds = ReadBounds { timeout: Duration::from_millis(300), least_bytes: Some(1), most_bytes: 10 };
    let first = eventually(SOON, "the first comes", async || {
        let records = consumer.read(bounds).await.unwrap();
        records.first().map(|record| record.offset)
    })
    .await;
    assert_eq!(first, 0);
    // Longer than it goes without a poll.
    let end = std::time::Instant::now() + Duration::from_secs(4);
    while std::time::Instant::now() < end {
        consumer.read_ahead(bounds).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(consumer.assignment().await.unwrap(), [place(&topic, 0)]);
    assert_eq!(read(&consumer, 3).await, [large.as_str(), "b", "c"]);
}
