//! A process that its group does not let in says so, and why.

use std::time::Duration;

use correio::application::ports::{Arrival, Broker, MessageSource};
use correio::infrastructure::config::{Brokers, GroupProtocol, KafkaConfig};
use correio::infrastructure::kafka::{Kafka, KafkaMessageSource};
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::brokers::{TestBroker, arrival, assigned, close, consume, hand_over_some, on_both_brokers, records};
use crate::support::eventually::eventually;
use crate::support::kafka_server::KafkaServer;

on_both_brokers!(
    ; only real_kafka: a_group_of_other_clients_lets_no_worker_in_and_this_is_said,
    the_consumer_protocol_reads_and_finishes_what_is_sent,
    both_protocols_share_a_group_while_one_follows_the_other
);

/// What lasts is said after ten seconds.
const SAID: Duration = Duration::from_secs(60);

async fn a_group_of_other_clients_lets_no_worker_in_and_this_is_said(broker: TestBroker) {
    let kafka = broker.start().await;
    let mut config = broker.client_config();
    config.set("group.id", &broker.group).set("partition.assignment.strategy", "range");
    let other: BaseConsumer = config.create().unwrap();
    other.subscribe(&[&kafka.topics.send]).unwrap();
    eventually(SAID, "the other client is in", async || {
        drop(other.poll(Duration::from_millis(50)));
        other.assignment().is_ok_and(|assigned| assigned.count() > 0).then_some(())
    })
    .await;

    let source = consume(&kafka).await;
    let kept_out = eventually(SAID, "it is kept out", async || {
        drop(other.poll(Duration::from_millis(50)));
        source.kept_out().filter(|kept_out| kept_out.reason.contains("KAFKA_GROUP_ID"))
    })
    .await;
    assert!(kept_out.reason.contains(&broker.group), "{}", kept_out.reason);
    assert!(!source.has_joined());
    eventually(SAID, "operators read it", async || {
        drop(other.poll(Duration::from_millis(50)));
        kafka.troubles().contains(&kept_out.reason).then_some(())
    })
    .await;

    other.unsubscribe();
    drop(other);
    eventually(SAID, "it is let in", async || source.has_joined().then_some(())).await;
    eventually(SAID, "nothing is wrong any more", async || kafka.troubles().is_empty().then_some(())).await;
    assert_eq!(source.kept_out(), None);
    close(&source).await;
}

async fn the_consumer_protocol_reads_and_finishes_what_is_sent(broker: TestBroker) {
    let config = KafkaConfig { group_protocol: GroupProtocol::Consumer, ..broker.config() };
    let kafka = broker.start_with(&config);
    kafka.prepare().await;
    let first = consume(&kafka).await;
    hand_over_some(&kafka, 20).await;
    for record in records(&first, 20).await {
        first.finished(record.partition, record.offset);
    }
    assert!(first.has_joined());
    close(&first).await;
    hand_over_some(&kafka, 5).await;
    let second = consume(&kafka).await;
    let read = records(&second, 5).await;
    assert!(read.iter().all(|record| record.content.is_ok()), "what was finished is not read again");
    close(&second).await;
}

async fn both_protocols_share_a_group_while_one_follows_the_other(broker: TestBroker) {
    let kafka = broker.start().await;
    let old = consume(&kafka).await;
    assigned(&old, 3).await;
    let config = KafkaConfig { group_protocol: GroupProtocol::Consumer, ..broker.config() };
    let newer = broker.start_with(&config);
    let new = consume(&newer).await;
    // It gives up partitions to the new one, and at last the rest.
    let follow = async {
        eventually(SAID, "the new one is in, too", async || new.has_joined().then_some(())).await;
        old.close();
    };
    tokio::join!(follow, until_closed(&old));
    hand_over_some(&kafka, 20).await;
    records(&new, 20).await;
    close(&new).await;
}

async fn until_closed(source: &KafkaMessageSource) {
    loop {
        match arrival(source).await {
            Arrival::Closed => return,
            Arrival::GivenUp { drained, .. } => drop(drained.send(())),
            Arrival::Record(_) | Arrival::Assigned(_) => {}
        }
    }
}

/// A Kafka of its own for every fault of a Kafka.
async fn of(server: &KafkaServer) -> Kafka {
    let broker = TestBroker::nowhere();
    let config = KafkaConfig { brokers: Brokers::Addresses(vec![server.address()]), ..broker.config() };
    broker.start_with(&config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_kafka_without_a_coordinator_is_said() {
    let Some(server) = KafkaServer::start_with(&["offsets.topic.replication.factor=3"]).await else { return };
    let kafka = of(&server).await;
    kafka.prepare().await;
    let source = consume(&kafka).await;
    eventually(SAID, "operators read it", async || {
        let troubles = kafka.troubles();
        troubles.iter().any(|trouble| trouble.contains("offsets.topic.replication.factor")).then_some(())
    })
    .await;
    assert!(kafka.is_connected());
    assert!(source.kept_out().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_kafka_at_an_address_that_does_not_resolve_is_named() {
    let advertised = "advertised.listeners=PLAINTEXT://kafka.nowhere.invalid:9092,PROXIED://127.0.0.1:1";
    let Some(server) = KafkaServer::start_with(&[advertised]).await else { return };
    let kafka = of(&server).await;
    let trouble = eventually(SAID, "operators read it", async || kafka.troubles().into_iter().next()).await;
    assert!(trouble.contains("kafka.nowhere.invalid:") && trouble.contains("advertised.listeners"), "{trouble}");
    assert!(!kafka.is_connected(), "an address that only names brokers is none of them");
}
