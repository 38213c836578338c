//! A topic, to the byte.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::support::eventually::SOON;

/// What is written, or found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since 1970; none: now.
    pub timestamp: Option<i64>,
    /// None: as its key says.
    pub partition: Option<i32>,
}

impl Written {
    pub fn value(value: impl Into<Vec<u8>>) -> Self {
        Self { value: Some(value.into()), key: Some(b"anything".to_vec()), ..Self::default() }
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.iter().find(|(known, _)| known == name)?.1.clone()?;
        Some(String::from_utf8(value).expect("headers of ours are text"))
    }
}

pub struct Topic {
    pub brokers: String,
    pub name: String,
}

/// What was not written.
#[derive(Clone, Default)]
struct Refused(Arc<Mutex<Vec<String>>>);

impl ClientContext for Refused {}

impl ProducerContext for Refused {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, record)) = result {
            let size = record.payload().map_or(0, <[u8]>::len);
            self.0.lock().unwrap().push(format!("{size} bytes: {error}"));
        }
    }
}

impl Topic {
    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.brokers);
        client
    }

    /// Makes it, before the program does.
    pub async fn create(&self, partitions: i32, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().unwrap();
        let topic = NewTopic::new(&self.name, partitions, TopicReplication::Fixed(1));
        let topic = settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
        let created = admin.create_topics(&[topic], &AdminOptions::new()).await.unwrap();
        assert!(created.iter().all(Result::is_ok), "{created:?}");
    }

    /// Writes them in this order, compressed so. Waits until the broker has them.
    pub async fn write(&self, records: Vec<Written>, compression: &str) {
        let mut client = self.client();
        client
            .set("message.max.bytes", "200000000")
            .set("queue.buffering.max.kbytes", "1000000")
            .set("compression.type", compression)
            .set("linger.ms", "20");
        let name = self.name.clone();
        let writing = tokio::task::spawn_blocking(move || {
            let refused = Refused::default();
            let producer: ThreadedProducer<Refused> = client.create_with_context(refused.clone()).unwrap();
            for record in &records {
                let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                    headers.insert(Header { key, value: value.as_ref() })
                });
                let mut outgoing = BaseRecord::<[u8], [u8]>::to(&name).headers(headers);
                outgoing.key = record.key.as_deref();
                outgoing.payload = record.value.as_deref();
                outgoing.timestamp = record.timestamp;
                outgoing.partition = record.partition;
                producer.send(outgoing).map_err(|(error, _)| error).unwrap();
            }
            producer.flush(SOON).unwrap();
            assert_eq!(*refused.0.lock().unwrap(), [""; 0]);
        });
        writing.await.unwrap();
    }

    /// Reads it from the beginning until `enough` of what was read.
    ///
    /// # Panics
    /// At the deadline, with what `enough` lacks.
    pub async fn read_until<T: std::fmt::Debug + Send + 'static>(
        &self,
        deadline: Duration,
        mut enough: impl FnMut(&[Written]) -> Result<(), T> + Send + 'static,
    ) -> Vec<Written> {
        let (mut client, name) = (self.client(), self.name.clone());
        client.set("group.id", "a-reader").set("enable.auto.commit", "false");
        let reading = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.create().unwrap();
            consumer.assign(&everything(&consumer, &name, Offset::Beginning)).unwrap();
            let end = Instant::now() + deadline;
            let mut found = Vec::new();
            loop {
                match consumer.poll(Duration::from_millis(200)) {
                    Some(record) => found.push(written(&record.unwrap())),
                    None => match enough(&found) {
                        Ok(()) => return found,
                        Err(lacking) => assert!(Instant::now() < end, "{} were read; {lacking:?}", found.len()),
                    },
                }
            }
        });
        reading.await.unwrap()
    }

    /// How many records of each partition the group has not finished.
    pub async fn unfinished(&self, group: &str) -> BTreeMap<i32, i64> {
        let (mut client, name) = (self.client(), self.name.clone());
        client.set("group.id", group);
        let asking = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.create().unwrap();
            let asked = everything(&consumer, &name, Offset::Invalid);
            let committed = consumer.committed_offsets(asked, SOON).unwrap();
            let unfinished = committed.elements().into_iter().map(|element| {
                let (low, high) = consumer.fetch_watermarks(&name, element.partition(), SOON).unwrap();
                let next = match element.offset() {
                    Offset::Offset(next) => next,
                    _ => low,
                };
                (element.partition(), high - next)
            });
            unfinished.collect()
        });
        asking.await.unwrap()
    }
}

fn everything(consumer: &BaseConsumer, name: &str, from: Offset) -> TopicPartitionList {
    let metadata = consumer.fetch_metadata(Some(name), SOON).unwrap();
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        list.add_partition_offset(name, partition.id(), from).unwrap();
    }
    assert!(list.count() > 0, "the topic {name} is not there");
    list
}

fn written(record: &impl Message) -> Written {
    let headers = record.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
    });
    Written {
        key: record.key().map(<[u8]>::to_vec),
        value: record.payload().map(<[u8]>::to_vec),
        headers,
        timestamp: record.timestamp().to_millis(),
        partition: Some(record.partition()),
    }
}
