//! One record, and what is to be done with it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::application::delivery::admission::{Pass, Wait};
use crate::application::ports::Record;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;
use crate::domain::message::deferral::RECIPIENT_WAITS;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tenure(pub u64);

/// Where a record stands in its partition's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotId {
    pub(super) tenure: Tenure,
    pub(super) number: u64,
}

/// A record whose turn it is, or will be.
pub struct Job {
    pub record: Record,
    pub slot: SlotId,
    pub task: Task,
    /// Among the calls of its instance; of what is to be delivered.
    pub pass: Option<Pass>,
    /// Set by its delivery, once the claim is answered: from then on its row says where it is.
    pub is_claimed: Arc<AtomicBool>,
    /// What has to leave one after the other.
    pub(super) lane: Option<Vec<u8>>,
    /// When it began to wait for what it waits for.
    pub(super) since: Duration,
    pub(super) size: usize,
    pub(super) is_given_up: Arc<AtomicBool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    Deliver,
    /// It is no message.
    SetAside,
    PutOff {
        wait: Wait,
        /// When those come back that it must not overtake.
        not_before: Option<Timestamp>,
    },
}

/// The time, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub monotonic: Duration,
    pub time: Timestamp,
}

/// How the work on a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The record need not come again.
    Done,
    /// Nor this one, whose message comes back at that time.
    PutOff(Timestamp),
    /// It was not begun: the partition's new owner will read the record again.
    Left,
}

impl Job {
    /// Its partition went to another consumer: what is not claimed is left alone.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// To be put off to when those come back that it must not overtake.
    pub(super) fn after_the_others(self) -> Self {
        let wait = Wait::for_place(Some(Duration::ZERO), RECIPIENT_WAITS);
        self.waits(wait)
    }

    /// To be put off for as long as this.
    pub(super) fn waits(self, wait: Wait) -> Self {
        Self { task: Task::PutOff { wait, not_before: None }, ..self }
    }

    /// None for what is no message.
    pub(super) fn message(&self) -> Option<MessageId> {
        self.record.content.as_ref().ok().map(|call| call.message_id)
    }

    /// None for what is no message.
    pub(super) fn instance(&self) -> Option<InstanceId> {
        self.record.content.as_ref().ok().map(|call| call.instance)
    }
}
