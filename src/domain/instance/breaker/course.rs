//! What is kept of a breaker, for all processes: one probe at a time, whichever makes it and whatever becomes of that.

use std::time::Duration;

use uuid::Uuid;

use super::BreakerState;
use crate::domain::Timestamp;

/// One that opened once. What adapters do in SQL is this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    pub state: BreakerState,
    /// When it opened, or was closed.
    pub since: Timestamp,
    /// Why it opened, or its last probe failed.
    pub reason: Option<String>,
    /// Since it opened.
    pub failed_probes: u32,
    /// No probe before this.
    pub probe_at: Timestamp,
    /// The one that is under way.
    pub probe: Option<Probe>,
    pub disabled_at: Option<Timestamp>,
    /// Counts its changes as they are told: it opens, is disabled, closes.
    pub changes: i64,
    /// How many of them were told.
    pub told: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// No other has it.
    pub name: Uuid,
    /// From then on there may be another one: its process may have died.
    pub until: Timestamp,
}

/// How a probe has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeEnd {
    Works,
    Fails {
        reason: String,
        /// Until the next one.
        pause: Duration,
        /// If it has been open for so long, it is disabled; none: never.
        disable_after: Option<Duration>,
    },
    /// It was not made, or says nothing.
    Nothing {
        pause: Duration,
    },
}

impl Course {
    pub fn opened(reason: String, pause: Duration, now: Timestamp) -> Self {
        Self {
            state: BreakerState::Open,
            since: now,
            reason: Some(reason),
            failed_probes: 0,
            probe_at: now + pause,
            probe: None,
            disabled_at: None,
            changes: 1,
            told: 0,
        }
    }

    /// One that was closed, and whose last change is not told yet, opens again. False: it is open.
    pub fn open(&mut self, reason: String, pause: Duration, now: Timestamp) -> bool {
        if self.state != BreakerState::Closed {
            return false;
        }
        *self = Self { changes: self.changes + 1, told: self.told, ..Self::opened(reason, pause, now) };
        true
    }

    /// How many probes have failed, if this one may be made now.
    pub fn probe(&mut self, name: Uuid, lease: Duration, now: Timestamp) -> Option<u32> {
        let is_taken = self.probe.is_some_and(|probe| now < probe.until);
        if self.state == BreakerState::Closed || self.disabled_at.is_some() || is_taken || now < self.probe_at {
            return None;
        }
        self.state = BreakerState::HalfOpen;
        self.probe = Some(Probe { name, until: now + lease });
        Some(self.failed_probes)
    }

    /// False: another one has its place, or the breaker was closed.
    pub fn end(&mut self, name: Uuid, end: ProbeEnd, now: Timestamp) -> bool {
        if self.probe.is_none_or(|probe| probe.name != name) {
            return false;
        }
        self.probe = None;
        match end {
            ProbeEnd::Works => return self.close(now),
            ProbeEnd::Fails { reason, pause, disable_after } => {
                self.failed_probes = self.failed_probes.saturating_add(1);
                self.reason = Some(reason);
                self.probe_at = now + pause;
                let lasts = (now - self.since).to_std().unwrap_or_default();
                if self.disabled_at.is_none() && disable_after.is_some_and(|after| lasts >= after) {
                    self.disabled_at = Some(now);
                    self.changes += 1;
                }
            }
            ProbeEnd::Nothing { pause } => self.probe_at = now + pause,
        }
        self.state = BreakerState::Open;
        true
    }

    /// False: it is closed.
    pub fn close(&mut self, now: Timestamp) -> bool {
        if self.state == BreakerState::Closed {
            return false;
        }
        self.state = BreakerState::Closed;
        (self.since, self.reason, self.probe, self.disabled_at) = (now, None, None, None);
        self.changes += 1;
        true
    }

    /// As it looks now: half-open only as long as its probe may take.
    pub fn state_at(&self, now: Timestamp) -> BreakerState {
        match self.state {
            BreakerState::HalfOpen if self.probe.is_none_or(|probe| probe.until <= now) => BreakerState::Open,
            state => state,
        }
    }

    /// Whether it is closed, and all was told.
    pub fn is_over(&self) -> bool {
        self.state == BreakerState::Closed && self.told >= self.changes
    }
}
