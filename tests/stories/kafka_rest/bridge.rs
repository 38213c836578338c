//! The program over a real Kafka through which no messages travel, and topics and groups of a test's own in it.

use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::process::Command;
use std::sync::Once;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::test_app::TestApp;

pub struct Bridge {
    app: TestApp,
    pub brokers: String,
    /// Before the names of this test's topics and groups.
    pub name: String,
}

impl Deref for Bridge {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl DerefMut for Bridge {
    fn deref_mut(&mut self) -> &mut TestApp {
        &mut self.app
    }
}

impl Bridge {
    /// None, said once on the terminal, when `TEST_KAFKA_BROKERS` names no Kafka.
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    pub async fn start_with(settings: &[(&str, &str)]) -> Option<Self> {
        let Ok(brokers) = std::env::var("TEST_KAFKA_BROKERS") else {
            static SAID: Once = Once::new();
            // To the terminal itself: what is printed in a test that passes is not shown.
            SAID.call_once(|| {
                let _ = writeln!(std::io::stderr(), "SKIPPED real_kafka: TEST_KAFKA_BROKERS is not set");
            });
            return None;
        };
        let settings = [&[("KAFKA_BROKERS", brokers.as_str())], settings].concat();
        let app = TestApp::start_with(Installation::sqlite().await?, &settings).await;
        Some(Self { app, brokers, name: format!("rest-{}", Uuid::new_v4().simple()) })
    }

    /// A topic that is there, with so many partitions.
    pub async fn topic(&self, partitions: i32) -> String {
        let topic = format!("{}-{}", self.name, Uuid::new_v4().simple());
        let body = json!({"topic": topic, "partitions": partitions, "replicationFactor": 1});
        let answer = self.post("/admin/topics", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
        eventually(SOON, "the topic is known", async || {
            let names = self.get("/topics").await.json();
            names.as_array().unwrap().contains(&json!(topic)).then_some(())
        })
        .await;
        topic
    }

    /// The path of the cluster, version 3.
    pub async fn cluster(&self) -> String {
        let clusters = self.get("/v3/clusters").await.json();
        format!("/v3/clusters/{}", clusters["data"][0]["cluster_id"].as_str().unwrap())
    }

    pub fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.brokers);
        client
    }

    /// Puts records, each into a partition.
    pub async fn put(&self, topic: &str, records: &[(i32, &str)]) {
        let (client, topic) = (self.client(), topic.to_owned());
        let records: Vec<(i32, String)> =
            records.iter().map(|(partition, text)| (*partition, (*text).to_owned())).collect();
        let putting = tokio::task::spawn_blocking(move || {
            let producer: BaseProducer = client.create().unwrap();
            for (partition, text) in &records {
                producer.send(BaseRecord::<(), _>::to(&topic).payload(text).partition(*partition)).unwrap();
            }
            producer.flush(SOON).unwrap();
        });
        putting.await.unwrap();
    }

    /// A member of a group that has read a record of each partition it was given, and stays until it is dropped.
    pub async fn member(&self, group: &str, topic: &str, protocol: &str) -> BaseConsumer {
        let mut client = self.client();
        client.set("group.id", group).set("auto.offset.reset", "earliest").set("enable.auto.commit", "false");
        client.set("group.protocol", protocol).set("client.id", "a-member");
        let topic = topic.to_owned();
        let joining = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client.create().unwrap();
            consumer.subscribe(&[&topic]).unwrap();
            let end = std::time::Instant::now() + SOON;
            while std::time::Instant::now() < end {
                if let Some(record) = consumer.poll(Duration::from_millis(100)) {
                    consumer.commit_message(&record.unwrap(), CommitMode::Sync).unwrap();
                    return consumer;
                }
            }
            panic!("no record came");
        });
        joining.await.unwrap()
    }

    /// What one of Kafka's own tools prints. None where its jars are not there.
    pub async fn tool(&self, class: &str, arguments: &[&str]) -> Option<String> {
        let jars = std::env::var("TEST_KAFKA_LIB").ok()?;
        let mut command = Command::new("java");
        command.args(["-Xmx128m", "-cp", &format!("{jars}/*"), class, "--bootstrap-server", &self.brokers]);
        command.args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// The same whatever the order of its elements.
pub fn sorted(mut list: Vec<Value>) -> Vec<Value> {
    list.sort_by_key(Value::to_string);
    list
}
