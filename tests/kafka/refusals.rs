//! What a broker refuses of a batch, and what becomes of its neighbours.

use std::sync::Arc;

use chrono::TimeDelta;
use correio::application::ports::{DeadLetterTopic, MessageQueue, Partition, Record};
use correio::domain::message::Message;
use correio::infrastructure::kafka::{Kafka, KafkaMessageSource};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use super::brokers::{TestBroker, consume, message, on_both_brokers, records};
use super::dead_letters::dead_letters;
use super::publishing::set;
use crate::support::eventually::{SOON, eventually};

on_both_brokers!(
    ; only real_kafka: a_time_far_ahead_holds_up_neither_its_message_nor_the_neighbours,
    small_records_are_tried_alone_when_their_batch_is_too_large,
    a_topic_that_takes_little_gets_small_batches,
    a_compacted_topic_of_dead_letters_takes_records_without_a_key
);

/// Hands over all, and again, as the relay does, what was refused.
async fn get_through(broker: &TestBroker, kafka: &Kafka, messages: &[Message]) {
    for message in messages {
        kafka.queue.hand_over(message).await.unwrap();
    }
    let source = consume(kafka).await;
    let (mut again, mut left) = (0, messages.len());
    while left > 0 {
        tokio::select! {
            record = records(&source, 1) => {
                assert!(messages.iter().any(|message| Ok(message.id) == record[0].content.as_ref().map(|call| call.message_id)));
                left -= 1;
            }
            () = refused(broker) => {
                for (id, _) in broker.unreconciled().await {
                    again += 1;
                    kafka.queue.hand_over(messages.iter().find(|message| message.id == id).unwrap()).await.unwrap();
                }
            }
        }
    }
    assert!(again <= messages.len(), "{again} were refused: some more than once");
    assert_eq!(kafka.queue.free_capacity(), 1_000, "the relay waits for nothing");
}

async fn refused(broker: &TestBroker) {
    eventually(SOON * 10, "something is refused", async || (!broker.unreconciled.is_empty()).then_some(())).await;
}

async fn a_time_far_ahead_holds_up_neither_its_message_nor_the_neighbours(broker: TestBroker) {
    let kafka = broker.start().await;
    let mut messages: Vec<Message> = (0..5).map(|_| message("always the same", "Olá")).collect();
    messages[2].updated_at += TimeDelta::hours(2);
    get_through(&broker, &kafka, &messages).await;
}

async fn small_records_are_tried_alone_when_their_batch_is_too_large(broker: TestBroker) {
    let kafka = broker.start().await;
    // It was larger when the process began.
    set(&broker, &kafka.topics.send, "max.message.bytes", "2000").await;
    let messages: Vec<Message> = (0..50).map(|_| message("always the same", &"x".repeat(500))).collect();
    get_through(&broker, &kafka, &messages).await;
    let source = consume_all_again(&broker).await;
    let record = records(&source, 1).await;
    assert!(record[0].value.as_ref().unwrap().len() > 500, "small records travel whole");
}

/// From the beginning, as a group of its own.
async fn consume_all_again(broker: &TestBroker) -> Arc<KafkaMessageSource> {
    let mut config = broker.config();
    config.group_id.push_str("-again");
    consume(&broker.start_with(&config)).await
}

async fn a_topic_that_takes_little_gets_small_batches(broker: TestBroker) {
    let topic = format!("{}messaging.send", broker.prefix);
    let admin: AdminClient<DefaultClientContext> = broker.client_config().create().unwrap();
    let small = NewTopic::new(&topic, 1, TopicReplication::Fixed(1)).set("max.message.bytes", "4000");
    admin.create_topics(&[small], &AdminOptions::new()).await.unwrap();
    let kafka = broker.start().await;
    let messages: Vec<Message> = (0..200).map(|_| message("always the same", &"x".repeat(300))).collect();
    for message in &messages {
        kafka.queue.hand_over(message).await.unwrap();
    }
    let source = consume(&kafka).await;
    records(&source, messages.len()).await;
    assert!(broker.unreconciled.is_empty(), "some were refused");
}

async fn a_compacted_topic_of_dead_letters_takes_records_without_a_key(broker: TestBroker) {
    let topic = format!("{}messaging.send.dlq", broker.prefix);
    let admin: AdminClient<DefaultClientContext> = broker.client_config().create().unwrap();
    let compacted = NewTopic::new(&topic, 1, TopicReplication::Fixed(1)).set("cleanup.policy", "compact");
    admin.create_topics(&[compacted], &AdminOptions::new()).await.unwrap();
    let kafka = broker.start().await;
    let poison = |offset, key: Option<&[u8]>| Record {
        partition: Partition(1),
        offset,
        key: key.map(<[u8]>::to_vec),
        value: Some(b"not ours".to_vec()),
        content: Err("is not JSON".to_owned()),
    };
    // At the same time: a batch with a record that is refused is refused as a whole.
    let (keyless, keyed) = (poison(7, None), poison(8, Some(b"k")));
    let put = |record| kafka.dead_letter_topic.put_record(record, "is not JSON");
    let (first, second) = tokio::join!(put(&keyless), put(&keyed));
    first.unwrap();
    second.unwrap();
    let mut found = dead_letters(&broker, &kafka, 2).await;
    found.sort_by_key(|letter| letter.key.clone());
    let [keyed, keyless] = &found[..] else { panic!("two of them") };
    assert_eq!((keyed.key.as_deref(), keyed.headers.get("key-added")), (Some(&b"k"[..]), None));
    assert_eq!(keyless.key.as_deref(), Some(format!("{}/1/7", kafka.topics.send).as_bytes()));
    assert_eq!(keyless.value.as_deref(), Some(&b"not ours"[..]));
    let header = |name: &str| keyless.headers.get(name).map(String::as_str);
    assert_eq!(
        (header("key-added"), header("original-partition"), header("original-offset")),
        (Some("true"), Some("1"), Some("7"))
    );
}
