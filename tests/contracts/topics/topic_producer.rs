//! What every way to topics promises.

use std::sync::Arc;

use correio::application::ports::{Clock, PublishErrorKind, Refusal, TopicProducer};
use correio::domain::topic::{RecordPosition, RecordTime, TopicRecord};
use correio::infrastructure::config::{Compression, KafkaSecurity, TopicBrokers, TopicsConfig, Unconfirmed};
use correio::infrastructure::kafka::start_topic_producer;
use correio::infrastructure::system::SystemClock;
use futures::future::join_all;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

use crate::kafka::brokers::TestBroker;
use crate::support::eventually::{SOON, eventually};
use crate::support::kafka_topic::KafkaTopic;
use crate::support::memory_topics::MemoryTopics;

/// Records of topics, and a topic of three partitions that is there.
struct Scene {
    producer: Arc<dyn TopicProducer>,
    topic: String,
    /// None in memory.
    broker: Option<TestBroker>,
}

macro_rules! on_every_producer {
    ($($story:ident),* $(,)?) => {
        on_producer!(memory: $($story)*);
        on_producer!(real_kafka: $($story)*);
    };
}

macro_rules! on_producer {
    ($producer:ident: $($story:ident)*) => {
        mod $producer {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    if let Some(scene) = super::Scene::$producer().await {
                        super::$story(scene).await;
                    }
                }
            )*
        }
    };
}

on_every_producer![what_is_published_has_a_place_of_its_own, records_of_one_key_are_in_the_order_of_their_calls];

mod refusing {
    on_producer!(real_kafka: a_topic_that_is_not_there_is_refused_for_now a_topic_that_is_made_meanwhile_is_found
        what_will_never_be_taken_is_refused_for_good a_record_is_not_refused_for_its_company
        one_invalid_record_keeps_no_other_out a_time_of_ours_gives_way_and_a_clients_does_not);
    use super::*;
}

pub fn config(auto_create: bool) -> TopicsConfig {
    TopicsConfig {
        brokers: TopicBrokers::None,
        dead_letters: "dlq-topic".to_owned(),
        auto_create,
        is_open: false,
        unconfirmed: Unconfirmed::Ok,
        confirm_timeout: std::time::Duration::from_secs(5),
        max_body_bytes: 1 << 20,
        compression: Compression::Gzip,
        deduplicate: Vec::new(),
    }
}

impl Scene {
    async fn memory() -> Option<Self> {
        Some(Self { producer: MemoryTopics::new(), topic: "invoices".to_owned(), broker: None })
    }

    async fn real_kafka() -> Option<Self> {
        let broker = TestBroker::real_kafka()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let addresses = [broker.address.clone()];
        let producer = start_topic_producer(&config(false), &addresses, &KafkaSecurity::default(), clock).unwrap();
        let scene =
            Self { producer: Arc::new(producer), topic: format!("{}invoices", broker.prefix), broker: Some(broker) };
        scene.make(&scene.topic, &[]).await;
        Some(scene)
    }

    async fn make(&self, topic: &str, settings: &[(&str, &str)]) {
        let Some(broker) = &self.broker else { return };
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &broker.address);
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let mut new = NewTopic::new(topic, 3, TopicReplication::Fixed(1));
        new.config = settings.to_vec();
        let made = admin.create_topics([&new], &AdminOptions::new()).await.unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        let made = KafkaTopic::new(&broker.address, topic.to_owned());
        eventually(SOON, "the broker knows it", async || (made.partitions().await == 3).then_some(())).await;
    }

    async fn refusal(&self, topic: &str, record: TopicRecord) -> PublishErrorKind {
        self.producer.publish(topic, record).await.unwrap_err().kind
    }
}

fn record(key: Option<&str>, value: &str) -> TopicRecord {
    TopicRecord {
        key: key.map(|key| key.as_bytes().to_vec()),
        value: Some(value.as_bytes().to_vec()),
        ..TopicRecord::default()
    }
}

async fn what_is_published_has_a_place_of_its_own(scene: Scene) {
    let publish = |number: usize| scene.producer.publish(&scene.topic, record(None, &number.to_string()));
    let published = join_all((0..20).map(publish)).await;
    let mut places: Vec<_> =
        published.into_iter().map(|place| place.unwrap()).map(|at| (at.partition, at.offset)).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 20);
}

async fn records_of_one_key_are_in_the_order_of_their_calls(scene: Scene) {
    let publish = |number: usize| scene.producer.publish(&scene.topic, record(Some("000001001"), &number.to_string()));
    let published = join_all((0..20).map(publish)).await;
    let places: Vec<RecordPosition> = published.into_iter().map(|place| place.unwrap()).collect();
    assert!(
        places.windows(2).all(|two| two[0].partition == two[1].partition && two[0].offset < two[1].offset),
        "{places:?}"
    );
}

async fn a_topic_that_is_not_there_is_refused_for_now(scene: Scene) {
    for _ in 0..3 {
        assert_eq!(
            scene.refusal(&format!("{}-nowhere", scene.topic), record(None, "1")).await,
            PublishErrorKind::Refused
        );
    }
}

async fn a_topic_that_is_made_meanwhile_is_found(scene: Scene) {
    let topic = format!("{}-later", scene.topic);
    assert_eq!(scene.refusal(&topic, record(None, "1")).await, PublishErrorKind::Refused);
    scene.make(&topic, &[]).await;
    eventually(SOON, "the topic is found", async || scene.producer.publish(&topic, record(None, "1")).await.ok()).await;
}

async fn what_will_never_be_taken_is_refused_for_good(scene: Scene) {
    let narrow = format!("{}-narrow", scene.topic);
    scene.make(&narrow, &[("max.message.bytes", "1000")]).await;
    // What compresses well is small.
    let large: String = (0..4_000).map(|_| fastrand::alphanumeric()).collect();
    let too_large = PublishErrorKind::RefusedForGood(Refusal::TooLarge);
    assert_eq!(scene.refusal(&narrow, record(None, &large)).await, too_large);

    let compacted = format!("{}-compacted", scene.topic);
    scene.make(&compacted, &[("cleanup.policy", "compact")]).await;
    let invalid = PublishErrorKind::RefusedForGood(Refusal::Invalid);
    assert_eq!(scene.refusal(&compacted, record(None, "1")).await, invalid);
    let nowhere = TopicRecord { partition: Some(7), ..record(None, "1") };
    assert_eq!(scene.refusal(&scene.topic, nowhere).await, invalid);
}

/// A broker refuses a batch as a whole.
async fn a_record_is_not_refused_for_its_company(scene: Scene) {
    let narrow = format!("{}-few", scene.topic);
    scene.make(&narrow, &[("max.message.bytes", "1000")]).await;
    let text: String = (0..400).map(|_| fastrand::alphanumeric()).collect();
    let published = join_all((0..20).map(|_| scene.producer.publish(&narrow, record(Some("k"), &text)))).await;
    assert!(published.iter().all(Result::is_ok), "{published:?}");
}

/// Kafka blames the whole batch for a time that is days ahead, and for a record without a key where the topic is compacted.
async fn one_invalid_record_keeps_no_other_out(scene: Scene) {
    let compacted = format!("{}-compacted", scene.topic);
    scene.make(&compacted, &[("cleanup.policy", "compact")]).await;
    let ahead = chrono::Utc::now().timestamp_millis() + 4 * 24 * 3_600_000;
    for (topic, wrong) in [
        (&scene.topic, TopicRecord { time: RecordTime::Given(ahead), ..record(Some("a"), "wrong") }),
        (&compacted, record(None, "wrong")),
    ] {
        let records =
            (0..8).map(|number| if number == 3 { wrong.clone() } else { record(Some("a"), &number.to_string()) });
        let published = join_all(records.map(|record| scene.producer.publish(topic, record))).await;
        let refused: Vec<usize> = (0..8).filter(|number| published[*number].is_err()).collect();
        assert_eq!(refused, [3], "{published:?}");
        let error = published[3].as_ref().unwrap_err();
        assert_eq!(error.kind, PublishErrorKind::RefusedForGood(Refusal::Invalid), "{error:?}");
    }
}

async fn a_time_of_ours_gives_way_and_a_clients_does_not(scene: Scene) {
    let recent = format!("{}-recent", scene.topic);
    scene.make(&recent, &[("message.timestamp.before.max.ms", "600000")]).await;
    let day = 24 * 3_600_000;
    let (old, ahead) = (chrono::Utc::now().timestamp_millis() - day, chrono::Utc::now().timestamp_millis() + 4 * day);
    let at = |time: RecordTime, value: &str| TopicRecord { time, ..record(Some("a"), value) };
    let invalid = PublishErrorKind::RefusedForGood(Refusal::Invalid);
    for time in [old, ahead] {
        assert_eq!(scene.refusal(&recent, at(RecordTime::Given(time), "given")).await, invalid, "{time}");
    }
    for (time, value) in
        [(RecordTime::Arrived(old), "waited"), (RecordTime::Arrived(ahead), "ahead"), (RecordTime::Published, "next")]
    {
        scene.producer.publish(&recent, at(time, value)).await.unwrap();
    }
    let broker = scene.broker.as_ref().unwrap();
    let topic = KafkaTopic::new(&broker.address, recent);
    let times: Vec<_> = topic.all().await.into_iter().map(|record| (record.value, record.time)).collect();
    let of = |value: &str| times.iter().find(|(known, _)| known == value.as_bytes()).unwrap().1;
    assert!(of("waited").unwrap() > old + day / 2, "it has the time of its publication: {times:?}");
    assert_eq!((of("ahead"), of("next")), (None, None), "{times:?}");
}
