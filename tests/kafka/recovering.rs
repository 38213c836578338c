use std::time::Duration;

use chrono::Utc;
use correio::application::Stop;
use correio::application::ports::{Arrival, Broker, MessageQueue, MessageSource};
use correio::infrastructure::config::KafkaConfig;
use correio::infrastructure::kafka::Kafka;
use futures::FutureExt;
use futures::channel::oneshot;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

use super::brokers::{TestBroker, consume, hand_over_some, message, on_both_brokers, records};
use crate::support::eventually::{SOON, eventually};

on_both_brokers!(
    a_backlog_that_waits_is_not_lost,
    what_is_older_than_what_was_read_is_lost;
    only real_kafka: a_topic_that_was_deleted_comes_back
);

/// With the margin of 15 s that comes on top.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(1);
const MARGIN: chrono::TimeDelta = chrono::TimeDelta::seconds(16);

/// Stops what is kept when the first is dropped.
pub fn stop() -> (oneshot::Sender<()>, Stop) {
    let (stop, stopped) = oneshot::channel();
    (stop, stopped.map(drop).boxed().shared())
}

async fn start(broker: &TestBroker) -> Kafka {
    let kafka = broker.start_with(&KafkaConfig { publish_timeout: PUBLISH_TIMEOUT, ..broker.config() });
    kafka.prepare().await;
    kafka
}

async fn a_backlog_that_waits_is_not_lost(broker: TestBroker) {
    let kafka = start(&broker).await;
    let (end, stop) = stop();
    let mut oldest = message("a", "the oldest");
    oldest.updated_at -= chrono::TimeDelta::hours(2);
    let look = async {
        kafka.queue.hand_over(&oldest).await.unwrap();
        hand_over_some(&kafka, 20).await;
        let expected = Some(oldest.updated_at - MARGIN);
        eventually(SOON, "the oldest that waits decides", async || {
            (kafka.queue.lost_before() == expected).then_some(())
        })
        .await;

        // Read but not finished is still waiting.
        let source = consume(&kafka).await;
        let read = records(&source, 21).await;
        assert_eq!(kafka.queue.lost_before(), expected);
        for record in &read {
            source.finished(record.partition, record.offset);
        }
        let start = Utc::now();
        eventually(SOON, "everything is finished", async || {
            kafka.queue.lost_before().filter(|before| *before > start - MARGIN)
        })
        .await;
        assert!(kafka.queue.lost_before().unwrap() <= Utc::now() - MARGIN);
        drop(end);
    };
    tokio::join!(kafka.keep(stop), look);
}

async fn what_is_older_than_what_was_read_is_lost(broker: TestBroker) {
    let kafka = start(&broker).await;
    assert_eq!(kafka.queue.lost_before(), None);
    let (end, stop) = stop();
    let look = async {
        let start = Utc::now();
        let before = eventually(SOON, "an empty topic has lost what is old", async || kafka.queue.lost_before()).await;
        assert!(before >= start - MARGIN - chrono::TimeDelta::seconds(1) && before <= Utc::now() - MARGIN, "{before}");
        drop(end);
    };
    tokio::join!(kafka.keep(stop), look);
}

async fn a_topic_that_was_deleted_comes_back(broker: TestBroker) {
    let kafka = start(&broker).await;
    let (end, stop) = stop();
    let look = async {
        let source = consume(&kafka).await;
        hand_over_some(&kafka, 10).await;
        for record in records(&source, 10).await {
            source.finished(record.partition, record.offset);
        }
        let admin: AdminClient<DefaultClientContext> = broker.client_config().create().unwrap();
        admin.delete_topics(&[&kafka.topics.send], &AdminOptions::new()).await.unwrap();
        // What is lost meanwhile is published again, as the relay does.
        let next = message("a", "b");
        let found = eventually(Duration::from_secs(60), "messages travel again", async || {
            let _not_yet = kafka.queue.hand_over(&next).await;
            match tokio::time::timeout(Duration::from_secs(1), source.next()).await {
                Ok(Arrival::Record(record)) => Some(record),
                Ok(Arrival::GivenUp { drained, .. }) => {
                    drained.send(()).unwrap();
                    None
                }
                _ => None,
            }
        })
        .await;
        assert_eq!(found.content.unwrap().message_id, next.id);
        let metadata = admin.inner().fetch_metadata(Some(&kafka.topics.send), SOON).unwrap();
        assert_eq!(metadata.topics()[0].partitions().len(), 3);
        drop(end);
    };
    tokio::join!(kafka.keep(stop), look);
}
