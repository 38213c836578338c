//! Counts what becomes of events, in front of either database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::application::events::reporting::event_tally::EventTally;
use crate::application::ports::{
    DueStep, EventCounts, EventFilter, EventRepository, EventSteps, FinishedStep, ListedEvents, NewEvent,
    RepositoryError, Retry, SearchError, StoredEvent, Stores,
};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::event::{Event, EventId, EventStatus, HistoryEntry, Step, StepResult};

/// The same stores, and what becomes of events in them is counted.
pub fn counted(stores: Stores, tally: &EventTally) -> Stores {
    Stores {
        events: Arc::new(CountedEvents { events: stores.events, tally: tally.clone() }),
        event_steps: Arc::new(CountedSteps { steps: stores.event_steps, tally: tally.clone() }),
        ..stores
    }
}

struct CountedEvents {
    events: Arc<dyn EventRepository>,
    tally: EventTally,
}

#[async_trait]
impl EventRepository for CountedEvents {
    async fn store(&self, new: &NewEvent) -> Result<StoredEvent, RepositoryError> {
        let stored = self.events.store(new).await?;
        if stored == StoredEvent::New {
            self.tally.received();
            if new.event.status == EventStatus::Processed {
                self.tally.processed(Duration::ZERO);
            }
        }
        Ok(stored)
    }

    async fn find(&self, tenant: &Tenant, name: &str) -> Result<Option<Event>, RepositoryError> {
        self.events.find(tenant, name).await
    }

    async fn history(&self, tenant: &Tenant, id: EventId) -> Result<Vec<HistoryEntry>, RepositoryError> {
        self.events.history(tenant, id).await
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &EventFilter,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<ListedEvents, SearchError> {
        self.events.list(tenant, filter, before, limit).await
    }

    async fn count(&self, tenant: &Tenant) -> Result<EventCounts, RepositoryError> {
        self.events.count(tenant).await
    }

    async fn retry(&self, tenant: &Tenant, name: &str, now: Timestamp) -> Result<Retry, RepositoryError> {
        self.events.retry(tenant, name, now).await
    }

    async fn sweep(&self, before: Option<Timestamp>, now: Timestamp) -> Result<bool, RepositoryError> {
        self.events.sweep(before, now).await
    }
}

struct CountedSteps {
    steps: Arc<dyn EventSteps>,
    tally: EventTally,
}

#[async_trait]
impl EventSteps for CountedSteps {
    async fn take(
        &self,
        step: Step,
        limit: u32,
        lease: Duration,
        now: Timestamp,
    ) -> Result<Vec<DueStep>, RepositoryError> {
        self.steps.take(step, limit, lease, now).await
    }

    async fn call_in(&self, step: Step, later_than: Timestamp, now: Timestamp) -> Result<u64, RepositoryError> {
        self.steps.call_in(step, later_than, now).await
    }

    async fn finish(
        &self,
        finished: &[FinishedStep],
        now: Timestamp,
    ) -> Result<Vec<Option<EventStatus>>, RepositoryError> {
        let statuses = self.steps.finish(finished, now).await?;
        for (step, status) in finished.iter().zip(&statuses) {
            match status {
                Some(EventStatus::Processed) => self.tally.processed(since(step.event, now)),
                // Another step of an event that has failed may end later.
                Some(EventStatus::DeadLetter) if matches!(step.result, StepResult::Dead { .. }) => {
                    self.tally.failed(since(step.event, now));
                }
                _ => {}
            }
        }
        Ok(statuses)
    }
}

/// How long ago an event was received: its id has the time.
fn since(event: EventId, now: Timestamp) -> Duration {
    let received = event.0.get_timestamp().map(|time| {
        let (seconds, nanoseconds) = time.to_unix();
        Duration::new(seconds, nanoseconds)
    });
    let now = Duration::from_millis(u64::try_from(now.timestamp_millis()).unwrap_or_default());
    received.map_or(Duration::ZERO, |received| now.saturating_sub(received))
}
