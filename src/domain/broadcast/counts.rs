//! How far a broadcast is.

use std::collections::HashMap;

use super::{Broadcast, BroadcastStatus};
use crate::domain::Timestamp;
use crate::domain::message::MessageStatus;

/// How many messages are in which state; states without any may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BroadcastCounts(pub HashMap<MessageStatus, u64>);

impl BroadcastCounts {
    pub fn of(&self, status: MessageStatus) -> u64 {
        self.0.get(&status).copied().unwrap_or_default()
    }

    pub fn open(&self) -> u64 {
        MessageStatus::OPEN.iter().map(|status| self.of(*status)).sum()
    }

    /// Those that have ended.
    pub fn ended(&self) -> u64 {
        self.0.values().sum::<u64>().saturating_sub(self.open())
    }
}

/// A broadcast, and what has become of its messages.
#[derive(Clone, Debug)]
pub struct BroadcastStanding {
    pub broadcast: Broadcast,
    pub counts: BroadcastCounts,
}

impl BroadcastStanding {
    /// Recipients without a message yet. After a cancel they count as cancelled.
    pub fn waiting(&self) -> u64 {
        let waits = u64::from(self.broadcast.waits());
        if self.broadcast.status == BroadcastStatus::Cancelled { 0 } else { waits }
    }

    pub fn cancelled(&self) -> u64 {
        let never_made = u64::from(self.broadcast.waits()) - self.waiting();
        self.counts.of(MessageStatus::Cancelled) + never_made
    }

    /// By how fast it went until `now`; none while that says nothing.
    pub fn expected_end(&self, now: Timestamp) -> Option<Timestamp> {
        if let Some(finished_at) = self.broadcast.finished_at {
            return Some(finished_at);
        }
        let ended = i64::try_from(self.counts.ended()).ok().filter(|ended| *ended > 0)?;
        let runs = matches!(self.broadcast.status, BroadcastStatus::Expanding | BroadcastStatus::Expanded);
        let since = self.broadcast.ids_at;
        let left = i64::from(self.broadcast.total) - ended;
        let took = (now - since).num_milliseconds();
        let needs = took.checked_mul(left)? / ended;
        (runs && took > 0).then(|| now.checked_add_signed(chrono::TimeDelta::milliseconds(needs)))?
    }
}
