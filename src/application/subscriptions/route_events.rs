use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::{info, warn};

use super::shape_message::{ShapeError, ShapeMessage};
use crate::application::events::{StepWork, WorkResult};
use crate::application::ports::{
    BYTES_AT_ONCE, Clock, DueStep, EventDeliveries, EventMessage, FailedMessages, NewDelivery, RepositoryError,
    SubscriptionRepository,
};
use crate::domain::access::principal::Tenant;
use crate::domain::event::{Event, EventId, Step};
use crate::domain::message::MessageStatus;
use crate::domain::subscription::{EventDelivery, Subscription};

/// Makes one message of an event for each subscription that it is for, and waits until all of them have ended: an event is
/// processed when they were sent, and dead when one failed for good.
pub struct RouteEvents {
    pub subscriptions: Arc<dyn SubscriptionRepository>,
    pub deliveries: Arc<dyn EventDeliveries>,
    pub failed: Arc<dyn FailedMessages>,
    pub shape: ShapeMessage,
    pub clock: Arc<dyn Clock>,
}

/// Deliveries that one statement writes at the most.
const TOGETHER: usize = 500;

/// Between two looks at messages that are on their way; each is longer than the one before.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// What is to be done for one event.
#[derive(Default)]
struct Plan {
    new: Vec<NewDelivery>,
    /// What keeps it from being delivered to a subscription.
    problems: Vec<String>,
}

#[async_trait]
impl StepWork for RouteEvents {
    fn step(&self) -> Step {
        Step::Route
    }

    fn purpose(&self) -> &'static str {
        "make messages of events"
    }

    async fn work(&self, due: &[DueStep]) -> Vec<WorkResult> {
        match self.route(due).await {
            Ok(results) => results,
            Err(error) => due.iter().map(|_| WorkResult::Failed(error.to_string())).collect(),
        }
    }
}

impl RouteEvents {
    async fn route(&self, due: &[DueStep]) -> Result<Vec<WorkResult>, RepositoryError> {
        let ids: Vec<EventId> = due.iter().map(|due| due.event.id).collect();
        let known = self.deliveries.of_events(&ids).await?;
        let mut subscriptions = HashMap::<Tenant, Vec<Subscription>>::new();
        let mut plans = Vec::with_capacity(due.len());
        for DueStep { event, .. } in due {
            if !subscriptions.contains_key(&event.tenant) {
                subscriptions.insert(event.tenant.clone(), self.subscriptions.list(&event.tenant).await?);
            }
            let of_tenant = subscriptions.get(&event.tenant).map_or(&[][..], Vec::as_slice);
            plans.push(self.plan(event, of_tenant, &known).await);
        }
        let is_written = self.write(&plans).await;
        let messages = self.deliveries.messages(&ids).await?;
        let mut results = Vec::with_capacity(due.len());
        for ((due, plan), is_written) in due.iter().zip(plans).zip(is_written) {
            let own: Vec<&EventMessage> = messages.iter().filter(|message| message.event == due.event.id).collect();
            let result = match is_written {
                Ok(()) => self.result(due, &plan, &own).await?,
                Err(error) => WorkResult::Failed(error.to_string()),
            };
            self.tell(&due.event, &result);
            results.push(result);
        }
        Ok(results)
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
            WorkResult::Waits(..) => {}
        }
    }

    async fn plan(&self, event: &Event, subscriptions: &[Subscription], known: &[EventDelivery]) -> Plan {
        let mut plan = Plan::default();
        for subscription in subscriptions.iter().filter(|subscription| subscription.is_for(&event.kind)) {
            if known.iter().any(|it| (it.event, it.subscription) == (event.id, subscription.id)) {
                continue;
            }
            match self.delivery(event, subscription).await {
                Ok(delivery) => plan.new.extend(delivery),
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
        for (first, portion) in portions(plans) {
            let all: Vec<NewDelivery> = portion.iter().flat_map(|plan| plan.new.iter().cloned()).collect();
            if all.is_empty() || self.deliveries.record(&all).await.is_ok() {
                continue;
            }
            for (plan, written) in portion.iter().zip(written.iter_mut().skip(first)) {
                *written = self.deliveries.record(&plan.new).await.map(|_| ());
            }
        }
        written
    }

    async fn result(
        &self,
        due: &DueStep,
        plan: &Plan,
        messages: &[&EventMessage],
    ) -> Result<WorkResult, RepositoryError> {
        if !plan.problems.is_empty() {
            return Ok(WorkResult::Failed(plan.problems.join("; ")));
        }
        let failed: Vec<&&EventMessage> = messages.iter().filter(|it| it.status == MessageStatus::Failed).collect();
        let open = messages.iter().filter(|it| it.status.is_open()).count();
        // A person has put the event back on its way: its messages go along.
        if due.tries == 1 && !failed.is_empty() {
            for message in &failed {
                self.failed.replay(&due.event.tenant, message.message, self.clock.now()).await?;
            }
            return Ok(WorkResult::Waits(FIRST_WAIT, format!("{} messages are sent again", failed.len())));
        }
        if open > 0 {
            return Ok(WorkResult::Waits(
                wait(due.tries),
                format!("{open} of {} messages are on their way", messages.len()),
            ));
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

fn wait(tries: u32) -> Duration {
    let growth = 1.5_f64.powi(i32::try_from(tries.saturating_sub(1)).unwrap_or(i32::MAX).min(40));
    FIRST_WAIT.mul_f64(growth).min(LONGEST_WAIT)
}

/// Parts of the plans that fit into one statement, each with the place of its first one.
fn portions(plans: &[Plan]) -> Vec<(usize, &[Plan])> {
    let mut portions = Vec::new();
    let (mut first, mut count, mut bytes) = (0, 0, 0);
    for (place, plan) in plans.iter().enumerate() {
        let own_bytes: u64 = plan.new.iter().flat_map(|it| &it.message).map(|message| message.content.bytes()).sum();
        if place > first && (count + plan.new.len() > TOGETHER || bytes + own_bytes > BYTES_AT_ONCE) {
            portions.push((first, &plans[first..place]));
            (first, count, bytes) = (place, 0, 0);
        }
        count += plan.new.len();
        bytes += own_bytes;
    }
    portions.push((first, &plans[first..]));
    portions
}
