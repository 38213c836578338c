//! The one producer of a process, for messages and dead letters alike.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use futures::channel::oneshot;
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer};
use tracing::{debug, error, info, warn};

use super::publishing::{BUFFERED_KIBIBYTES, BUFFERED_MESSAGES, Buffered, Publishing};
use crate::application::node::unreconciled::Unreconciled;
use crate::application::ports::Clock;
use crate::domain::message::MessageId;
use crate::domain::node::NodeId;
use crate::infrastructure::kafka::client::Connection;
use crate::infrastructure::kafka::event::LARGEST_VALUE;

/// Whose report it is.
pub enum Purpose {
    Message { id: MessageId, node: Option<NodeId> },
    DeadLetter(oneshot::Sender<Result<(), KafkaError>>),
}

/// What librdkafka keeps beside a record and gives back with its report, or with its refusal.
pub struct Report {
    purpose: Purpose,
    bytes: usize,
    /// Dead letters have none: they shall not take room from messages.
    _place: Option<BufferShare>,
}

/// A message's share of what is buffered, until this is dropped.
struct BufferShare {
    reports: Arc<Reports>,
    bytes: usize,
}

impl BufferShare {
    fn take(reports: &Arc<Reports>, bytes: usize) -> Self {
        reports.buffered_messages.fetch_add(1, Ordering::Relaxed);
        reports.buffered_bytes.fetch_add(bytes, Ordering::Relaxed);
        Self { reports: reports.clone(), bytes }
    }
}

impl Drop for BufferShare {
    fn drop(&mut self) {
        self.reports.buffered_messages.fetch_sub(1, Ordering::Relaxed);
        self.reports.buffered_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A record to publish.
pub struct Outgoing<'r> {
    pub topic: &'r str,
    pub key: Option<&'r [u8]>,
    pub value: Option<&'r [u8]>,
    /// Milliseconds since 1970. None: now.
    pub timestamp: Option<i64>,
    pub headers: Option<OwnedHeaders>,
}

type Client = ThreadedProducer<ProducerEvents>;
type Record<'r> = BaseRecord<'r, [u8], [u8], Box<Report>>;

/// Publishes without waiting, and replaces librdkafka's producer when it has given up for good.
pub struct Producer {
    config: ClientConfig,
    client: RwLock<Arc<Client>>,
    closed: AtomicBool,
    /// Those that are being replaced.
    retiring: Mutex<Vec<JoinHandle<()>>>,
    reports: Arc<Reports>,
}

/// What became of what was published.
pub struct Reports {
    unreconciled: Unreconciled,
    clock: Arc<dyn Clock>,
    connection: Arc<Connection>,
    publishing: Mutex<Publishing>,
    buffered_messages: AtomicUsize,
    buffered_bytes: AtomicUsize,
    largest_value: AtomicUsize,
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
            .set("message.timeout.ms", publish_timeout.as_millis().to_string())
            // With less, more requests are under way than Kafka allows, and until one is answered librdkafka's thread spins.
            .set("linger.ms", "5")
            .set("queue.buffering.max.messages", BUFFERED_MESSAGES.to_string())
            .set("queue.buffering.max.kbytes", BUFFERED_KIBIBYTES.to_string())
            // Only the broker knows what it takes.
            .set("message.max.bytes", "100000000")
            // A broker refuses a batch as a whole: small ones keep below any limit that single messages keep below.
            .set("batch.size", "131072");
        let reports = Arc::new(Reports {
            unreconciled,
            clock,
            connection,
            publishing: Mutex::default(),
            buffered_messages: AtomicUsize::new(0),
            buffered_bytes: AtomicUsize::new(0),
            largest_value: AtomicUsize::new(LARGEST_VALUE),
        });
        let client = RwLock::new(Arc::new(connect(&config, &reports)?));
        Ok(Self { config, client, closed: AtomicBool::new(false), retiring: Mutex::default(), reports })
    }

    /// Gives a record to librdkafka, which reports later what became of it. Never waits.
    ///
    /// # Errors
    /// When it was not taken on; there will be no report then.
    pub fn publish(&self, record: Outgoing<'_>, purpose: Purpose) -> Result<(), KafkaError> {
        let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        let is_message = matches!(purpose, Purpose::Message { .. });
        let place = is_message.then(|| BufferShare::take(&self.reports, bytes));
        let report = Report { purpose, bytes, _place: place };
        let mut outgoing = BaseRecord::with_opaque_to(record.topic, Box::new(report));
        outgoing.key = record.key;
        outgoing.payload = record.value;
        outgoing.timestamp = record.timestamp;
        outgoing.headers = record.headers;
        let mut sent = self.send(outgoing);
        if let Err((KafkaError::MessageProduction(RDKafkaErrorCode::Fatal), outgoing)) = sent {
            self.replace();
            sent = self.send(outgoing);
        }
        sent.map_err(|(error, _)| error)
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

    /// A producer that has met a fatal error never publishes again.
    fn replace(&self) {
        let mut current = self.client.write().unwrap_or_else(PoisonError::into_inner);
        // Another caller may have been faster.
        let Some((_, cause)) = current.client().fatal_error() else { return };
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        match connect(&self.config, &self.reports) {
            Ok(client) => {
                warn!(target: "kafka", cause, "a new producer takes the place of one that had given up");
                let old = std::mem::replace(&mut *current, Arc::new(client));
                // What it still has takes a moment to be reported as failed.
                let retiring = std::thread::spawn(move || abandon(&old));
                self.retiring.lock().unwrap_or_else(PoisonError::into_inner).push(retiring);
            }
            Err(error) => error!(target: "kafka", %error, "cannot create a new Kafka producer"),
        }
    }

    pub fn free_capacity(&self) -> usize {
        if self.closed.load(Ordering::Acquire) || !self.reports.connection.is_connected() {
            return 0;
        }
        let buffered = Buffered {
            messages: self.reports.buffered_messages.load(Ordering::Relaxed),
            bytes: self.reports.buffered_bytes.load(Ordering::Relaxed),
        };
        self.reports.publishing().free_capacity(self.reports.clock.monotonic(), buffered)
    }

    /// Bytes of a value that brokers are known or believed to take.
    pub fn largest_value(&self) -> usize {
        self.reports.largest_value.load(Ordering::Relaxed)
    }

    /// A record was refused before it was under way.
    pub fn refused(&self, error: &KafkaError) {
        // A full buffer says nothing about the broker: `room` sees it.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) && *error != KafkaError::Canceled {
            self.reports.failed(error);
        }
    }

    /// The client under it, for what one may ask a broker. To be dropped where waiting is allowed.
    pub fn client(&self) -> Arc<Client> {
        self.client.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes nothing more, and waits until everything was reported: what no broker has confirmed within `patience` is
    /// reported as failed, and soon if there is no broker to wait for. Waits, so not for a thread of the runtime.
    pub fn close(&self, patience: Duration) {
        const WITHOUT_A_BROKER: Duration = Duration::from_secs(1);
        let connected = self.reports.connection.is_connected();
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
        error!(target: "kafka", %error, "not everything was reported of what a producer had");
    }
}

fn connect(config: &ClientConfig, reports: &Arc<Reports>) -> Result<Client, KafkaError> {
    config.create_with_context(ProducerEvents { reports: reports.clone() })
}

impl Reports {
    fn failed(&self, error: &KafkaError) {
        if self.publishing().failed(self.clock.monotonic()) {
            warn!(target: "kafka", %error, "publishing to Kafka fails; the relay will publish again");
        }
    }

    fn message_reported(&self, id: MessageId, node: Option<NodeId>, bytes: usize, error: Option<&KafkaError>) {
        let Some(error) = error else {
            if self.publishing().succeeded() {
                info!(target: "kafka", "publishing to Kafka works again");
            }
            return;
        };
        debug!(target: "kafka", { message.id = %id, %error }, "not published");
        match node {
            Some(node) => self.unreconciled.not_handed_over(id, node),
            // A row that names no node is due anyway.
            None => warn!(target: "kafka", { message.id = %id, %error }, "a message of no node was not published"),
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => self.too_large(bytes, error),
            // Our own doing: a producer that is closed or replaced.
            Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) => {}
            _ => self.failed(error),
        }
    }

    /// The broker takes less than we believed: what is larger travels as a reference from now on.
    fn too_large(&self, bytes: usize, error: &KafkaError) {
        let limit = bytes / 2;
        if self.largest_value.fetch_min(limit, Ordering::Relaxed) > limit {
            warn!(target: "kafka", bytes, limit, "Kafka refuses records of this size: above the limit, they only name their rows");
        } else {
            self.failed(error);
        }
    }

    fn publishing(&self) -> MutexGuard<'_, Publishing> {
        self.publishing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one producer of librdkafka's tells.
pub struct ProducerEvents {
    reports: Arc<Reports>,
}

impl ClientContext for ProducerEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.reports.connection.log("producer", level, facility, line);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.reports.connection.look(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reports.connection.error("producer", &error, reason);
    }
}

impl ProducerContext for ProducerEvents {
    type DeliveryOpaque = Box<Report>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Box<Report>) {
        let error = result.as_ref().err().map(|(error, _)| error);
        match report.purpose {
            Purpose::Message { id, node } => self.reports.message_reported(id, node, report.bytes, error),
            // The caller may have gone.
            Purpose::DeadLetter(done) => drop(done.send(error.cloned().map_or(Ok(()), Err))),
        }
    }
}
