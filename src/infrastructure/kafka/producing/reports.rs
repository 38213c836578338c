//! What became of what was published, as librdkafka reports it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::oneshot;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::ProducerContext;
use tracing::{debug, info, warn};

use super::publishing::{Buffered, Publishing};
use super::refusals::Refusals;
use crate::application::node::unreconciled::Unreconciled;
use crate::application::ports::Clock;
use crate::domain::message::MessageId;
use crate::domain::node::NodeId;
use crate::infrastructure::kafka::client::{Connection, RecordTimes, StandstillWatch};
use crate::infrastructure::kafka::event::LARGEST_VALUE;

/// Bytes. A reference is hardly shorter: below this, another form of the record does not help.
const SMALLEST_LIMIT: usize = 512;

/// Bytes of a batch of one record that are neither key nor value, with a generous key.
const OVERHEAD: usize = 2_048;

/// What it means that records go without a time.
const TIMELESS: &str = "records are published without a time, which delays only the search for what Kafka has lost";

/// What a record is published for, and so what its report is for.
pub enum Purpose {
    /// `time` as the record carries it, in milliseconds since 1970.
    Message {
        id: MessageId,
        node: Option<NodeId>,
        time: i64,
    },
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
    pub times: RecordTimes,
    pub refusals: Refusals,
    pub standstill: StandstillWatch,
    /// Kafka refused a batch of records as too large, of which each may be small enough.
    wants_single_records: AtomicBool,
}

impl Reports {
    pub fn new(
        unreconciled: Unreconciled,
        publish_timeout: Duration,
        clock: Arc<dyn Clock>,
        connection: Arc<Connection>,
    ) -> Self {
        Self {
            times: RecordTimes::new(clock.clone(), connection.troubles(), TIMELESS),
            refusals: Refusals::new(connection.troubles()),
            standstill: StandstillWatch::new(publish_timeout, connection.clone(), clock.clone()),
            unreconciled,
            clock,
            connection,
            publishing: Mutex::default(),
            buffered_messages: AtomicUsize::new(0),
            buffered_bytes: AtomicUsize::new(0),
            largest_value: AtomicUsize::new(LARGEST_VALUE),
            wants_single_records: AtomicBool::new(false),
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

    fn message_reported(&self, report: &Reported, error: Option<&KafkaError>) {
        let Some(error) = error else {
            self.times.taken(report.time);
            if self.publishing().succeeded() {
                info!(target: "kafka", "publishing to Kafka works again");
            }
            return;
        };
        let id = report.id;
        debug!(target: "kafka", { message.id = %id, %error }, "not published");
        match report.node {
            Some(node) => self.unreconciled.not_handed_over(id, node),
            // A row that names no node is due anyway.
            None => warn!(target: "kafka", { message.id = %id, %error }, "a message without a node was not published"),
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => self.too_large(report, error),
            Some(RDKafkaErrorCode::InvalidTimestamp) if self.times.refused(report.time) => {}
            // Its neighbour in the batch is at fault, and has a report of its own.
            Some(RDKafkaErrorCode::InvalidDifferentRecord) => {}
            // Our own doing: a producer that is closed or replaced.
            Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) => {}
            _ => self.failed(error),
        }
    }

    /// The broker takes less than we believed. A batch is refused as a whole: a record that may have had company is tried
    /// alone. One that was alone, and all that are as large, travel as references from now on.
    fn too_large(&self, report: &Reported, error: &KafkaError) {
        if report.bytes < report.batch_bytes {
            self.wants_single_records.store(true, Ordering::Release);
            return;
        }
        let limit = (report.bytes / 2).max(SMALLEST_LIMIT);
        if self.largest_value.fetch_min(limit, Ordering::Relaxed) > limit {
            let bytes = report.bytes;
            warn!(target: "kafka", bytes, limit, "Kafka refuses records of this size: above the limit, they only name their rows");
        } else {
            self.failed(error);
        }
    }

    /// What the topic takes at most in a batch, as the broker says.
    pub fn set_largest_batch(&self, bytes: usize) {
        let value = bytes.saturating_sub(OVERHEAD).clamp(SMALLEST_LIMIT, LARGEST_VALUE);
        self.largest_value.store(value, Ordering::Relaxed);
    }

    /// Whether another producer has to take over that sends each record alone, asked before a publication.
    pub fn take_single_records(&self) -> bool {
        self.wants_single_records.load(Ordering::Acquire) && self.wants_single_records.swap(false, Ordering::AcqRel)
    }

    fn publishing(&self) -> MutexGuard<'_, Publishing> {
        self.publishing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One report on a message.
struct Reported {
    id: MessageId,
    node: Option<NodeId>,
    time: i64,
    bytes: usize,
    batch_bytes: usize,
}

/// What one of librdkafka's producers calls back.
pub struct ProducerEvents {
    reports: Arc<Reports>,
    /// Of its batches; a record that is larger travels alone.
    batch_bytes: usize,
}

impl ProducerEvents {
    pub fn new(reports: Arc<Reports>, batch_bytes: usize) -> Self {
        Self { reports, batch_bytes }
    }
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
        let (error, record) = match result {
            Ok(record) => (None, record),
            Err((error, record)) => (Some(error), record),
        };
        self.reports.standstill.reported(record.topic(), record.partition(), error);
        match error {
            None => self.reports.refusals.succeeded(record.topic()),
            Some(error) => self.reports.refusals.failed(record.topic(), error),
        }
        match report.purpose {
            Purpose::Message { id, node, time } => {
                let reported = Reported { id, node, time, bytes: report.bytes, batch_bytes: self.batch_bytes };
                self.reports.message_reported(&reported, error);
            }
            // The caller may have gone.
            Purpose::DeadLetter(done) => drop(done.send(error.cloned().map_or(Ok(()), Err))),
        }
    }
}
