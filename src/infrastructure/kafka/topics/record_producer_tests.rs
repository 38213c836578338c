use super::*;
use crate::infrastructure::config::{Compression, KafkaSecurity, TopicBrokers, Unconfirmed};
use crate::infrastructure::kafka::Topics;
use crate::infrastructure::kafka::client::{EmbeddedBroker, Troubles, client_config};
use crate::set_clock::SetClock;

fn config() -> TopicsConfig {
    TopicsConfig {
        brokers: TopicBrokers::None,
        dead_letters: "dlq-topic".to_owned(),
        auto_create: true,
        is_open: false,
        unconfirmed: Unconfirmed::Ok,
        confirm_timeout: Duration::from_secs(5),
        max_body_bytes: 1 << 20,
        compression: Compression::Gzip,
        deduplicate: Vec::new(),
    }
}

const LED: &[u8] = br#"{"brokers": {"a:9092/1": {"nodeid": 1, "nodename": "a:9092", "state": "UP"}},
    "topics": {"messaging.send": {"partitions": {"0": {"leader": 1}}}}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_that_stands_still_is_replaced_and_the_next_one_publishes() {
    let topics = Topics::new("");
    let broker = EmbeddedBroker::start(&topics, 1).unwrap();
    let clock = Arc::new(SetClock::default());
    let connection = Arc::new(Connection::new(vec![broker.address.clone()], Arc::new(Troubles::new(clock.clone()))));
    let mut settings = client_config(std::slice::from_ref(&broker.address), &KafkaSecurity::default());
    // What is known of the leaders is said below.
    settings.set("statistics.interval.ms", "0");
    let addresses = vec![broker.address.clone()];
    let producer =
        KafkaTopicProducer::start(settings, &config(), addresses, true, connection.clone(), clock.clone()).unwrap();
    let publish = async || producer.publish(&topics.send, TopicRecord::default()).await.unwrap();
    let client = || Arc::as_ptr(&producer.0.together.client().unwrap());
    publish().await;
    let first = client();

    let timed_out = |second: u64| {
        clock.set(second);
        let error = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        producer.0.together.standstill.reported(&topics.send, 0, Some(&error));
    };
    for second in [100, 200, 300] {
        timed_out(second);
    }
    publish().await;
    assert_eq!(client(), first, "its leader is away");

    connection.look(LED);
    for second in [400, 429] {
        timed_out(second);
    }
    publish().await;
    assert_eq!(client(), first, "for less than a minute");
    for second in [500, 530] {
        timed_out(second);
    }
    publish().await;
    assert_ne!(client(), first);
}
