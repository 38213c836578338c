//! One call, from its question to its answer.

use std::ffi::c_int;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::owned::Owned;
use super::refused::{Refused, text};
use crate::infrastructure::kafka::client::{Connection, QuietEvents};

/// For one call, the search for the broker that answers it included.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A client of librdkafka's that joins no group.
pub struct NativeClient {
    consumer: BaseConsumer<QuietEvents>,
}

/// What is asked, and how.
#[derive(Clone, Copy)]
pub struct Question {
    pub operation: sys::rd_kafka_admin_op_t,
    pub validate_only: bool,
}

impl Question {
    pub fn of(operation: sys::rd_kafka_admin_op_t) -> Self {
        Self { operation, validate_only: false }
    }
}

/// To what a call is handed.
pub struct Asking {
    pub client: *mut sys::rd_kafka_t,
    pub options: *mut sys::rd_kafka_AdminOptions_t,
    pub queue: *mut sys::rd_kafka_queue_t,
}

impl NativeClient {
    /// # Errors
    /// When librdkafka refuses the settings; never because a broker is away.
    pub fn new(config: &ClientConfig, connection: Arc<Connection>) -> Result<Self, KafkaError> {
        let mut config = config.clone();
        config.set("statistics.interval.ms", "0");
        let consumer = config.create_with_context(QuietEvents { client: "administration", connection })?;
        Ok(Self { consumer })
    }

    pub fn consumer(&self) -> &BaseConsumer<QuietEvents> {
        // What librdkafka reports meanwhile would pile up.
        const AT_ONCE: usize = 100;
        for _ in 0..AT_ONCE {
            drop(self.consumer.poll(Duration::ZERO));
        }
        &self.consumer
    }

    /// Asks, and reads the answer while it is there. `ask` hands over what it made to librdkafka, which copies it.
    pub fn call<T>(
        &self,
        question: Question,
        ask: impl FnOnce(&Asking),
        read: impl FnOnce(*mut sys::rd_kafka_event_t) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let client = self.consumer().client().native_ptr();
        // SAFETY: the client outlives both, and nothing else destroys them.
        let (queue, options) = unsafe {
            (
                Owned::new(sys::rd_kafka_queue_new(client), sys::rd_kafka_queue_destroy),
                Owned::new(
                    sys::rd_kafka_AdminOptions_new(client, question.operation),
                    sys::rd_kafka_AdminOptions_destroy,
                ),
            )
        };
        let (Some(queue), Some(options)) = (queue, options) else { return Err(timed_out()) };
        set(&options, question);
        ask(&Asking { client, options: options.as_ptr(), queue: queue.as_ptr() });
        let patience = TIMEOUT + Duration::from_secs(5);
        // SAFETY: the event is ours.
        let event = unsafe {
            Owned::new(sys::rd_kafka_queue_poll(queue.as_ptr(), millis(patience)), sys::rd_kafka_event_destroy)
        };
        let event = event.ok_or_else(timed_out)?;
        // SAFETY: it is an event, and its text lives as long.
        let refused = unsafe {
            let reason = text(sys::rd_kafka_event_error_string(event.as_ptr()));
            Refused::unless_none(sys::rd_kafka_event_error(event.as_ptr()), reason)
        };
        refused.map_or_else(|| read(event.as_ptr()), Err)
    }
}

/// Whether the operation takes a time for what the brokers do among themselves.
fn has_operation_timeout(operation: sys::rd_kafka_admin_op_t) -> bool {
    use sys::rd_kafka_admin_op_t::{
        RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, RD_KAFKA_ADMIN_OP_CREATETOPICS, RD_KAFKA_ADMIN_OP_DELETETOPICS,
    };
    matches!(
        operation,
        RD_KAFKA_ADMIN_OP_CREATETOPICS | RD_KAFKA_ADMIN_OP_DELETETOPICS | RD_KAFKA_ADMIN_OP_CREATEPARTITIONS
    )
}

fn set(options: &Owned<sys::rd_kafka_AdminOptions_t>, question: Question) {
    let mut complaint = [0; 512];
    let (text, size) = (complaint.as_mut_ptr(), complaint.len());
    // SAFETY: the options are there, and the text is as long as it is said to be. What they refuse is only what their operation
    // does not know.
    unsafe {
        sys::rd_kafka_AdminOptions_set_request_timeout(options.as_ptr(), millis(TIMEOUT), text, size);
        if has_operation_timeout(question.operation) {
            sys::rd_kafka_AdminOptions_set_operation_timeout(options.as_ptr(), millis(TIMEOUT / 2), text, size);
        }
        if question.validate_only {
            sys::rd_kafka_AdminOptions_set_validate_only(options.as_ptr(), 1, text, size);
        }
    }
}

fn millis(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
}

fn timed_out() -> Refused {
    Refused { code: RDKafkaErrorCode::OperationTimedOut, reason: "no broker answered in time".to_owned() }
}
