use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use correio::application::ports::{Arrival, MessageQueue, MessageSource, Partition};
use correio::infrastructure::kafka::Kafka;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::brokers::{
    ROUNDS, TestBroker, arrival, assigned, close, consume, hand_over_some, message, on_both_brokers, record, records,
    silence,
};
use crate::support::eventually::{SOON, eventually};

on_both_brokers!(
    what_is_finished_is_not_read_again,
    a_paused_partition_is_silent_until_it_is_resumed,
    a_pause_ends_with_the_assignment,
    what_is_none_of_ours_arrives_with_the_reason,
    a_member_without_partitions_has_joined,
    a_source_that_is_closed_stays_closed,
    a_partition_waits_for_a_try_that_takes_as_long_as_it_may;
    only mock: a_broker_that_comes_back_is_consumed_again,
    a_broker_that_is_away_for_long_takes_the_partitions,
    a_source_is_closed_while_kafka_is_away;
    only real_kafka: a_partition_is_given_up_when_its_messages_are_finished,
    a_source_that_is_closed_leaves_its_partitions_at_once
);

/// Where the group goes on; below 0 if nothing is committed.
async fn committed(broker: &TestBroker, kafka: &Kafka, partition: Partition) -> i64 {
    let (mut config, topic) = (broker.client_config(), kafka.topics.send.clone());
    config.set("group.id", &broker.group);
    let ask = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        let mut asked = TopicPartitionList::new();
        asked.add_partition(&topic, partition.0);
        consumer.committed_offsets(asked, SOON).unwrap().elements()[0].offset().to_raw()
    });
    ask.await.unwrap().unwrap()
}

async fn what_is_finished_is_not_read_again(broker: TestBroker) {
    let kafka = broker.start().await;
    for number in 0..10 {
        kafka.queue.hand_over(&message("always the same", &number.to_string())).await.unwrap();
    }
    let first = consume(&kafka).await;
    let read = records(&first, 10).await;
    first.finished(read[3].partition, read[3].offset);
    close(&first).await;
    assert!(!first.has_joined());

    let second = consume(&kafka).await;
    let again = records(&second, 6).await;
    assert!(again.iter().map(|record| record.offset).eq(read[4..].iter().map(|record| record.offset)));
    second.finished(again[5].partition, again[5].offset);
    // By itself, too: nobody closes a process that is killed.
    let end = again[5].offset + 1;
    eventually(SOON, "it is committed", async || {
        (committed(&broker, &kafka, again[5].partition).await == end).then_some(())
    })
    .await;
    drop(second);

    let third = consume(&kafka).await;
    let next = message("always the same", "next");
    kafka.queue.hand_over(&next).await.unwrap();
    assert_eq!(record(&third).await.content.unwrap().message_id, next.id);
    close(&third).await;
}

/// Not on the mock (librdkafka 2.12.1): while a rebalance begins anew there (see `arrival`), it refuses commits, which a
/// broker accepts until all members are back.
async fn a_partition_is_given_up_when_its_messages_are_finished(broker: TestBroker) {
    let kafka = broker.start().await;
    let first = consume(&kafka).await;
    let all = assigned(&first, 1).await;
    assert!(all.len() >= 3);
    hand_over_some(&kafka, 30).await;
    let read = records(&first, 30).await;

    let second = consume(&kafka).await;
    let (partitions, drained) = match arrival(&first).await {
        Arrival::GivenUp { partitions, drained } => (partitions, drained),
        other => panic!("a partition is asked for, not {other:?}"),
    };
    assert!(!partitions.is_empty() && partitions.len() < all.len());
    silence(&second, "nobody has it before it is drained").await;
    // What is finished until then is noted.
    for partition in &partitions {
        let last = read.iter().filter(|record| record.partition == *partition).map(|record| record.offset).max();
        first.finished(*partition, last.unwrap_or(-1));
    }
    drained.send(()).unwrap();
    let partitions: BTreeSet<Partition> = partitions.into_iter().collect();
    assert_eq!(assigned(&second, partitions.len()).await, partitions);
    silence(&second, "nothing finished comes again").await;
    // Too late, and harmless.
    first.finished(*partitions.first().unwrap(), 0);
    assert!(first.has_joined() && second.has_joined());

    // Its partitions come back when the other one leaves.
    close(&second).await;
    assert_eq!(assigned(&first, partitions.len()).await, partitions);
    close(&first).await;
}

async fn a_paused_partition_is_silent_until_it_is_resumed(broker: TestBroker) {
    let kafka = broker.start().await;
    let source = consume(&kafka).await;
    kafka.queue.hand_over(&message("a", "before")).await.unwrap();
    let before = record(&source).await;
    source.pause(before.partition);
    let after = message("a", "after");
    kafka.queue.hand_over(&after).await.unwrap();
    silence(&source, "it is paused").await;
    source.resume(before.partition);
    assert_eq!(record(&source).await.content.unwrap().message_id, after.id);
    // What was never ours is passed over.
    source.pause(Partition(9_999));
    source.resume(Partition(9_999));
    source.finished(Partition(9_999), 1);
    close(&source).await;
}

async fn a_pause_ends_with_the_assignment(broker: TestBroker) {
    let kafka = broker.start().await;
    let first = consume(&kafka).await;
    for partition in assigned(&first, 1).await {
        first.pause(partition);
    }
    let second = consume(&kafka).await;
    match arrival(&first).await {
        Arrival::GivenUp { drained, .. } => drained.send(()).unwrap(),
        other => panic!("a partition is asked for, not {other:?}"),
    }
    let partitions = assigned(&second, 1).await;
    close(&second).await;
    assert_eq!(assigned(&first, partitions.len()).await, partitions);
    hand_over_some(&kafka, 100).await;
    assert!(partitions.contains(&record(&first).await.partition));
    close(&first).await;
}

async fn what_is_none_of_ours_arrives_with_the_reason(broker: TestBroker) {
    let kafka = broker.start().await;
    let producer: BaseProducer = broker.client_config().create().unwrap();
    let topic = &kafka.topics.send;
    producer.send(BaseRecord::<[u8], [u8]>::to(topic).partition(0).payload(b"hello")).unwrap();
    producer.send(BaseRecord::<[u8], [u8]>::to(topic).partition(0).key(b"k")).unwrap();
    producer.send(BaseRecord::<[u8], [u8]>::to(topic).partition(0).payload(b"{\"version\":7}")).unwrap();
    producer.flush(SOON).unwrap();
    let source = consume(&kafka).await;
    let records = records(&source, 3).await;
    let reasons: Vec<_> = records.iter().map(|record| record.content.clone().unwrap_err()).collect();
    assert!(reasons[0].starts_with("is not JSON"), "{}", reasons[0]);
    assert_eq!(reasons[1..], ["is empty (a tombstone)", "has version 7; this release reads version 1"]);
    assert_eq!((records[0].key.as_deref(), records[0].value.as_deref()), (None, Some(b"hello".as_slice())));
    assert_eq!((records[1].key.as_deref(), records[1].value.as_deref()), (Some(b"k".as_slice()), None));
    close(&source).await;
}

async fn a_member_without_partitions_has_joined(broker: TestBroker) {
    let kafka = broker.start().await;
    let first = consume(&kafka).await;
    let all = assigned(&first, 1).await;
    // One member more than there are partitions.
    let mut members = vec![first];
    for _ in 0..all.len() {
        members.push(consume(&kafka).await);
    }
    let joined = eventually(ROUNDS * 2, "all have joined", async || {
        for member in &members {
            while let Ok(arrival) = tokio::time::timeout(Duration::from_millis(50), member.next()).await {
                if let Arrival::GivenUp { drained, .. } = arrival {
                    drained.send(()).unwrap();
                }
            }
        }
        members.iter().all(|member| member.has_joined()).then_some(())
    });
    joined.await;
}

/// Not only when its session is over, which takes 10 s.
async fn a_source_that_is_closed_leaves_its_partitions_at_once(broker: TestBroker) {
    let kafka = broker.start().await;
    let first = consume(&kafka).await;
    let all = assigned(&first, 1).await;
    close(&first).await;
    let second = consume(&kafka).await;
    let at_once = std::time::Duration::from_secs(7);
    let taken = tokio::time::timeout(at_once, assigned(&second, all.len())).await.expect("the partitions are free");
    assert_eq!(taken, all);
    close(&second).await;
}

async fn a_partition_waits_for_a_try_that_takes_as_long_as_it_may(broker: TestBroker) {
    let kafka = broker.start().await;
    let waits =
        [20, 100, 1_000].map(|longest_try| kafka.source(Duration::from_secs(longest_try)).drain_timeout().as_secs());
    // With what comes before it, and the time to record its outcome; and less than the group waits for a member.
    assert_eq!(waits, [50, 130, 240]);
}

async fn a_source_that_is_closed_stays_closed(broker: TestBroker) {
    let kafka = broker.start().await;
    let source = consume(&kafka).await;
    source.close();
    close(&source).await;
    let never_asked = kafka.source(Duration::from_secs(60));
    never_asked.close();
    assert!(matches!(arrival(&never_asked).await, Arrival::Closed));
    source.finished(Partition(0), 1);
    source.pause(Partition(0));
    assert!(matches!(arrival(&source).await, Arrival::Closed));
}

async fn a_broker_that_comes_back_is_consumed_again(broker: TestBroker) {
    let kafka = broker.start().await;
    let source = consume(&kafka).await;
    hand_over_some(&kafka, 5).await;
    records(&source, 5).await;
    let mock = broker.mock.as_ref().unwrap();
    mock.broker_down(-1).unwrap();
    eventually(SOON, "it is away", async || (!kafka.connection.is_connected()).then_some(())).await;
    let during = message("a", "during");
    kafka.queue.hand_over(&during).await.unwrap();
    mock.broker_up(-1).unwrap();
    assert_eq!(record(&source).await.content.unwrap().message_id, during.id);
    close(&source).await;
}

async fn a_broker_that_is_away_for_long_takes_the_partitions(broker: TestBroker) {
    let kafka = broker.start().await;
    let source = consume(&kafka).await;
    let all = assigned(&source, 1).await;
    eventually(SOON, "it has joined", async || source.has_joined().then_some(())).await;
    let mock = broker.mock.as_ref().unwrap();
    mock.broker_down(-1).unwrap();
    match arrival(&source).await {
        Arrival::GivenUp { partitions, drained } => {
            assert_eq!(partitions.into_iter().collect::<BTreeSet<_>>(), all);
            drained.send(()).unwrap();
        }
        other => panic!("all partitions go, not {other:?}"),
    }
    assert!(!source.has_joined());
    mock.broker_up(-1).unwrap();
    assert_eq!(assigned(&source, all.len()).await, all);
    assert!(source.has_joined());
    close(&source).await;
}

async fn a_source_is_closed_while_kafka_is_away(broker: TestBroker) {
    let kafka = broker.start().await;
    let source = consume(&kafka).await;
    hand_over_some(&kafka, 5).await;
    for record in records(&source, 5).await {
        source.finished(record.partition, record.offset);
    }
    broker.mock.as_ref().unwrap().broker_down(-1).unwrap();
    eventually(SOON, "it is away", async || (!kafka.connection.is_connected()).then_some(())).await;
    let start = Instant::now();
    close(&source).await;
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}
