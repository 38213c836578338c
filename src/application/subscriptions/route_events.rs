use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use tracing::{info, warn};

use super::portions::portions;
use super::shape_message::{ShapeError, ShapeMessage};
use crate::application::events::{StepWork, WorkResult};
use crate::application::ports::{
    Clock, DueStep, EventDeliveries, EventMessage, FailedMessages, NewDelivery, RepositoryError, SubscriptionRepository,
};
use crate::domain::event::{Event, EventId, Step};
use crate::domain::message::MessageStatus;
use crate::domain::subscription::{Subscription, SubscriptionId};

/// Makes one message of an event for each subscription that it is for, and waits until all of them have ended: an event is
/// processed when they were sent, and dead when one failed for good.
pub struct RouteEvents {
    pub subscriptions: Arc<dyn SubscriptionRepository>,
    pub deliveries: Arc<dyn EventDeliveries>,
    pub failed: Arc<dyn FailedMessages>,
    pub shape: ShapeMessage,
    pub clock: Arc<dyn Clock>,
}

/// Between two looks at messages that are on their way; each is longer than the one before.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Pause before an event is tried again whose database did not answer, or whose tenant has had its time.
const PAUSE: Duration = Duration::from_secs(1);

/// Time that the filters and templates of one tenant have in a round: the others wait for no more.
const TIME_OF_A_TENANT: Duration = Duration::from_secs(5);

/// What is to be done for one event.
#[derive(Default)]
struct Plan {
    new: Vec<NewDelivery>,
    /// What keeps it from being delivered to a subscription.
    problems: Vec<String>,
    /// Why it is not planned to its end.
    put_off: Option<String>,
}

#[async_trait]
impl StepWork for RouteEvents {
    fn step(&self) -> Step {
        Step::Route
    }

    fn purpose(&self) -> &'static str {
        "make messages of events"
    }

    /// What waits here waits for its own tenant: for its messages, or for its next turn.
    fn hindrance(&self, _: &[WorkResult]) -> Option<String> {
        None
    }

    async fn work(&self, due: &[DueStep]) -> Vec<WorkResult> {
        match self.route(due).await {
            Ok(results) => results,
            Err(error) if due.len() > 1 && !error.may_pass() => {
                // One of them may be the reason: the others need not fail with it.
                let mut results = Vec::with_capacity(due.len());
                for one in due {
                    results.extend(self.work(std::slice::from_ref(one)).await);
                }
                results
            }
            Err(error) => due.iter().map(|_| not_done(&error)).collect(),
        }
    }
}

/// What may pass spends no try.
fn not_done(error: &RepositoryError) -> WorkResult {
    if error.may_pass() { WorkResult::PutOff(PAUSE, error.to_string()) } else { WorkResult::Failed(error.to_string()) }
}

impl RouteEvents {
    async fn route(&self, due: &[DueStep]) -> Result<Vec<WorkResult>, RepositoryError> {
        let ids: Vec<EventId> = due.iter().map(|due| due.event.id).collect();
        let known = self.deliveries.of_events(&ids).await?;
        let known: HashSet<(EventId, SubscriptionId)> = known.iter().map(|it| (it.event, it.subscription)).collect();
        let plans = self.plans(due, &known).await?;
        let is_written = self.write(&plans).await;
        let mut messages = HashMap::<EventId, Vec<EventMessage>>::new();
        for message in self.deliveries.messages(&ids).await? {
            messages.entry(message.event).or_default().push(message);
        }
        let mut results = Vec::with_capacity(due.len());
        for ((due, plan), is_written) in due.iter().zip(plans).zip(is_written) {
            let own = messages.get(&due.event.id).map_or(&[][..], Vec::as_slice);
            let result = match is_written {
                Ok(()) => self.result(due, &plan, own).await,
                Err(error) => Err(error),
            };
            let result = result.unwrap_or_else(|error| not_done(&error));
            self.tell(&due.event, &result);
            results.push(result);
        }
        Ok(results)
    }

    /// In the order of the events. Tenants do not wait for each other.
    async fn plans(
        &self,
        due: &[DueStep],
        known: &HashSet<(EventId, SubscriptionId)>,
    ) -> Result<Vec<Plan>, RepositoryError> {
        let mut of_tenants = BTreeMap::<&str, Vec<(usize, &Event)>>::new();
        for (place, due) in due.iter().enumerate() {
            of_tenants.entry(due.event.tenant.as_str()).or_default().push((place, &due.event));
        }
        let planning = of_tenants.into_values().map(|events| self.plans_of_tenant(events, known));
        let mut plans: Vec<(usize, Plan)> = try_join_all(planning).await?.into_iter().flatten().collect();
        plans.sort_by_key(|(place, _)| *place);
        Ok(plans.into_iter().map(|(_, plan)| plan).collect())
    }

    async fn plans_of_tenant(
        &self,
        events: Vec<(usize, &Event)>,
        known: &HashSet<(EventId, SubscriptionId)>,
    ) -> Result<Vec<(usize, Plan)>, RepositoryError> {
        let Some((_, first)) = events.first() else { return Ok(Vec::new()) };
        let subscriptions = self.subscriptions.list(&first.tenant).await?;
        let begun = self.clock.monotonic();
        let mut plans = Vec::with_capacity(events.len());
        let mut stopped: Option<String> = None;
        for (place, event) in events {
            if stopped.is_none() && self.clock.monotonic().saturating_sub(begun) > TIME_OF_A_TENANT {
                stopped = Some("the filters and templates before it took long: it has its turn next".to_owned());
            }
            let plan = match &stopped {
                Some(reason) => Plan { put_off: Some(reason.clone()), ..Plan::default() },
                None => self.plan(event, &subscriptions, known).await,
            };
            // Each of the others would wait as long.
            stopped = stopped.or_else(|| plan.put_off.clone());
            plans.push((place, plan));
        }
        Ok(plans)
    }

    /// In the words that operators look for.
    fn tell(&self, event: &Event, result: &WorkResult) {
        let processing_time = (self.clock.now() - event.received_at).num_milliseconds();
        let (id, kind, partner) = (&event.name, &event.kind, event.origin.as_deref().unwrap_or_default());
        match result {
            WorkResult::Done(_) => {
                info!(eventId = %id, eventType = %kind, partnerId = %partner, processingTime = processing_time, "Event processed successfully");
            }
            WorkResult::Dead(reason) | WorkResult::Failed(reason) => {
                warn!(eventId = %id, eventType = %kind, partnerId = %partner, processingTime = processing_time, %reason, "Event processing failed");
            }
            WorkResult::Waits(..) | WorkResult::PutOff(..) => {}
        }
    }

    async fn plan(
        &self,
        event: &Event,
        subscriptions: &[Subscription],
        known: &HashSet<(EventId, SubscriptionId)>,
    ) -> Plan {
        let mut plan = Plan::default();
        for subscription in subscriptions.iter().filter(|subscription| subscription.is_for(&event.kind)) {
            if known.contains(&(event.id, subscription.id)) {
                continue;
            }
            match self.delivery(event, subscription).await {
                Ok(delivery) => plan.new.extend(delivery),
                Err(ShapeError::Repository(error)) if error.may_pass() => {
                    plan.put_off = Some(error.to_string());
                    break;
                }
                Err(error) => plan.problems.push(error.to_string()),
            }
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
    async fn write(&self, plans: &[Plan]) -> Vec<Result<(), RepositoryError>> {
        let mut written: Vec<Result<(), RepositoryError>> = plans.iter().map(|_| Ok(())).collect();
        for (first, portion) in portions(plans, |plan| &plan.new) {
            let all: Vec<NewDelivery> = portion.iter().flat_map(|plan| plan.new.iter().cloned()).collect();
            let recorded = if all.is_empty() { Ok(0) } else { self.deliveries.record(&all).await };
            let Err(error) = recorded else { continue };
            for (plan, written) in portion.iter().zip(written.iter_mut().skip(first)) {
                *written = match &error {
                    error if error.may_pass() => Err(error.clone()),
                    _ => self.deliveries.record(&plan.new).await.map(|_| ()),
                };
            }
        }
        written
    }

    async fn result(
        &self,
        due: &DueStep,
        plan: &Plan,
        messages: &[EventMessage],
    ) -> Result<WorkResult, RepositoryError> {
        if !plan.problems.is_empty() {
            return Ok(WorkResult::Failed(plan.problems.join("; ")));
        }
        if let Some(reason) = &plan.put_off {
            return Ok(WorkResult::PutOff(PAUSE, reason.clone()));
        }
        let failed: Vec<&EventMessage> = messages.iter().filter(|it| it.status == MessageStatus::Failed).collect();
        let open = messages.iter().filter(|it| it.status.is_open()).count();
        // A person has put the event back on its way: its messages go along.
        if due.resend && !failed.is_empty() {
            for message in &failed {
                self.failed.replay(&due.event.tenant, message.message, self.clock.now()).await?;
            }
            return Ok(WorkResult::Waits(FIRST_WAIT, format!("{} messages are sent again", failed.len())));
        }
        if open > 0 {
            let reason = format!("{open} of {} messages are on their way", messages.len());
            let waited = self.clock.now() - due.event.updated_at;
            return Ok(WorkResult::Waits(wait(waited.to_std().unwrap_or_default()), reason));
        }
        Ok(match failed.first() {
            Some(message) => {
                let error = message.error.as_deref().unwrap_or("it says no reason");
                WorkResult::Dead(format!("the message {} failed: {error}", message.message))
            }
            None if messages.is_empty() && plan.new.is_empty() => {
                WorkResult::Done("no subscription wants it".to_owned())
            }
            None if messages.is_empty() => WorkResult::Done("every subscription that wants it is disabled".to_owned()),
            None => WorkResult::Done(format!("{} messages were sent", messages.len())),
        })
    }
}

/// `waited`: since something of it has changed.
fn wait(waited: Duration) -> Duration {
    (waited / 2).clamp(FIRST_WAIT, LONGEST_WAIT)
}
