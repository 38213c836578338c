//! What this process knows of breakers, and what it learns.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::info;

use super::permit::Permit;
use super::seen::SeenCalls;
use super::view::{OpenBreaker, View};
use crate::application::delivery::returned_instances::ReturnedInstances;
use crate::application::ports::{BreakerRow, Breakers, Clock, Ids, RepositoryError, Tasks};
use crate::domain::instance::InstanceId;
use crate::domain::instance::breaker::BreakerOf;
use crate::domain::message::{Message, MessageId};

/// What this process knows of breakers. Copies share it. As long as none is open, it costs a call no statement.
#[derive(Clone)]
pub struct Breaking {
    pub(super) breakers: Arc<dyn Breakers>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) tasks: Arc<dyn Tasks>,
    /// None: never.
    pub(super) disable_after: Option<Duration>,
    returned: ReturnedInstances,
    state: Arc<Mutex<State>>,
    /// How many are not closed, as far as is known.
    open: Arc<AtomicUsize>,
    /// Whether it was read since this process began: before that it knows of none.
    has_read: Arc<AtomicBool>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) seen: SeenCalls,
    pub(super) view: View,
    /// Where instances send to, if their channel says.
    hosts: HashMap<InstanceId, BreakerOf>,
    /// Which breakers a message of an instance is about to ask: where it sends to may be another host when that is over.
    asking: HashMap<InstanceId, Vec<BreakerOf>>,
    /// Of messages whose callers wait, from before they are stored.
    pub(super) kept: HashMap<MessageId, Permit>,
}

pub struct BreakingParts {
    pub breakers: Arc<dyn Breakers>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub tasks: Arc<dyn Tasks>,
    pub disable_after: Option<Duration>,
}

/// Why a message waits, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Barred {
    pub reason: String,
    /// Until the next probe; none: not known.
    pub pause: Option<Duration>,
}

/// More are forgotten: the breaker of a host is looked at once more before the call.
const MOST_HOSTS: usize = 10_000;

/// Characters of a reason.
pub(super) const LONGEST_REASON: usize = 1_000;

impl Breaking {
    pub fn new(parts: BreakingParts) -> Self {
        let BreakingParts { breakers, clock, ids, tasks, disable_after } = parts;
        Self {
            breakers,
            clock,
            ids,
            tasks,
            disable_after,
            returned: ReturnedInstances::default(),
            state: Arc::default(),
            open: Arc::default(),
            has_read: Arc::default(),
        }
    }

    /// Those whose messages are to be made due, as they may be called again.
    pub fn returned(&self) -> &ReturnedInstances {
        &self.returned
    }

    pub(super) fn has_any(&self) -> bool {
        self.open.load(Ordering::Relaxed) > 0
    }

    /// Whether each destination may be called, so that nothing need be asked.
    pub fn has_none(&self) -> bool {
        self.has_read.load(Ordering::Relaxed) && !self.has_any()
    }

    /// What opened before this process began.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(super) async fn read_first(&self) -> Result<(), RepositoryError> {
        if self.has_read.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.refresh().await {
            // What was changed by hand keeps nothing from being called.
            Err(error) if !error.may_pass() => {
                self.has_read.store(true, Ordering::Relaxed);
                Ok(())
            }
            read => read.map(|_| ()),
        }
    }

    /// Where it sends to.
    pub(super) fn learn(&self, instance: InstanceId, host: Option<&BreakerOf>) {
        let mut state = self.state();
        match host {
            None => _ = state.hosts.remove(&instance),
            Some(host) if state.hosts.get(&instance) == Some(host) => {}
            Some(host) => {
                if state.hosts.len() >= MOST_HOSTS {
                    state.hosts.clear();
                }
                state.hosts.insert(instance, host.clone());
            }
        }
    }

    /// Whether a message of it may be sent, as far as this process knows: one asks for the probe once its time has come.
    pub fn may_ask(&self, instance: InstanceId) -> bool {
        if !self.has_any() {
            return true;
        }
        let now = self.clock.monotonic();
        let mut state = self.state();
        let of = state.breakers_of(instance);
        if of.iter().any(|of| state.view.bars(of, now)) {
            return false;
        }
        of.iter().for_each(|of| state.view.asks(of, true));
        if !of.is_empty() {
            state.asking.insert(instance, of);
        }
        true
    }

    /// A call that [may have asked](Self::may_ask) is over, or was not made.
    pub fn has_asked(&self, instance: InstanceId) {
        if self.has_any() {
            let mut state = self.state();
            let asked = state.asking.remove(&instance).unwrap_or_default();
            asked.iter().for_each(|of| state.view.asks(of, false));
        }
    }

    /// Why none of its messages may be sent now; none if one may.
    pub fn reason(&self, instance: InstanceId) -> Option<String> {
        if !self.has_any() {
            return None;
        }
        let now = self.clock.monotonic();
        let state = self.state();
        let of = state.breakers_of(instance);
        of.iter().filter(|of| state.view.bars(of, now)).find_map(|of| state.view.reason(of))
    }

    /// How long a message waits that is put off now: a few come back for the next probe, the others when one has worked.
    pub fn wait(&self, instance: InstanceId) -> Option<Barred> {
        if !self.has_any() {
            return None;
        }
        let now = self.clock.monotonic();
        let mut state = self.state();
        let barred = state.breakers_of(instance).into_iter().find(|of| state.view.bars(of, now))?;
        let reason = state.view.reason(&barred)?;
        Some(Barred { reason, pause: state.view.scout(&barred, now) })
    }

    /// The worst of its own breaker and that of where it sends to; none: it is closed.
    pub fn shown(&self, instance: InstanceId, host: Option<&BreakerOf>) -> Option<OpenBreaker> {
        let state = self.state();
        let own = state.view.shown(&BreakerOf::Instance(instance));
        own.or_else(|| state.view.shown(host?)).cloned()
    }

    /// How many are not closed, of all tenants.
    pub fn count(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// So many of these, those first that opened first.
    pub fn oldest(&self, most: usize) -> Vec<(BreakerOf, OpenBreaker)> {
        if self.has_any() { self.state().view.oldest(most) } else { Vec::new() }
    }

    /// Reads which breakers are open, at whatever process they opened.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refresh(&self) -> Result<Vec<BreakerRow>, RepositoryError> {
        let asked_at = self.clock.monotonic();
        let rows = self.breakers.all(self.clock.now()).await?;
        let now = self.clock.monotonic();
        let closed = {
            let mut state = self.state();
            state.seen.forget(now);
            let closed = state.view.replace(rows.clone(), asked_at, now);
            if state.view.len() == 0 {
                state.asking.clear();
            }
            self.count_open(&state);
            closed
        };
        self.has_read.store(true, Ordering::Relaxed);
        closed.iter().for_each(|of| self.has_closed(of));
        Ok(rows)
    }

    /// What was put off is made due.
    pub(super) fn has_closed(&self, of: &BreakerOf) {
        info!(breaker.of = %of, "the destination may be called again: it works");
        match of {
            BreakerOf::Instance(instance) => self.returned.returned(*instance),
            BreakerOf::Host(..) => {
                let state = self.state();
                let there = state.hosts.iter().filter(|(_, host)| *host == of);
                there.for_each(|(instance, _)| self.returned.returned(*instance));
            }
        }
    }

    /// A person lets it in, or it was deleted.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn close(&self, of: &BreakerOf) -> Result<(), RepositoryError> {
        self.breakers.close(of, self.clock.now()).await?;
        let was_open = {
            let mut state = self.state();
            let was_open = state.view.close(of, self.clock.monotonic());
            self.count_open(&state);
            was_open
        };
        if was_open {
            self.has_closed(of);
        }
        Ok(())
    }

    /// Stores what tells of a change, and notes that it is told. False: another process has told it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tell(&self, row: &BreakerRow, messages: &[Message]) -> Result<bool, RepositoryError> {
        self.breakers.tell(&row.of, row.changes, messages).await
    }

    pub(super) fn count_open(&self, state: &State) {
        self.open.store(state.view.len(), Ordering::Relaxed);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Its own, and that of where it sends to, as far as that is known.
    fn breakers_of(&self, instance: InstanceId) -> Vec<BreakerOf> {
        let own = BreakerOf::Instance(instance);
        [own].into_iter().chain(self.hosts.get(&instance).cloned()).filter(|of| self.view.has(of)).collect()
    }
}
