//! Partitions that an operator adds while messages wait.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use correio::application::ports::{Arrival, Broker, MessageSource, Partition, Record};
use correio::domain::message::MessageId;
use correio::infrastructure::kafka::{Kafka, KafkaMessageSource};
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};

use super::brokers::{TestBroker, consume, hand_over_some, on_both_brokers, records};
use super::recovering::stop;
use crate::support::eventually::SOON;

on_both_brokers!(; only real_kafka: added_partitions_wait_until_what_came_before_them_is_finished);

const BEFORE: i32 = 3;
const AFTER: i32 = 12;

const PATIENCE: Duration = Duration::from_secs(120);

/// Longer than a consumer needs that reads an added partition as soon as it knows of it.
const LONG: Duration = Duration::from_secs(20);

async fn added_partitions_wait_until_what_came_before_them_is_finished(broker: TestBroker) {
    let kafka = broker.start().await;
    let source = consume(&kafka).await;
    let sent: BTreeSet<_> = hand_over_some(&kafka, 20).await.into_iter().map(|message| message.id).collect();
    let unfinished = records(&source, sent.len()).await;
    let admin: AdminClient<DefaultClientContext> = broker.client_config().create().unwrap();
    let more = NewPartitions::new(&kafka.topics.send, AFTER.try_into().unwrap());
    admin.create_partitions(&[more], &AdminOptions::new()).await.unwrap();

    let (told, stop) = stop();
    let story = async {
        order_is_kept(&broker, &kafka, &source, sent, unfinished).await;
        drop(told);
    };
    tokio::join!(kafka.keep(stop), story);
}

/// Sends more, until some of it is in an added partition, and finishes the first messages long after that.
async fn order_is_kept(
    broker: &TestBroker,
    kafka: &Kafka,
    source: &KafkaMessageSource,
    mut sent: BTreeSet<MessageId>,
    mut unfinished: Vec<Record>,
) {
    let end = Instant::now() + PATIENCE;
    let mut written_at = None;
    while written_at.is_none_or(|at: Instant| at.elapsed() < LONG) {
        assert!(Instant::now() < end, "nothing goes through the added partitions");
        if written_at.is_none() {
            sent.extend(hand_over_some(kafka, 20).await.into_iter().map(|message| message.id));
            written_at = is_written(broker, kafka).await.then(Instant::now);
        }
        unfinished.extend(arrived(source).await);
        let early = unfinished.iter().find(|record| record.partition >= Partition(BEFORE));
        assert!(early.is_none(), "{:?} is read before what came earlier is finished", early.unwrap().partition);
    }
    let mut read = BTreeSet::new();
    while sent != read {
        assert!(Instant::now() < end, "{} of {} were read", read.len(), sent.len());
        for record in unfinished.drain(..) {
            source.finished(record.partition, record.offset);
            read.insert(record.content.unwrap().message_id);
        }
        unfinished = arrived(source).await;
    }
}

/// Whether a record is in one of the partitions that were added.
async fn is_written(broker: &TestBroker, kafka: &Kafka) -> bool {
    let (config, topic) = (broker.client_config(), kafka.topics.send.clone());
    let ask = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer = config.create().unwrap();
        let end_of = |partition| consumer.fetch_watermarks(&topic, partition, SOON).map_or(0, |(_, end)| end);
        (BEFORE..AFTER).any(|partition| end_of(partition) > 0)
    });
    ask.await.unwrap()
}

/// What arrives within a moment.
async fn arrived(source: &KafkaMessageSource) -> Vec<Record> {
    let mut records = Vec::new();
    while let Ok(arrival) = tokio::time::timeout(Duration::from_millis(200), source.next()).await {
        match arrival {
            Arrival::Record(record) => records.push(record),
            Arrival::GivenUp { drained, .. } => drained.send(()).unwrap(),
            Arrival::Assigned(_) | Arrival::Closed => {}
        }
    }
    records
}
