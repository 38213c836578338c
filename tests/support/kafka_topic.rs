//! A topic of a real Kafka, seen from outside the program.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use super::eventually::SOON;

pub struct KafkaTopic {
    brokers: String,
    name: String,
}

#[derive(Clone, Debug)]
pub struct TopicRecord {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    pub headers: Vec<(String, String)>,
    /// Milliseconds since 1970.
    pub time: Option<i64>,
}

impl TopicRecord {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.value).into_owned()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl KafkaTopic {
    pub fn new(brokers: &str, name: String) -> Self {
        Self { brokers: brokers.to_owned(), name }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts a record into its first partition.
    pub async fn put(&self, key: &str, value: &[u8]) {
        let (client, name) = (self.client(), self.name.clone());
        let (key, value) = (key.to_owned(), value.to_owned());
        let putting = tokio::task::spawn_blocking(move || {
            let producer: BaseProducer = client.create().unwrap();
            producer.send(BaseRecord::to(&name).key(&key).payload(&value).partition(0)).unwrap();
            producer.flush(SOON).unwrap();
        });
        putting.await.unwrap();
    }

    /// The first record that is wanted.
    ///
    /// # Panics
    /// When there is none at the deadline.
    pub async fn record(&self, wanted: impl Fn(&TopicRecord) -> bool + Send + 'static) -> TopicRecord {
        let (client, name) = (self.client(), self.name.clone());
        let reading = tokio::task::spawn_blocking(move || read(&client, &name, wanted));
        reading.await.unwrap()
    }

    /// Every record that is in it.
    pub async fn all(&self) -> Vec<TopicRecord> {
        let (client, name) = (self.client(), self.name.clone());
        let reading = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.create().unwrap();
            let metadata = consumer.fetch_metadata(Some(&name), SOON).unwrap();
            let partitions = metadata.topics()[0].partitions().iter();
            let count = |partition| {
                let (low, high) = consumer.fetch_watermarks(&name, partition, SOON).unwrap();
                usize::try_from(high - low).unwrap()
            };
            let wanted: usize = partitions.map(|partition| count(partition.id())).sum();
            let end = std::time::Instant::now() + Duration::from_secs(60);
            let records = read_some(&client, &name, |_| false, end, wanted).unwrap_err();
            assert_eq!(records.len(), wanted, "all records of {name} are read");
            records
        });
        reading.await.unwrap()
    }

    /// With one partition.
    pub async fn make(&self) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let topic = NewTopic::new(&self.name, 1, TopicReplication::Fixed(1));
        let made = admin.create_topics([&topic], &AdminOptions::new()).await.unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
    }

    /// With everything in it.
    pub async fn delete(&self) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let deleted = admin.delete_topics(&[&self.name], &AdminOptions::new()).await.unwrap();
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    }

    pub async fn partitions(&self) -> usize {
        let (client, name) = (self.client(), self.name.clone());
        let asking = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.create().unwrap();
            consumer.fetch_metadata(Some(&name), SOON).unwrap().topics()[0].partitions().len()
        });
        asking.await.unwrap()
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.brokers).set("group.id", "a-story").set("enable.auto.commit", "false");
        client
    }
}

fn read(client: &ClientConfig, name: &str, wanted: impl Fn(&TopicRecord) -> bool) -> TopicRecord {
    // A record that the broker did not keep is published again when it is found missing, which takes its time. A consumer
    // may wait for ever at a partition that had no leader when it was asked for (librdkafka 5430): another one follows.
    const CONSUMERS: u32 = 3;
    let mut unwanted = Vec::new();
    for _ in 0..CONSUMERS {
        match read_until(client, name, &wanted, std::time::Instant::now() + SOON) {
            Ok(record) => return record,
            Err(others) => unwanted = others,
        }
    }
    let texts: Vec<String> = unwanted.iter().map(TopicRecord::text).collect();
    panic!("what is wanted of {name} is not among {texts:#?}");
}

/// The records that came until then, if none was wanted.
fn read_until(
    client: &ClientConfig,
    name: &str,
    wanted: impl Fn(&TopicRecord) -> bool,
    end: std::time::Instant,
) -> Result<TopicRecord, Vec<TopicRecord>> {
    read_some(client, name, wanted, end, usize::MAX)
}

/// The same, of so many at the most.
fn read_some(
    client: &ClientConfig,
    name: &str,
    wanted: impl Fn(&TopicRecord) -> bool,
    end: std::time::Instant,
    most: usize,
) -> Result<TopicRecord, Vec<TopicRecord>> {
    let consumer: BaseConsumer = client.create().unwrap();
    let metadata = consumer.fetch_metadata(Some(name), SOON).unwrap();
    let mut assignment = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        assignment.add_partition_offset(name, partition.id(), Offset::Beginning).unwrap();
    }
    assert!(assignment.count() > 0, "the topic {name} is not there");
    consumer.assign(&assignment).unwrap();
    let mut unwanted = Vec::new();
    while std::time::Instant::now() < end && unwanted.len() < most {
        let Some(record) = consumer.poll(Duration::from_millis(100)) else { continue };
        let record = record.unwrap();
        let headers = record.headers().map_or_else(Vec::new, |headers| {
            let text = |value: Option<&[u8]>| String::from_utf8(value.unwrap_or_default().to_vec()).unwrap();
            headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
        });
        let (key, value) = (record.key().unwrap_or_default(), record.payload().unwrap_or_default());
        let time = record.timestamp().to_millis();
        let record = TopicRecord { key: key.to_vec(), value: value.to_vec(), headers, time };
        if wanted(&record) {
            return Ok(record);
        }
        unwanted.push(record);
    }
    Err(unwanted)
}
