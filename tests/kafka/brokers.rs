//! A broker, with topics and a group of the test's own.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{SubsecRound, Utc};
use correio::application::node::unreconciled::Unreconciled;
use correio::application::ports::{
    Arrival, Broker, Clock, DueMessages, Forgotten, MessageQueue, MessageSource, Partition, Recall, Record,
    RepositoryError, Retimed, Retiming, Take, Turns, TurnsTaken,
};
use correio::domain::Timestamp;
use correio::domain::instance::{Instance, InstanceId};
use correio::domain::message::{Content, Guard, Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use correio::infrastructure::config::{Brokers, GroupProtocol, KafkaConfig, KafkaSecurity};
use correio::infrastructure::kafka::{Kafka, KafkaMessageSource};
use correio::infrastructure::system::SystemClock;
use rdkafka::config::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use uuid::Uuid;

use crate::support::eventually::{SOON, eventually};
use crate::support::samples::{instance, message_of};

/// Makes a test of every story on both brokers, and of those after `only mock:` and `only real_kafka:` on one. A story is
/// an `async fn` that takes a [`TestBroker`].
macro_rules! on_both_brokers {
    (
        $($both:ident),* $(,)?
        $(; only mock: $($mock:ident),* $(,)?)?
        $(; only real_kafka: $($real:ident),* $(,)?)?
    ) => {
        crate::kafka::brokers::on_broker!(mock: $($both)* $($($mock)*)?);
        crate::kafka::brokers::on_broker!(real_kafka: $($both)* $($($real)*)?);
    };
}
pub(crate) use on_both_brokers;

macro_rules! on_broker {
    ($broker:ident: $($story:ident)*) => {
        mod $broker {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $story() {
                    if let Some(broker) = crate::kafka::brokers::TestBroker::$broker() {
                        super::$story(broker).await;
                    }
                }
            )*
        }
    };
}
pub(crate) use on_broker;

/// A broker that nobody else minds the test using.
pub struct TestBroker {
    pub address: String,
    pub mock: Option<MockCluster<'static, DefaultProducerContext>>,
    pub prefix: String,
    pub group: String,
    pub unreconciled: Unreconciled,
}

impl TestBroker {
    pub fn mock() -> Option<Self> {
        let mock = MockCluster::new(1).unwrap();
        let address = mock.bootstrap_servers();
        Some(Self::at(address, Some(mock)))
    }

    /// None, said once on the terminal, when `TEST_KAFKA_BROKERS` names no broker.
    pub fn real_kafka() -> Option<Self> {
        let Ok(address) = std::env::var("TEST_KAFKA_BROKERS") else {
            static SAID: Once = Once::new();
            // To the terminal itself: what is printed in a test that passes is not shown.
            SAID.call_once(|| {
                let _ = writeln!(std::io::stderr(), "SKIPPED real Kafka: TEST_KAFKA_BROKERS is not set");
            });
            return None;
        };
        Some(Self::at(address, None))
    }

    /// Nobody listens there.
    pub fn nowhere() -> Self {
        Self::at("127.0.0.1:1".to_owned(), None)
    }

    fn at(address: String, mock: Option<MockCluster<'static, DefaultProducerContext>>) -> Self {
        let name = Uuid::new_v4().simple().to_string();
        let (prefix, group) = (format!("test-{name}."), format!("test-{name}"));
        Self { address, mock, prefix, group, unreconciled: Unreconciled::default() }
    }

    pub fn config(&self) -> KafkaConfig {
        KafkaConfig {
            brokers: Brokers::Addresses(vec![self.address.clone()]),
            group_id: self.group.clone(),
            topic_prefix: self.prefix.clone(),
            partitions: 3,
            replication_factor: Some(1),
            publish_timeout: Duration::from_secs(10),
            group_protocol: GroupProtocol::Classic,
            session_timeout: Duration::from_secs(6),
            security: KafkaSecurity::default(),
        }
    }

    /// Connected, with topics.
    pub async fn start(&self) -> Kafka {
        let kafka = self.start_with(&self.config());
        kafka.prepare().await;
        eventually(SOON, "Kafka is there", async || kafka.connection.is_connected().then_some(())).await;
        kafka
    }

    pub fn start_with(&self, config: &KafkaConfig) -> Kafka {
        Kafka::start(config, self.unreconciled.clone(), Arc::new(HastyClock::new())).unwrap()
    }

    /// For clients of the test's own.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.address);
        config
    }
}

pub fn node() -> NodeId {
    NodeId(Uuid::from_u128(7))
}

/// A queued message, owned by [`node`].
pub fn message(recipient: &str, text: &str) -> Message {
    let content =
        Content { text: Some(text.to_owned()), payload: Some("{\"n\":1.50}".to_owned()), ..Content::default() };
    let now = Utc::now().trunc_subsecs(3);
    let instance = Instance { id: InstanceId(Uuid::from_u128(1)), ..instance("acme", "pedidos") };
    let message = message_of(&instance, MessageStatus::Queued, node());
    Message { recipient: recipient.to_owned(), content, created_at: now, updated_at: now, ..message }
}

/// Hands over so many messages to different recipients.
pub async fn hand_over_some(kafka: &Kafka, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    for number in 0..count {
        let message = message(&format!("recipient-{number}"), "Olá");
        kafka.queue.hand_over(&message).await.unwrap();
        messages.push(message);
    }
    messages
}

/// A member of the group, on its way into it.
pub async fn consume(kafka: &Kafka) -> Arc<KafkaMessageSource> {
    let source = kafka.source(Duration::from_secs(60));
    // It joins when it is first asked.
    assert!(futures::poll!(std::pin::pin!(source.next())).is_pending());
    source
}

/// The mock (librdkafka 2.12.1) refuses a `SyncGroup` that comes after its leader's, and the rebalance begins anew, 9 s a
/// round: of several members, on a busy machine, some need more than one.
pub const ROUNDS: Duration = Duration::from_secs(60);

pub async fn arrival(source: &KafkaMessageSource) -> Arrival {
    tokio::time::timeout(ROUNDS, source.next()).await.expect("something arrives")
}

/// The next record; partitions may come, but none may go.
pub async fn record(source: &KafkaMessageSource) -> Record {
    loop {
        match arrival(source).await {
            Arrival::Record(record) => return record,
            Arrival::Assigned(_) => {}
            other => panic!("a record, not {other:?}"),
        }
    }
}

pub async fn records(source: &KafkaMessageSource, count: usize) -> Vec<Record> {
    let mut records = Vec::new();
    while records.len() < count {
        records.push(record(source).await);
    }
    records
}

/// Until this many partitions have come.
pub async fn assigned(source: &KafkaMessageSource, count: usize) -> BTreeSet<Partition> {
    let mut partitions = BTreeSet::new();
    while partitions.len() < count {
        match arrival(source).await {
            Arrival::Assigned(more) => partitions.extend(more),
            other => panic!("partitions, not {other:?}"),
        }
    }
    partitions
}

/// That nothing arrives for a while in which it would have.
pub async fn silence(source: &KafkaMessageSource, why: &str) {
    if let Ok(arrival) = tokio::time::timeout(Duration::from_millis(1_500), source.next()).await {
        panic!("{why}, but {arrival:?}");
    }
}

/// Ends its membership in good order.
pub async fn close(source: &KafkaMessageSource) {
    source.close();
    loop {
        match arrival(source).await {
            Arrival::Closed => return,
            Arrival::GivenUp { drained, .. } => drop(drained.send(())),
            Arrival::Record(_) | Arrival::Assigned(_) => {}
        }
    }
}

/// Notes which messages were made due.
#[derive(Default)]
pub struct MadeDue {
    pub messages: Mutex<Vec<(MessageId, NodeId)>>,
}

#[async_trait]
impl DueMessages for MadeDue {
    async fn take(&self, _take: &Take) -> Result<Vec<Message>, RepositoryError> {
        Ok(Vec::new())
    }

    async fn take_in_turns(&self, _turns: &Turns) -> Result<TurnsTaken, RepositoryError> {
        Ok(TurnsTaken { messages: Vec::new(), next: None })
    }

    async fn in_delivery(&self, _nodes: &[NodeId]) -> Result<Vec<Guard>, RepositoryError> {
        Ok(Vec::new())
    }

    async fn give_back(&self, _forgotten: &[Forgotten], _now: Timestamp) -> Result<u64, RepositoryError> {
        Ok(0)
    }

    async fn make_due(&self, messages: &[(MessageId, NodeId)], _now: Timestamp) -> Result<u64, RepositoryError> {
        self.messages.lock().unwrap().extend(messages);
        Ok(messages.len() as u64)
    }

    async fn retime(&self, _: &Retiming) -> Result<Retimed, RepositoryError> {
        Ok(Retimed { written: 0, next: None })
    }

    async fn recall(&self, _: &Recall) -> Result<Retimed, RepositoryError> {
        Ok(Retimed { written: 0, next: None })
    }

    async fn call_in(&self, _: Timestamp, _: u32) -> Result<u64, RepositoryError> {
        Ok(0)
    }
}

impl TestBroker {
    /// The messages that were taken on and not kept, sorted.
    pub async fn unreconciled(&self) -> Vec<(MessageId, NodeId)> {
        let due = MadeDue::default();
        assert!(self.unreconciled.reconcile(&due, &SystemClock::new()).await.is_ok());
        let mut messages = due.messages.into_inner().unwrap();
        messages.sort();
        messages
    }
}

/// The real clock, whose waits are shorter.
pub struct HastyClock(SystemClock);

const HASTE: u32 = 10;

impl HastyClock {
    pub fn new() -> Self {
        Self(SystemClock::new())
    }
}

#[async_trait]
impl Clock for HastyClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic() * HASTE
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration / HASTE).await;
    }
}
