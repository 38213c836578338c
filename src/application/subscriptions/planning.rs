//! What is to be made of events: which subscriptions want them, and what each of these sends.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::portions::{TOGETHER, portions, size};
use super::shape_message::{ShapeError, ShapeMessage};
use crate::application::ports::{
    BYTES_AT_ONCE, Clock, DueStep, EventDeliveries, NewDelivery, RepositoryError, SubscriptionRepository,
};
use crate::domain::event::{Event, EventId};
use crate::domain::subscription::{Subscription, SubscriptionId};

/// Tenants whose events are planned at the same time.
pub(super) const TENANTS_AT_ONCE: usize = 16;

/// Bytes of messages that a tenant's turn keeps before it writes them. All turns together keep what is read at once, however many
/// subscriptions an event has, and however much each of them makes of it.
const KEPT: u64 = BYTES_AT_ONCE / TENANTS_AT_ONCE as u64;

/// Time that the filters and templates of one tenant have in a turn: the others wait for no more.
const TIME_OF_A_TENANT: Duration = Duration::from_secs(5);

const TAKES_LONG: &str = "the filters and templates before it took long: it has its turn next";

/// Events whose planning may be interrupted, and is remembered.
const MOST_UNFINISHED: usize = 1_000;

/// Makes messages of events, a tenant's turn at a time.
pub struct PlanEvents {
    pub subscriptions: Arc<dyn SubscriptionRepository>,
    pub deliveries: Arc<dyn EventDeliveries>,
    pub shape: ShapeMessage,
    pub clock: Arc<dyn Clock>,
    pub unfinished: Unfinished,
}

/// What is known to be delivered.
pub(super) type Known = HashSet<(EventId, SubscriptionId)>;

/// What is to be done for one event.
#[derive(Default)]
pub(super) struct Plan {
    /// A subscription is for it, and its filter lets it through.
    pub is_wanted: bool,
    /// What keeps it from being delivered to a subscription.
    pub problems: Vec<String>,
    /// Why it is not planned to its end.
    pub put_off: Option<String>,
    /// What the database said to its messages.
    pub error: Option<RepositoryError>,
}

impl Plan {
    /// The database did not answer.
    pub fn is_away(&self) -> bool {
        self.error.as_ref().is_some_and(RepositoryError::may_pass)
    }
}

/// The events of one tenant, one after the other.
pub(super) struct Turn {
    due: Vec<DueStep>,
    /// In the same order.
    plans: Vec<Plan>,
    /// What is not written yet, and its bytes.
    new: Vec<NewDelivery>,
    bytes: u64,
}

impl Turn {
    fn of(due: Vec<DueStep>) -> Self {
        let plans = due.iter().map(|_| Plan::default()).collect();
        Self { due, plans, new: Vec::new(), bytes: 0 }
    }

    fn push(&mut self, delivery: NewDelivery) {
        self.bytes += size(&delivery);
        self.new.push(delivery);
    }

    fn is_full(&self) -> bool {
        self.bytes >= KEPT || self.new.len() >= TOGETHER
    }

    pub fn take_new(&mut self) -> Vec<NewDelivery> {
        self.bytes = 0;
        mem::take(&mut self.new)
    }

    pub fn fail(&mut self, errors: &HashMap<EventId, RepositoryError>) {
        for (due, plan) in self.due.iter().zip(&mut self.plans) {
            plan.error = plan.error.take().or_else(|| errors.get(&due.event.id).cloned());
        }
    }

    pub fn planned(self) -> impl Iterator<Item = (DueStep, Plan)> {
        self.due.into_iter().zip(self.plans)
    }
}

/// What was looked at of events that could not be planned to their end: the next try goes on there, so that it comes to an end.
#[derive(Default)]
pub struct Unfinished(Mutex<HashMap<EventId, Looked>>);

#[derive(Default)]
struct Looked {
    /// Those that it is not delivered to.
    passed: HashSet<SubscriptionId>,
    problems: Vec<String>,
}

impl Unfinished {
    fn take(&self, event: EventId) -> Looked {
        self.all().remove(&event).unwrap_or_default()
    }

    fn keep(&self, event: EventId, looked: Looked) {
        let mut all = self.all();
        if all.len() >= MOST_UNFINISHED {
            // Whichever it is, it begins anew.
            if let Some(one) = all.keys().next().copied() {
                all.remove(&one);
            }
        }
        all.insert(event, looked);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<EventId, Looked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PlanEvents {
    /// Plans events of one tenant. What it made, and has not written, is at the end of the turn.
    pub(super) async fn turn(&self, due: Vec<DueStep>, known: &Known) -> Turn {
        let mut turn = Turn::of(due);
        let Some(first) = turn.due.first() else { return turn };
        let subscriptions = match self.subscriptions.list(&first.event.tenant).await {
            Ok(subscriptions) => subscriptions,
            Err(error) => {
                turn.plans.iter_mut().for_each(|plan| plan.error = Some(error.clone()));
                return turn;
            }
        };
        let until = self.clock.monotonic().saturating_add(TIME_OF_A_TENANT);
        let mut stopped: Option<String> = None;
        for place in 0..turn.due.len() {
            if stopped.is_none() && self.clock.monotonic() > until {
                stopped = Some(TAKES_LONG.to_owned());
            }
            let plan = match &stopped {
                Some(reason) => Plan { put_off: Some(reason.clone()), ..Plan::default() },
                None => self.plan(&mut turn, place, &subscriptions, known, until).await,
            };
            // Each of the others would wait as long.
            let error = turn.plans[place].error.take();
            let is_away = error.as_ref().filter(|error| error.may_pass()).map(ToString::to_string);
            stopped = stopped.or_else(|| plan.put_off.clone()).or(is_away);
            turn.plans[place] = Plan { error, ..plan };
        }
        turn
    }

    async fn plan(
        &self,
        turn: &mut Turn,
        place: usize,
        subscriptions: &[Subscription],
        known: &Known,
        until: Duration,
    ) -> Plan {
        let mut plan = Plan::default();
        let (event, kind) = (turn.due[place].event.id, turn.due[place].event.kind.clone());
        let mut looked = self.unfinished.take(event);
        for subscription in subscriptions.iter().filter(|subscription| subscription.is_for(&kind)) {
            if known.contains(&(event, subscription.id)) {
                plan.is_wanted = true;
                continue;
            }
            if looked.passed.contains(&subscription.id) {
                continue;
            }
            if self.clock.monotonic() > until {
                plan.put_off = Some(TAKES_LONG.to_owned());
                break;
            }
            match self.delivery(&turn.due[place].event, subscription).await {
                Ok(Some(delivery)) => {
                    plan.is_wanted = true;
                    turn.push(delivery);
                }
                Ok(None) => {
                    looked.passed.insert(subscription.id);
                }
                Err(ShapeError::Repository(error)) if error.may_pass() => {
                    plan.put_off = Some(error.to_string());
                    break;
                }
                Err(error) => {
                    looked.passed.insert(subscription.id);
                    looked.problems.push(error.to_string());
                }
            }
            if turn.is_full() {
                let new = turn.take_new();
                turn.fail(&self.write(&new).await);
            }
            // One that cannot be written is planned no further.
            if turn.plans[place].error.is_some() {
                break;
            }
        }
        if plan.put_off.is_some() {
            self.unfinished.keep(event, looked);
        } else {
            plan.problems = looked.problems;
        }
        plan
    }

    /// None: its filter does not let the event through.
    async fn delivery(&self, event: &Event, to: &Subscription) -> Result<Option<NewDelivery>, ShapeError> {
        if !self.shape.holds(to, event).await? {
            return Ok(None);
        }
        let message = if to.is_enabled { Some(self.shape.message(to, event).await?) } else { None };
        Ok(Some(NewDelivery { event: event.id, subscription: to.id, message, at: self.clock.now() }))
    }

    /// In portions; one that the database refuses is written event by event, so that only the guilty one fails.
    pub(super) async fn write(&self, new: &[NewDelivery]) -> HashMap<EventId, RepositoryError> {
        let mut errors = HashMap::new();
        for portion in portions(new) {
            let Err(error) = self.deliveries.record(portion).await else { continue };
            for own in portion.chunk_by(|one, other| one.event == other.event) {
                let error = match &error {
                    error if error.may_pass() => Some(error.clone()),
                    _ => self.deliveries.record(own).await.err(),
                };
                errors.extend(own.first().map(|one| one.event).zip(error));
            }
        }
        errors
    }
}
