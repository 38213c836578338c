use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::portions::portions;
use super::shape_message::{ShapeError, ShapeMessage};
use crate::application::ports::{
    Clock, EventDeliveries, EventFilter, EventRepository, NewDelivery, RepositoryError, SearchError,
    SubscriptionRepository,
};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::event::kind::KindPattern;
use crate::domain::event::{Event, EventId};
use crate::domain::subscription::{DeliveryOutcome, Subscription, SubscriptionId};

/// Gives a subscription the events of the past that it has not had: those that were skipped while it was disabled, and those
/// from before it. The newest first, a bounded part at a time.
pub struct ReplayEvents {
    pub subscriptions: Arc<dyn SubscriptionRepository>,
    pub events: Arc<dyn EventRepository>,
    pub deliveries: Arc<dyn EventDeliveries>,
    pub shape: ShapeMessage,
    pub clock: Arc<dyn Clock>,
}

/// Events that are looked at in one go.
const PAGE: u32 = 250;
const PAGES: u32 = 40;

/// After which the rest is left to the next part.
const LONGEST: Duration = Duration::from_secs(20);

/// Which events of the past.
#[derive(Clone, Debug, Default)]
pub struct ReplaySelection {
    /// None: all that the subscription is for.
    pub kinds: Option<Vec<KindPattern>>,
    pub received_after: Option<Timestamp>,
    pub received_before: Option<Timestamp>,
    /// Where the part before ended.
    pub before: Option<EventId>,
}

#[derive(Clone, Debug, Default)]
pub struct ReplayedEvents {
    /// They became messages.
    pub replayed: u64,
    /// They had been delivered before, or the filter does not let them through.
    pub passed_over: u64,
    /// They cannot become messages.
    pub failed: u64,
    /// Why the first of those cannot.
    pub problem: Option<String>,
    /// Where the next part begins; none: this was the last.
    pub next: Option<EventId>,
}

#[derive(Debug, thiserror::Error)]
pub enum ReplayEventsError {
    /// Also another tenant's.
    #[error("there is no such subscription")]
    Unknown,
    #[error("the subscription is disabled")]
    Disabled,
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ReplayEvents {
    /// # Errors
    /// When the subscription cannot take events.
    pub async fn execute(
        &self,
        tenant: &Tenant,
        id: SubscriptionId,
        selection: &ReplaySelection,
    ) -> Result<ReplayedEvents, ReplayEventsError> {
        let subscription = self.subscriptions.find(tenant, id).await?.ok_or(ReplayEventsError::Unknown)?;
        if !subscription.is_enabled {
            return Err(ReplayEventsError::Disabled);
        }
        let filter = EventFilter {
            received_after: selection.received_after,
            received_before: selection.received_before,
            ..EventFilter::default()
        };
        let mut replayed = ReplayedEvents { next: selection.before, ..ReplayedEvents::default() };
        let begun = self.clock.monotonic();
        for _ in 0..PAGES {
            let page = self.events.list(tenant, &filter, replayed.next, PAGE).await?;
            let is_selected = |event: &&Event| {
                let kinds = selection.kinds.as_ref();
                subscription.is_for(&event.kind)
                    && kinds.is_none_or(|kinds| kinds.iter().any(|pattern| pattern.matches(&event.kind)))
            };
            let selected: Vec<&Event> = page.events.iter().filter(is_selected).collect();
            if !self.deliver(&subscription, &selected, begun, &mut replayed).await? {
                return Ok(replayed);
            }
            replayed.next = page.events.last().map(|event| event.id);
            if !page.more {
                replayed.next = None;
                return Ok(replayed);
            }
        }
        Ok(replayed)
    }

    /// A page of them. False when there was no time for all: then the next part begins within it.
    async fn deliver(
        &self,
        to: &Subscription,
        events: &[&Event],
        begun: Duration,
        replayed: &mut ReplayedEvents,
    ) -> Result<bool, RepositoryError> {
        let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
        let known = self.deliveries.of_events(&ids).await?;
        let delivered: HashSet<EventId> = known
            .iter()
            .filter(|it| it.subscription == to.id && it.outcome != DeliveryOutcome::Skipped)
            .map(|it| it.event)
            .collect();
        let mut new = Vec::new();
        let mut is_whole = true;
        for event in events {
            if self.clock.monotonic().saturating_sub(begun) > LONGEST {
                is_whole = false;
                break;
            }
            replayed.next = Some(event.id);
            if delivered.contains(&event.id) {
                replayed.passed_over += 1;
                continue;
            }
            match self.delivery(to, event).await {
                Ok(Some(delivery)) => new.push(delivery),
                Ok(None) => replayed.passed_over += 1,
                Err(ShapeError::Unfit(sentence)) => {
                    replayed.failed += 1;
                    replayed.problem.get_or_insert(sentence);
                }
                Err(ShapeError::Repository(error)) => return Err(error),
            }
        }
        for (_, portion) in portions(&new, std::slice::from_ref) {
            replayed.replayed += self.deliveries.record(portion).await?;
        }
        Ok(is_whole)
    }

    async fn delivery(&self, to: &Subscription, event: &Event) -> Result<Option<NewDelivery>, ShapeError> {
        if !self.shape.holds(to, event).await? {
            return Ok(None);
        }
        let message = Some(self.shape.message(to, event).await?);
        Ok(Some(NewDelivery { event: event.id, subscription: to.id, message, at: self.clock.now() }))
    }
}
