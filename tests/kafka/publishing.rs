use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use correio::application::ports::{Handover, MessageQueue, QueueScope};
use correio::domain::message::MessageStatus;
use correio::infrastructure::config::{Brokers, KafkaConfig};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::brokers::{TestBroker, close, consume, hand_over_some, message, node, on_both_brokers, record, records};
use crate::support::eventually::{SOON, eventually};

on_both_brokers!(
    what_is_handed_over_comes_to_a_consumer,
    messages_to_one_recipient_keep_their_order,
    closing_sends_off_what_was_taken_on;
    only mock: the_relay_has_room_while_kafka_is_there,
    what_fails_makes_the_relay_patient,
    a_producer_that_gives_up_is_replaced;
    only real_kafka: keys_land_where_java_puts_them,
    what_the_topic_is_too_small_for_travels_as_a_reference,
    what_the_broker_finds_too_large_travels_as_a_reference
);

async fn what_is_handed_over_comes_to_a_consumer(broker: TestBroker) {
    let kafka = broker.start().await;
    assert_eq!((kafka.queue.waiting_status(), kafka.queue.scope()), (MessageStatus::Queued, QueueScope::Shared));
    let source = consume(&kafka).await;
    let message = message("5511999", "Olá");
    assert!(matches!(kafka.queue.hand_over(&message).await, Ok(Handover::Queued)));

    let record = record(&source).await;
    let call = record.content.clone().unwrap();
    assert_eq!((call.message_id, call.channel), (message.id, message.channel.clone()));
    assert_eq!(record.key.unwrap(), format!("{}:5511999", message.instance_id).into_bytes());
    let value: serde_json::Value = serde_json::from_slice(&record.value.unwrap()).unwrap();
    assert_eq!((&value["message"], &value["remoteJid"]), (&"Olá".into(), &"5511999".into()));
    assert!(broker.unreconciled.is_empty());
}

async fn messages_to_one_recipient_keep_their_order(broker: TestBroker) {
    let kafka = broker.start().await;
    let source = consume(&kafka).await;
    let messages: Vec<_> = (0..200).map(|number| message(&format!("recipient-{}", number % 7), "x")).collect();
    for message in &messages {
        kafka.queue.hand_over(message).await.unwrap();
    }
    let arrived = records(&source, messages.len()).await;
    for recipient in 0..7 {
        let recipient = format!("recipient-{recipient}");
        let sent = messages.iter().filter(|message| message.recipient == recipient).map(|message| message.id);
        let came = arrived.iter().filter(|record| record.key.as_ref().unwrap().ends_with(recipient.as_bytes()));
        let came = came.map(|record| record.content.as_ref().unwrap().message_id);
        assert!(sent.eq(came), "{recipient}");
    }
}

/// As kafka-clients 4.3.1 does it for three partitions: `BuiltInPartitioner.partitionForKey` of the record's key, which is the
/// instance's id, a colon and the recipient. kafkajs, aiokafka and kafka-python follow it.
const PLACES_IN_JAVA: [(&str, i32); 10] = [
    ("5511999990001", 2),
    ("5511999990002", 0),
    ("ana@exemplo.com.br", 0),
    ("coração", 0),
    ("pedido 4711", 0),
    ("120363025246125486@g.us", 2),
    ("a", 2),
    ("ab", 2),
    ("abc", 1),
    ("+55 (11) 99999-0003", 0),
];

async fn keys_land_where_java_puts_them(broker: TestBroker) {
    let kafka = broker.start().await;
    for (recipient, _) in PLACES_IN_JAVA {
        kafka.queue.hand_over(&message(recipient, "Olá")).await.unwrap();
    }
    let source = consume(&kafka).await;
    let mut places = BTreeMap::new();
    for record in records(&source, PLACES_IN_JAVA.len()).await {
        let key = String::from_utf8(record.key.unwrap()).unwrap();
        let (_, recipient) = key.split_once(':').unwrap();
        places.insert(recipient.to_owned(), record.partition.0);
    }
    let expected: BTreeMap<_, _> =
        PLACES_IN_JAVA.iter().map(|(recipient, place)| ((*recipient).to_owned(), *place)).collect();
    assert_eq!(places, expected);
}

async fn closing_sends_off_what_was_taken_on(broker: TestBroker) {
    let kafka = broker.start().await;
    let messages = hand_over_some(&kafka, 500).await;
    kafka.queue.close().await;
    assert!(kafka.queue.hand_over(&messages[0]).await.is_err());
    assert_eq!(kafka.queue.free_capacity(), 0);
    assert!(broker.unreconciled.is_empty());
    let source = consume(&kafka).await;
    records(&source, messages.len()).await;
    close(&source).await;
}

async fn the_relay_has_room_while_kafka_is_there(broker: TestBroker) {
    let kafka = broker.start_with(&broker.config());
    let room = async |expected| {
        let what = format!("room for {expected}");
        eventually(SOON, &what, async || (kafka.queue.free_capacity() == expected).then_some(())).await;
    };
    assert_eq!(kafka.queue.free_capacity(), 0);
    room(1_000).await;
    let mock = broker.mock.as_ref().unwrap();
    mock.broker_down(-1).unwrap();
    room(0).await;
    mock.broker_up(-1).unwrap();
    room(1_000).await;
}

async fn what_fails_makes_the_relay_patient(broker: TestBroker) {
    let kafka = broker.start().await;
    let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD;
    let mock = broker.mock.as_ref().unwrap();
    mock.request_errors(RDKafkaApiKey::Produce, &[refused]);
    let messages = hand_over_some(&kafka, 1).await;
    eventually(SOON, "it is reported", async || (!broker.unreconciled.is_empty()).then_some(())).await;
    assert_eq!(broker.unreconciled().await, [(messages[0].id, node())]);
    assert!(kafka.queue.free_capacity() <= 1);
    eventually(SOON, "one may try again", async || (kafka.queue.free_capacity() == 1).then_some(())).await;
    hand_over_some(&kafka, 1).await;
    eventually(SOON, "all is well", async || (kafka.queue.free_capacity() == 1_000).then_some(())).await;
    assert!(broker.unreconciled.is_empty());
}

async fn a_producer_that_gives_up_is_replaced(broker: TestBroker) {
    let fatal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    broker.mock.as_ref().unwrap().request_errors(RDKafkaApiKey::InitProducerId, &[fatal]);
    let kafka = broker.start().await;
    let message = message("a", "b");
    kafka.queue.hand_over(&message).await.unwrap();
    let source = consume(&kafka).await;
    assert_eq!(record(&source).await.content.unwrap().message_id, message.id);
}

async fn what_the_topic_is_too_small_for_travels_as_a_reference(broker: TestBroker) {
    let topic = format!("{}messaging.send", broker.prefix);
    let admin: AdminClient<DefaultClientContext> = broker.client_config().create().unwrap();
    let small = NewTopic::new(&topic, 1, TopicReplication::Fixed(1)).set("max.message.bytes", "100000");
    admin.create_topics(&[small], &AdminOptions::new()).await.unwrap();
    let kafka = broker.start().await;

    let large = message("a", &"x".repeat(200_000));
    kafka.queue.hand_over(&large).await.unwrap();
    let source = consume(&kafka).await;
    let record = record(&source).await;
    assert_eq!(record.content.unwrap().message_id, large.id);
    assert!(record.value.unwrap().len() < 1_000);
    assert!(broker.unreconciled.is_empty(), "it was refused before");
}

async fn what_the_broker_finds_too_large_travels_as_a_reference(broker: TestBroker) {
    let kafka = broker.start().await;
    set(&broker, &kafka.topics.send, "max.message.bytes", "100000").await;

    let large = message("a", &"x".repeat(200_000));
    kafka.queue.hand_over(&large).await.unwrap();
    eventually(SOON, "it is refused", async || (!broker.unreconciled.is_empty()).then_some(())).await;
    assert_eq!(broker.unreconciled().await, [(large.id, node())]);
    assert_eq!(kafka.queue.free_capacity(), 1_000);
    kafka.queue.hand_over(&large).await.unwrap();
    let source = consume(&kafka).await;
    let record = record(&source).await;
    assert_eq!(record.content.unwrap().message_id, large.id);
    assert!(record.value.unwrap().len() < 1_000);
}

/// Changes a setting of a topic.
pub async fn set(broker: &TestBroker, topic: &str, name: &str, value: &str) {
    let admin: AdminClient<DefaultClientContext> = broker.client_config().create().unwrap();
    let config = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
    let altered = admin.alter_configs(&[config], &AdminOptions::new()).await.unwrap();
    altered.into_iter().next().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_broker_that_is_away() {
    let broker = TestBroker::nowhere();
    let config = KafkaConfig { publish_timeout: Duration::from_secs(1), ..broker.config() };
    let kafka = broker.start_with(&config);
    let start = Instant::now();
    let messages = hand_over_some(&kafka, 100).await;
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    assert_eq!(kafka.queue.free_capacity(), 0);
    let mut unreconciled = Vec::new();
    eventually(SOON, "all are reported", async || {
        unreconciled.extend(broker.unreconciled().await);
        (unreconciled.len() == messages.len()).then_some(())
    })
    .await;
    assert!(!kafka.connection.is_connected());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_gives_back_what_no_broker_took() {
    let broker = TestBroker::nowhere();
    let config = KafkaConfig { publish_timeout: Duration::from_secs(600), ..broker.config() };
    let kafka = broker.start_with(&config);
    let messages = hand_over_some(&kafka, 100).await;
    tokio::time::timeout(SOON, kafka.queue.close()).await.unwrap();
    let expected: Vec<_> = messages.iter().map(|message| (message.id, node())).collect();
    assert_eq!(broker.unreconciled().await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_broker_is_within_the_process() {
    let broker = TestBroker::nowhere();
    let kafka = broker.start_with(&KafkaConfig { brokers: Brokers::Embedded, ..broker.config() });
    assert_eq!(kafka.queue.scope(), QueueScope::InProcess);
    assert_eq!(kafka.brokers.len(), 1);
    let source = consume(&kafka).await;
    let messages = hand_over_some(&kafka, 10).await;
    let mut came: Vec<_> =
        records(&source, 10).await.into_iter().map(|record| record.content.unwrap().message_id).collect();
    came.sort();
    assert_eq!(came, messages.iter().map(|message| message.id).collect::<Vec<_>>());
    close(&source).await;
}
