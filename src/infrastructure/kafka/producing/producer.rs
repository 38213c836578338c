//! The one producer of a process, for messages and dead letters alike.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseRecord, Producer as _, PurgeConfig, ThreadedProducer};
use tracing::{error, warn};

use super::publishing::{BUFFERED_KIBIBYTES, BUFFERED_MESSAGES};
use super::reports::{ProducerEvents, Purpose, Report, Reports};
use crate::application::node::unreconciled::Unreconciled;
use crate::application::ports::Clock;
use crate::domain::Timestamp;
use crate::infrastructure::kafka::client::{Connection, STANDSTILL};

/// A record to publish.
pub struct Outgoing<'r> {
    pub topic: &'r str,
    pub key: Option<&'r [u8]>,
    pub value: Option<&'r [u8]>,
    /// Milliseconds since 1970. None: now.
    pub timestamp: Option<i64>,
    pub headers: Option<OwnedHeaders>,
}

/// A broker refuses a batch as a whole: small ones keep below most limits that single messages keep below.
const BATCH_BYTES: usize = 131_072;

/// Every record is a batch of its own: the size is looked at once a batch has its first record.
const SINGLE_RECORDS: usize = 1;

type Client = ThreadedProducer<ProducerEvents>;
type Record<'r> = BaseRecord<'r, [u8], [u8], Box<Report>>;

/// Publishes without waiting, and replaces librdkafka's producer when it has given up for good.
pub struct Producer {
    config: ClientConfig,
    client: RwLock<Arc<Client>>,
    /// Of the client's batches: as much as the topic takes, and 1 for a record each.
    batch_bytes: AtomicUsize,
    /// What the topics take in a batch, as the broker said last.
    described: Mutex<(Option<usize>, Option<usize>)>,
    closed: AtomicBool,
    /// Those that are being replaced.
    retiring: Mutex<Vec<JoinHandle<()>>>,
    reports: Arc<Reports>,
}

impl Producer {
    /// # Errors
    /// When librdkafka refuses the settings.
    pub fn new(
        mut config: ClientConfig,
        publish_timeout: Duration,
        unreconciled: Unreconciled,
        clock: Arc<dyn Clock>,
        connection: Arc<Connection>,
    ) -> Result<Self, KafkaError> {
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // Keys land where Java's, kafkajs's and Python's clients put them; librdkafka's own default is another hash.
            .set("partitioner", "murmur2_random")
            .set("message.timeout.ms", publish_timeout.as_millis().to_string())
            // With less, more requests are under way than Kafka allows, and until one is answered librdkafka's thread spins.
            .set("linger.ms", "5")
            .set("queue.buffering.max.messages", BUFFERED_MESSAGES.to_string())
            .set("queue.buffering.max.kbytes", BUFFERED_KIBIBYTES.to_string())
            // Only the broker knows what it takes.
            .set("message.max.bytes", "100000000");
        let reports = Arc::new(Reports::new(unreconciled, publish_timeout, clock, connection));
        let client = RwLock::new(Arc::new(connect(&config, &reports, BATCH_BYTES)?));
        let batch_bytes = AtomicUsize::new(BATCH_BYTES);
        let (described, closed, retiring) = (Mutex::default(), AtomicBool::new(false), Mutex::default());
        Ok(Self { config, client, batch_bytes, described, closed, retiring, reports })
    }

    /// Gives a record to librdkafka, which reports later what became of it. Never waits.
    ///
    /// # Errors
    /// When it was not taken on; there will be no report then.
    pub fn publish(&self, record: Outgoing<'_>, purpose: Purpose) -> Result<(), KafkaError> {
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        let report = Box::new(Report::new(&self.reports, purpose, bytes));
        let mut outgoing = BaseRecord::with_opaque_to(record.topic, report);
        outgoing.key = record.key;
        outgoing.payload = record.value;
        outgoing.timestamp = record.timestamp;
        outgoing.headers = record.headers;
        self.follow_reports();
        let topic = record.topic;
        let mut sent = self.send(outgoing);
        if let Err((KafkaError::MessageProduction(RDKafkaErrorCode::Fatal), outgoing)) = sent {
            self.replace_fatal();
            sent = self.send(outgoing);
        }
        sent.map_err(|(error, _)| {
            self.reports.refusals.failed(topic, &error);
            error
        })
    }

    #[allow(clippy::result_large_err, reason = "the record is sent again")]
    fn send<'r>(&self, record: Record<'r>) -> Result<(), (KafkaError, Record<'r>)> {
        let client = self.client.read().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that nothing slips in behind a flush.
        if self.closed.load(Ordering::Acquire) {
            return Err((KafkaError::Canceled, record));
        }
        client.send(record)
    }

    fn follow_reports(&self) {
        if self.reports.take_single_records() {
            self.single_records();
        }
        if self.reports.standstill.take() {
            self.replace(&mut self.writable(), STANDSTILL);
        }
    }

    /// A producer that has met a fatal error never publishes again.
    fn replace_fatal(&self) {
        let mut current = self.writable();
        // Another caller may have been faster.
        let Some((_, cause)) = current.client().fatal_error() else { return };
        self.replace(&mut current, &format!("a fatal error: {cause}"));
    }

    /// What the topics of messages and of dead letters take in a batch, as the broker says. None: it does not say.
    pub fn set_largest_batch(&self, messages: Option<usize>, dead_letters: Option<usize>) {
        let described = (messages, dead_letters);
        // A limit that was described before and turned out to be less is not believed again.
        if std::mem::replace(&mut *self.described.lock().unwrap_or_else(PoisonError::into_inner), described)
            == described
        {
            return;
        }
        if let Some(bytes) = messages {
            self.reports.set_largest_batch(bytes);
        }
        if let Some(bytes) = messages.into_iter().chain(dead_letters).min() {
            self.batch_by(bytes.clamp(SINGLE_RECORDS, BATCH_BYTES));
        }
    }

    /// From now on every record is a batch of its own, until it is known what the topics take.
    pub fn single_records(&self) {
        self.batch_by(SINGLE_RECORDS);
    }

    fn batch_by(&self, bytes: usize) {
        let mut current = self.writable();
        if self.batch_bytes.swap(bytes, Ordering::Relaxed) != bytes {
            self.replace(&mut current, &format!("its batches have {bytes} bytes at most from now on"));
        }
    }

    fn writable(&self) -> RwLockWriteGuard<'_, Arc<Client>> {
        self.client.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the old one still has is reported as failed, and so published again.
    fn replace(&self, current: &mut Arc<Client>, cause: &str) {
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        match connect(&self.config, &self.reports, self.batch_bytes.load(Ordering::Relaxed)) {
            Ok(client) => {
                warn!(target: "kafka", cause, "the Kafka producer is replaced");
                let old = std::mem::replace(current, Arc::new(client));
                // It takes a moment.
                let retiring = std::thread::spawn(move || abandon(&old));
                self.retiring.lock().unwrap_or_else(PoisonError::into_inner).push(retiring);
            }
            Err(error) => error!(target: "kafka", %error, "cannot create a new Kafka producer"),
        }
    }

    pub fn free_capacity(&self) -> usize {
        if self.closed.load(Ordering::Acquire) { 0 } else { self.reports.free_capacity() }
    }

    /// Bytes of a value that brokers are known or believed to take.
    pub fn largest_value(&self) -> usize {
        self.reports.largest_value()
    }

    /// The time that the record of a message shall carry, in milliseconds since 1970.
    pub fn time_of(&self, handed_over_at: Timestamp) -> i64 {
        self.reports.times.of(handed_over_at)
    }

    /// Whether a record of so many bytes may be in a batch with others, and so share what befalls the batch.
    pub fn may_share_a_batch(&self, bytes: usize) -> bool {
        bytes < self.batch_bytes.load(Ordering::Relaxed)
    }

    /// A record was refused before it was under way.
    pub fn refused(&self, error: &KafkaError) {
        self.reports.refused(error);
    }

    /// The client under it, for what one may ask a broker. To be dropped where waiting is allowed.
    pub fn client(&self) -> Arc<Client> {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes nothing more, and waits until everything was reported: what no broker has confirmed within `patience` is
    /// reported as failed, and soon if there is no broker to wait for. Waits, so not for a thread of the runtime.
    pub fn close(&self, patience: Duration) {
        const WITHOUT_A_BROKER: Duration = Duration::from_secs(1);
        let connected = self.reports.is_connected();
        let patience = if connected { patience } else { patience.min(WITHOUT_A_BROKER) };
        let client = {
            let client = self.client.write().unwrap_or_else(PoisonError::into_inner);
            self.closed.store(true, Ordering::Release);
            client.clone()
        };
        if client.flush(patience).is_err() {
            abandon(&client);
        }
        for retiring in self.retiring.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // A thread that panicked has said so.
            let _ended = retiring.join();
        }
    }
}

/// Has everything reported as failed that is not published yet.
fn abandon(client: &Client) {
    client.purge(PurgeConfig::default().queue().inflight());
    if let Err(error) = client.flush(Duration::from_secs(10)) {
        error!(target: "kafka", %error, "a producer that is closed did not report on all of its records");
    }
}

fn connect(config: &ClientConfig, reports: &Arc<Reports>, batch_bytes: usize) -> Result<Client, KafkaError> {
    let mut config = config.clone();
    config.set("batch.size", batch_bytes.to_string());
    config.create_with_context(ProducerEvents::new(reports.clone(), batch_bytes))
}
