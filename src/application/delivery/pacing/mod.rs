//! How often instances may be called that have a pace, over all processes: slots are reserved ahead, in blocks, from one row an
//! instance, and each call takes one.

mod held;
mod returns;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::mpsc;
use futures::future::{Either, select};
use tracing::debug;

use crate::application::ports::{Clock, Paces, RepositoryError, SlotsAsked, Tasks};
use crate::domain::instance::InstanceId;
use crate::domain::instance::pace::{Pace, Reserved};
use crate::domain::message::MessageId;
use held::{Held, Step};
use returns::{Asked, Returns};

pub use held::Slot;
pub use returns::Ticket;

/// The slots of this process. Copies share them. An instance without a pace costs nothing here.
#[derive(Clone)]
pub struct Pacing {
    paces: Arc<dyn Paces>,
    clock: Arc<dyn Clock>,
    tasks: Arc<dyn Tasks>,
    state: Arc<Mutex<State>>,
    /// How many instances have a pace, as far as is known.
    paced: Arc<AtomicUsize>,
}

#[derive(Default)]
struct State {
    instances: HashMap<InstanceId, Paced>,
    /// How many were learnt, again or not.
    learnt: u64,
    /// Of messages whose callers wait, from before they are stored.
    kept: HashMap<MessageId, Slot>,
    /// To the consumer: an instance has slots.
    wake: Option<mpsc::UnboundedSender<InstanceId>>,
}

struct Paced {
    held: Held,
    returns: Returns,
}

/// The slot of a message that is not stored yet; free again when this is dropped before it was used.
pub struct KeptSlot {
    pacing: Pacing,
    instance: InstanceId,
    message: MessageId,
}

/// The consumer is told no more often that an instance has slots.
const BETWEEN_WAKES: Duration = Duration::from_millis(20);

/// An instance that has nothing to send is forgotten after this long, until something of it comes.
const KEPT: Duration = Duration::from_secs(3_600);

impl Pacing {
    pub fn new(paces: Arc<dyn Paces>, clock: Arc<dyn Clock>, tasks: Arc<dyn Tasks>) -> Self {
        Self { paces, clock, tasks, state: Arc::default(), paced: Arc::default() }
    }

    /// What its row says.
    pub fn learn(&self, instance: InstanceId, pace: Option<Pace>) {
        if pace.is_none() && self.paced.load(Ordering::Relaxed) == 0 {
            return;
        }
        let now = self.clock.monotonic();
        let mut state = self.state();
        match pace {
            None => {
                if state.instances.remove(&instance).is_some()
                    && let Some(wake) = &state.wake
                {
                    // What waits for slots needs none any more.
                    let _ = wake.unbounded_send(instance);
                }
            }
            Some(pace) => match state.instances.get_mut(&instance) {
                Some(paced) => paced.held.change(pace, now),
                None => {
                    state.instances.retain(|_, paced| paced.held.is_served || now < paced.held.touched + KEPT);
                    state.learnt += 1;
                    let paced = Paced { held: Held::new(pace, now), returns: Returns::new(state.learnt) };
                    state.instances.insert(instance, paced);
                }
            },
        }
        self.paced.store(state.instances.len(), Ordering::Relaxed);
    }

    pub fn is_paced(&self, instance: InstanceId) -> bool {
        self.has_any() && self.state().instances.contains_key(&instance)
    }

    fn has_any(&self) -> bool {
        self.paced.load(Ordering::Relaxed) > 0
    }

    /// A slot whose time has come, of an instance that has a pace.
    pub fn take(&self, instance: InstanceId) -> Option<Slot> {
        let now = self.clock.monotonic();
        self.state().instances.get_mut(&instance)?.held.take(now)
    }

    /// Its call was not made.
    pub fn give_back(&self, instance: InstanceId, slot: Slot) {
        if let Some(paced) = self.state().instances.get_mut(&instance) {
            paced.held.give_back(slot);
        }
    }

    /// How many of it wait in the consumer: it is told when there are slots.
    pub fn queued(&self, instance: InstanceId, count: usize) {
        if !self.has_any() {
            return;
        }
        if let Some(paced) = self.state().instances.get_mut(&instance) {
            paced.held.queued = count;
            self.serve(instance, paced);
        }
    }

    /// Whether one more may wait in this process; otherwise it is put off.
    pub fn may_wait(&self, instance: InstanceId) -> bool {
        let now = self.clock.monotonic();
        self.state().instances.get(&instance).is_none_or(|paced| paced.held.may_wait(now))
    }

    /// How long it takes until one more has its slot.
    pub fn expected(&self, instance: InstanceId) -> Duration {
        let now = self.clock.monotonic();
        self.state().instances.get(&instance).map_or(Duration::ZERO, |paced| paced.held.expected(now))
    }

    /// A slot within this time.
    pub async fn next(&self, instance: InstanceId, patience: Duration) -> Option<Slot> {
        let waiting = {
            let now = self.clock.monotonic();
            let mut state = self.state();
            let paced = state.instances.get_mut(&instance)?;
            if let Some(slot) = paced.held.take(now) {
                return Some(slot);
            }
            let waiting = paced.held.wait(now);
            self.serve(instance, paced);
            waiting
        };
        match select(waiting, self.clock.sleep(patience)).await {
            Either::Left((slot, _)) => slot.ok(),
            Either::Right(((), mut waiting)) => {
                waiting.close();
                waiting.try_recv().ok().flatten()
            }
        }
    }

    /// Until its time has come.
    pub async fn until(&self, slot: Slot) {
        let early = slot.at.saturating_sub(self.clock.monotonic());
        if early > Duration::ZERO {
            self.clock.sleep(early).await;
        }
    }

    /// For a message that is about to be stored.
    pub fn keep(&self, instance: InstanceId, message: MessageId, slot: Slot) -> KeptSlot {
        self.state().kept.insert(message, slot);
        KeptSlot { pacing: self.clone(), instance, message }
    }

    pub fn kept(&self, message: MessageId) -> Option<Slot> {
        self.state().kept.remove(&message)
    }

    /// The next place among those that are put off, of an instance that has a pace.
    pub fn ticket(&self, instance: InstanceId) -> Option<Ticket> {
        if !self.has_any() {
            return None;
        }
        self.state().instances.get_mut(&instance).map(|paced| paced.returns.ticket(instance))
    }

    /// How long a message with this ticket is put off.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pause(&self, ticket: Ticket) -> Result<Duration, RepositoryError> {
        let (mut ticket, instance) = (ticket, ticket.instance);
        loop {
            let asked = {
                let mut state = self.state();
                // It has no pace any more.
                let Some(paced) = state.instances.get_mut(&instance) else { return Ok(Duration::ZERO) };
                ticket = paced.returns.known(ticket);
                (paced.returns.ask(ticket), paced.held.pace)
            };
            match asked {
                (Asked::At(at), _) => return Ok(at.saturating_sub(self.clock.monotonic())),
                (Asked::Wait(answered), _) => _ = answered.await,
                (Asked::Reserve(times), pace) => self.reserve_returns(instance, pace, times).await?,
            }
        }
    }

    async fn reserve_returns(&self, instance: InstanceId, pace: Pace, times: u32) -> Result<(), RepositoryError> {
        let mut asking = Asking { pacing: self, instance, is_answered: false };
        let reserved = self.reserve(instance, pace, 0, times).await?;
        let now = self.clock.monotonic();
        if let Some(paced) = self.state().instances.get_mut(&instance) {
            paced.returns.answered(times, (now, reserved.first_return), pace.interval());
        }
        asking.is_answered = true;
        Ok(())
    }

    async fn reserve(
        &self,
        instance: InstanceId,
        pace: Pace,
        slots: u32,
        returns: u32,
    ) -> Result<Reserved, RepositoryError> {
        let asked = SlotsAsked { instance, pace, slots, returns, now: self.clock.now() };
        self.paces.reserve(&asked).await
    }

    /// The instances that have slots for what waits in the consumer.
    pub fn wakes(&self) -> mpsc::UnboundedReceiver<InstanceId> {
        let (sender, receiver) = mpsc::unbounded();
        self.state().wake = Some(sender);
        receiver
    }

    /// A task serves those that wait, for as long as any does.
    fn serve(&self, instance: InstanceId, paced: &mut Paced) {
        let now = self.clock.monotonic();
        if paced.held.is_served || paced.held.step(now) == Step::End {
            return;
        }
        paced.held.is_served = true;
        let serving = Serving { pacing: self.clone(), instance };
        self.tasks.spawn(async move { serving.run().await }.boxed());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Another one asks when this is dropped without an answer.
struct Asking<'a> {
    pacing: &'a Pacing,
    instance: InstanceId,
    is_answered: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.is_answered
            && let Some(paced) = self.pacing.state().instances.get_mut(&self.instance)
        {
            paced.returns.unanswered();
        }
    }
}

/// Asks for the slots of one instance, and gives them out when their time has come.
struct Serving {
    pacing: Pacing,
    instance: InstanceId,
}

impl Serving {
    async fn run(self) {
        while let Some((step, pace)) = self.next_step() {
            match step {
                Step::End => return,
                Step::Sleep(pause) => self.pacing.clock.sleep(pause).await,
                Step::Ask(slots) => self.ask(slots, pace).await,
            }
        }
    }

    fn next_step(&self) -> Option<(Step, Pace)> {
        let now = self.pacing.clock.monotonic();
        let mut state = self.pacing.state();
        let held = &mut state.instances.get_mut(&self.instance)?.held;
        let wakes = held.serve(now);
        let (mut step, pace) = (held.step(now), held.pace);
        // It may have no place for them: its instance's other calls take long.
        if let Step::Sleep(pause) = &mut step
            && wakes
        {
            *pause = (*pause).max(BETWEEN_WAKES);
        }
        // In the same breath: what begins to wait from now on is served by another task.
        held.is_served = step != Step::End;
        if wakes && let Some(wake) = &state.wake {
            // The consumer may have ended.
            let _ = wake.unbounded_send(self.instance);
        }
        Some((step, pace))
    }

    async fn ask(&self, slots: u32, pace: Pace) {
        let answered = self.pacing.reserve(self.instance, pace, slots, 0).await;
        let now = self.pacing.clock.monotonic();
        let mut state = self.pacing.state();
        let Some(paced) = state.instances.get_mut(&self.instance) else { return };
        match answered {
            Ok(reserved) => paced.held.granted(&reserved, now),
            Err(error) => {
                debug!(instance.id = %self.instance, %error, "no slots were reserved; tried again");
                paced.held.unanswered(now);
            }
        }
    }
}

impl Drop for Serving {
    /// Also when it panicked.
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(paced) = self.pacing.state().instances.get_mut(&self.instance)
        {
            paced.held.is_served = false;
        }
    }
}

impl Drop for KeptSlot {
    fn drop(&mut self) {
        if let Some(slot) = self.pacing.kept(self.message) {
            self.pacing.give_back(self.instance, slot);
        }
    }
}
