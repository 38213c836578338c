use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::ready;
use futures::stream::{self, BoxStream};
use tracing::{info, warn};

use super::planning::{Known, Plan, PlanEvents, TENANTS_AT_ONCE, Turn};
use crate::application::events::{Ended, StepWork, WorkResult};
use crate::application::ports::{DueStep, EventMessage, FailedMessages, RepositoryError};
use crate::domain::event::{Event, EventId, Step};
use crate::domain::message::MessageStatus;

/// Makes one message of an event for each subscription that it is for, and waits until all of them have ended: an event is
/// processed when they were sent, and dead when one failed for good.
pub struct RouteEvents {
    pub plans: PlanEvents,
    pub failed: Arc<dyn FailedMessages>,
}

/// Between two looks at messages that are on their way; each is longer than the one before.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Pause before an event is tried again whose database did not answer, or whose tenant has had its time.
const PAUSE: Duration = Duration::from_secs(1);

/// Events whose messages are looked at together: each may have one for every subscription of its tenant.
const LOOKED_AT_TOGETHER: usize = 64;

impl StepWork for RouteEvents {
    fn step(&self) -> Step {
        Step::Route
    }

    fn purpose(&self) -> &'static str {
        "make messages of events"
    }

    /// Others wait for their messages, or for their tenant's next turn.
    fn hindrance(&self, ended: &Ended) -> Option<String> {
        let reasons = ended.iter().map(|(_, result)| match result {
            WorkResult::PutOff(_, reason) => Some(reason),
            _ => None,
        });
        reasons.collect::<Option<Vec<_>>>()?.first().map(|reason| (*reason).clone())
    }

    /// Tenants do not wait for each other: what is ready at the same time ends together.
    fn work(&self, due: Vec<DueStep>) -> BoxStream<'_, Ended> {
        stream::once(self.known(due)).flat_map(|begun| self.turns(begun)).boxed()
    }
}

/// Events of which it is known what is delivered of them, or why not.
type Begun = Result<(Vec<DueStep>, Known), (Vec<DueStep>, RepositoryError)>;

/// What may pass spends no try.
fn not_done(error: &RepositoryError) -> WorkResult {
    if error.may_pass() { WorkResult::PutOff(PAUSE, error.to_string()) } else { WorkResult::Failed(error.to_string()) }
}

impl RouteEvents {
    async fn known(&self, due: Vec<DueStep>) -> Begun {
        let ids: Vec<EventId> = due.iter().map(|due| due.event.id).collect();
        match self.plans.deliveries.of_events(&ids).await {
            Ok(known) => Ok((due, known.iter().map(|it| (it.event, it.subscription)).collect())),
            Err(error) => Err((due, error)),
        }
    }

    fn turns(&self, begun: Begun) -> BoxStream<'_, Ended> {
        let (due, known) = match begun {
            Ok((due, known)) => (due, Arc::new(known)),
            // One of them may be the reason: the others need not fail with it.
            Err((due, error)) if due.len() > 1 && !error.may_pass() => {
                return stream::iter(due).flat_map(|one| self.work(vec![one])).boxed();
            }
            Err((due, error)) => {
                let ended = due.into_iter().map(|due| (due, not_done(&error))).collect();
                return stream::once(ready(ended)).boxed();
            }
        };
        let mut of_tenants = BTreeMap::<String, Vec<DueStep>>::new();
        for due in due {
            of_tenants.entry(due.event.tenant.as_str().to_owned()).or_default().push(due);
        }
        let turns = stream::iter(of_tenants.into_values()).map(move |due| {
            let known = known.clone();
            async move { self.plans.turn(due, &known).await }
        });
        let ready = turns.buffer_unordered(TENANTS_AT_ONCE).ready_chunks(TENANTS_AT_ONCE);
        ready.then(|turns| self.end(turns)).boxed()
    }

    async fn end(&self, mut turns: Vec<Turn>) -> Ended {
        let errors = {
            let new: Vec<_> = turns.iter_mut().flat_map(Turn::take_new).collect();
            self.plans.write(&new).await
        };
        turns.iter_mut().for_each(|turn| turn.fail(&errors));
        let mut planned: Vec<(DueStep, Plan)> = turns.into_iter().flat_map(Turn::planned).collect();
        let mut ended = Vec::with_capacity(planned.len());
        while !planned.is_empty() {
            let some: Vec<_> = planned.drain(..planned.len().min(LOOKED_AT_TOGETHER)).collect();
            let is_asked = |(_, plan): &&(DueStep, Plan)| plan.put_off.is_none() && !plan.is_away();
            let ids: Vec<EventId> = some.iter().filter(is_asked).map(|(due, _)| due.event.id).collect();
            let mut messages = self.messages(&ids).await;
            for (due, plan) in some {
                let own = messages.remove(&due.event.id).unwrap_or(Ok(Vec::new()));
                let result = match own {
                    Ok(own) => self.result(&due, &plan, &own).await,
                    Err(error) => Err(error),
                };
                let result = result.unwrap_or_else(|error| not_done(&error));
                self.tell(&due.event, &result);
                ended.push((due, result));
            }
        }
        ended
    }

    /// One whose messages cannot be read is no reason to fail for others.
    async fn messages(&self, ids: &[EventId]) -> HashMap<EventId, Result<Vec<EventMessage>, RepositoryError>> {
        let mut found: HashMap<EventId, Result<Vec<EventMessage>, RepositoryError>> = HashMap::new();
        if ids.is_empty() {
            return found;
        }
        match self.plans.deliveries.messages(ids).await {
            Ok(messages) => {
                for message in messages {
                    if let Ok(own) = found.entry(message.event).or_insert_with(|| Ok(Vec::new())) {
                        own.push(message);
                    }
                }
            }
            Err(error) if ids.len() > 1 && !error.may_pass() => {
                for id in ids {
                    found.insert(*id, self.plans.deliveries.messages(&[*id]).await);
                }
            }
            Err(error) => found.extend(ids.iter().map(|id| (*id, Err(error.clone())))),
        }
        found
    }

    /// In the words that operators look for.
    fn tell(&self, event: &Event, result: &WorkResult) {
        let processing_time = (self.plans.clock.now() - event.received_at).num_milliseconds();
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

    async fn result(
        &self,
        due: &DueStep,
        plan: &Plan,
        messages: &[EventMessage],
    ) -> Result<WorkResult, RepositoryError> {
        if let Some(reason) = &plan.put_off {
            return Ok(WorkResult::PutOff(PAUSE, reason.clone()));
        }
        if let Some(error) = plan.error.as_ref().filter(|_| plan.is_away()) {
            return Err(error.clone());
        }
        let failed: Vec<&EventMessage> = messages.iter().filter(|it| it.status == MessageStatus::Failed).collect();
        let open = messages.iter().filter(|it| it.status.is_open()).count();
        // A person has put the event back on its way: its messages go along, also when others cannot be made.
        if due.resend {
            for message in &failed {
                self.failed.replay(&due.event.tenant, message.message, self.plans.clock.now()).await?;
            }
        }
        if let Some(error) = &plan.error {
            return Err(error.clone());
        }
        if !plan.problems.is_empty() {
            return Ok(WorkResult::Failed(plan.problems.join("; ")));
        }
        if due.resend && !failed.is_empty() {
            return Ok(WorkResult::Waits(FIRST_WAIT, format!("{} messages are sent again", failed.len())));
        }
        if open > 0 {
            let reason = format!("{open} of {} messages are on their way", messages.len());
            let waited = self.plans.clock.now() - due.event.updated_at;
            return Ok(WorkResult::Waits(wait(waited.to_std().unwrap_or_default()), reason));
        }
        Ok(match failed.first() {
            Some(message) => {
                let error = message.error.as_deref().unwrap_or("it says no reason");
                WorkResult::Dead(format!("the message {} failed: {error}", message.message))
            }
            None if messages.is_empty() && !plan.is_wanted => WorkResult::Done("no subscription wants it".to_owned()),
            None if messages.is_empty() => WorkResult::Done("every subscription that wants it is disabled".to_owned()),
            None => WorkResult::Done(format!("{} messages were sent", messages.len())),
        })
    }
}

/// `waited`: since something of it has changed.
fn wait(waited: Duration) -> Duration {
    (waited / 2).clamp(FIRST_WAIT, LONGEST_WAIT)
}
