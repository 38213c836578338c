use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use correio::application::ports::{DeadLetterTopic, MessageQueue, Partition, Record};
use correio::infrastructure::config::KafkaConfig;
use correio::infrastructure::kafka::Kafka;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message as _};
use uuid::Uuid;

use super::brokers::{TestBroker, consume, message, on_both_brokers, record};
use crate::support::eventually::SOON;

on_both_brokers!(
    a_failed_message_is_its_record_and_what_became_of_it,
    a_record_that_nobody_understands_is_kept_byte_for_byte;
    only real_kafka: what_is_too_large_with_its_headers_goes_without_its_value
);

pub struct DeadLetter {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: BTreeMap<String, String>,
}

/// All there are, read from the beginning.
pub async fn dead_letters(broker: &TestBroker, kafka: &Kafka, count: usize) -> Vec<DeadLetter> {
    let mut config = broker.client_config();
    config.set("group.id", Uuid::new_v4().to_string()).set("auto.offset.reset", "earliest");
    let topic = kafka.topics.dead_letters.clone();
    let read = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        consumer.subscribe(&[&topic]).unwrap();
        let end = Instant::now() + SOON;
        let mut found = Vec::new();
        while found.len() < count {
            assert!(Instant::now() < end, "{} of {count} dead letters", found.len());
            if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
                let headers = message.headers().unwrap().iter();
                let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap().to_vec()).unwrap();
                found.push(DeadLetter {
                    key: message.key().map(<[u8]>::to_vec),
                    value: message.payload().map(<[u8]>::to_vec),
                    headers: headers.map(|header| (header.key.to_owned(), text(header.value))).collect(),
                });
            }
        }
        found
    });
    read.await.unwrap()
}

fn headers(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn a_failed_message_is_its_record_and_what_became_of_it(broker: TestBroker) {
    let kafka = broker.start().await;
    let mut failed = message("5511999", "Olá");
    kafka.queue.hand_over(&failed).await.unwrap();
    let source = consume(&kafka).await;
    let original = record(&source).await;

    failed.tries = 3;
    failed.error = Some("não existe".to_owned());
    kafka.dead_letter_topic.put_message(&failed).await.unwrap();
    let found = dead_letters(&broker, &kafka, 1).await;
    assert_eq!((&found[0].key, &found[0].value), (&original.key, &original.value));
    let id = failed.id.to_string();
    let expected = [
        ("original-topic", kafka.topics.send.as_str()),
        ("error", "não existe"),
        ("retry-count", "3"),
        ("message-id", &id),
    ];
    assert_eq!(found[0].headers, headers(&expected));
}

async fn a_record_that_nobody_understands_is_kept_byte_for_byte(broker: TestBroker) {
    let kafka = broker.start().await;
    let poison = |key: Option<&[u8]>, value: Option<&[u8]>| Record {
        partition: Partition(0),
        offset: 0,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        content: Err("is not JSON".to_owned()),
    };
    let cases = [poison(Some(b"\xff\x00k"), Some(b"\x00\xfe\xff")), poison(None, None), poison(Some(b""), Some(b""))];
    let reason = "ção ".repeat(1_000);
    for case in &cases {
        kafka.dead_letter_topic.put_record(case, &reason).await.unwrap();
        let cut: String = reason.chars().take(1_000).collect();
        let found = dead_letters(&broker, &kafka, 1).await;
        let expected = [("original-topic", kafka.topics.send.as_str()), ("error", cut.as_str()), ("retry-count", "0")];
        assert_eq!(found[0].headers, headers(&expected));
    }
    let found = dead_letters(&broker, &kafka, cases.len()).await;
    for case in &cases {
        assert!(found.iter().any(|found| (&found.key, &found.value) == (&case.key, &case.value)), "{case:?}");
    }
}

async fn what_is_too_large_with_its_headers_goes_without_its_value(broker: TestBroker) {
    let topic = format!("{}messaging.send.dlq", broker.prefix);
    let admin: AdminClient<DefaultClientContext> = broker.client_config().create().unwrap();
    let small = NewTopic::new(&topic, 1, TopicReplication::Fixed(1)).set("max.message.bytes", "2000");
    admin.create_topics(&[small], &AdminOptions::new()).await.unwrap();
    let kafka = broker.start().await;
    for (key, value) in [(10, 3_000), (3_000, 10)] {
        let record = Record {
            partition: Partition(0),
            offset: 0,
            key: Some(vec![b'k'; key]),
            value: Some(vec![b'v'; value]),
            content: Err("is not JSON".to_owned()),
        };
        kafka.dead_letter_topic.put_record(&record, "is not JSON").await.unwrap();
    }
    let found = dead_letters(&broker, &kafka, 2).await;
    let omitted = |index: usize, name: &str| found[index].headers.get(name).map(String::as_str);
    assert_eq!((found[0].key.as_ref().map(Vec::len), &found[0].value), (Some(10), &None));
    assert_eq!((omitted(0, "value-omitted"), omitted(0, "key-omitted")), (Some("true"), None));
    assert_eq!((&found[1].key, &found[1].value), (&None, &None));
    assert_eq!((omitted(1, "value-omitted"), omitted(1, "key-omitted")), (Some("true"), Some("true")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_no_broker_confirms_is_an_error() {
    let broker = TestBroker::nowhere();
    let config = KafkaConfig { publish_timeout: Duration::from_secs(1), ..broker.config() };
    let kafka = broker.start_with(&config);
    let put = tokio::time::timeout(SOON, kafka.dead_letter_topic.put_message(&message("a", "b"))).await.unwrap();
    assert!(put.is_err());
    assert!(broker.unreconciled.is_empty());
}
