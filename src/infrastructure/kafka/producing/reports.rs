//! What became of what was published, as librdkafka reports it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use tracing::{debug, info, warn};

use super::publishing::{Buffered, Publishing};
use crate::application::node::unreconciled::Unreconciled;
use crate::application::ports::Clock;
use crate::domain::message::MessageId;
use crate::domain::node::NodeId;
use crate::infrastructure::kafka::client::Connection;
use crate::infrastructure::kafka::event::LARGEST_VALUE;

/// What a record is published for, and so what its report is for.
pub enum Purpose {
    Message { id: MessageId, node: Option<NodeId> },
    DeadLetter(oneshot::Sender<Result<(), KafkaError>>),
}

/// What librdkafka keeps beside a record and gives back with its report, or with its refusal.
pub struct Report {
    purpose: Purpose,
    bytes: usize,
    /// None for dead letters, which must not take capacity from messages.
    _share: Option<BufferShare>,
}

impl Report {
    /// For a record of so many bytes.
    pub fn new(reports: &Arc<Reports>, purpose: Purpose, bytes: usize) -> Self {
        let is_message = matches!(purpose, Purpose::Message { .. });
        Self { purpose, bytes, _share: is_message.then(|| BufferShare::take(reports, bytes)) }
    }
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

/// The books on what was published, over all of librdkafka's producers that follow each other.
pub struct Reports {
    unreconciled: Unreconciled,
    clock: Arc<dyn Clock>,
    connection: Arc<Connection>,
    publishing: Mutex<Publishing>,
    buffered_messages: AtomicUsize,
    buffered_bytes: AtomicUsize,
    largest_value: AtomicUsize,
}

impl Reports {
    pub fn new(unreconciled: Unreconciled, clock: Arc<dyn Clock>, connection: Arc<Connection>) -> Self {
        Self {
            unreconciled,
            clock,
            connection,
            publishing: Mutex::default(),
            buffered_messages: AtomicUsize::new(0),
            buffered_bytes: AtomicUsize::new(0),
            largest_value: AtomicUsize::new(LARGEST_VALUE),
        }
    }

    pub fn is_connected(&self) -> bool {
        self.connection.is_connected()
    }

    /// How many messages may be handed over now.
    pub fn free_capacity(&self) -> usize {
        if !self.is_connected() {
            return 0;
        }
        let buffered = Buffered {
            messages: self.buffered_messages.load(Ordering::Relaxed),
            bytes: self.buffered_bytes.load(Ordering::Relaxed),
        };
        self.publishing().free_capacity(self.clock.monotonic(), buffered)
    }

    /// Bytes of a value that brokers are known or believed to take.
    pub fn largest_value(&self) -> usize {
        self.largest_value.load(Ordering::Relaxed)
    }

    /// A record was refused before it was under way.
    pub fn refused(&self, error: &KafkaError) {
        // A full buffer says nothing about the broker: `free_capacity` sees it.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) && *error != KafkaError::Canceled {
            self.failed(error);
        }
    }

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
            None => warn!(target: "kafka", { message.id = %id, %error }, "a message without a node was not published"),
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

/// What one of librdkafka's producers calls back.
pub struct ProducerEvents(Arc<Reports>);

impl ProducerEvents {
    pub fn new(reports: Arc<Reports>) -> Self {
        Self(reports)
    }
}

impl ClientContext for ProducerEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.0.connection.log("producer", level, facility, line);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.connection.look(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.connection.error("producer", &error, reason);
    }
}

impl ProducerContext for ProducerEvents {
    type DeliveryOpaque = Box<Report>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Box<Report>) {
        let error = result.as_ref().err().map(|(error, _)| error);
        match report.purpose {
            Purpose::Message { id, node } => self.0.message_reported(id, node, report.bytes, error),
            // The caller may have gone.
            Purpose::DeadLetter(done) => drop(done.send(error.cloned().map_or(Ok(()), Err))),
        }
    }
}
