use std::sync::Arc;

use crate::application::events::bells::Bells;
use crate::application::ports::{
    Clock, EventCounts, EventDeliveries, EventFilter, EventMessage, EventRepository, ListedEvents, RepositoryError,
    Retry, SearchError,
};
use crate::domain::access::principal::Principal;
use crate::domain::event::{Event, EventId, HistoryEntry};

/// Shows a caller the events of its tenant, and puts dead ones back on their way.
pub struct ReadEvents {
    pub events: Arc<dyn EventRepository>,
    pub deliveries: Arc<dyn EventDeliveries>,
    pub clock: Arc<dyn Clock>,
    pub bells: Bells,
}

/// An event, what became of it, and the messages that it became.
pub struct EventStory {
    pub event: Event,
    pub history: Vec<HistoryEntry>,
    pub messages: Vec<EventMessage>,
}

impl ReadEvents {
    /// # Errors
    /// When the database does not answer.
    pub async fn one(&self, caller: &Principal, name: &str) -> Result<Option<EventStory>, RepositoryError> {
        let Some(event) = self.events.find(&caller.tenant, name).await? else { return Ok(None) };
        let history = self.events.history(&caller.tenant, event.id).await?;
        let messages = self.deliveries.messages(&[event.id]).await?;
        Ok(Some(EventStory { event, history: without_repetitions(history), messages }))
    }

    /// # Errors
    /// When the database does not answer, or not in time.
    pub async fn page(
        &self,
        caller: &Principal,
        filter: &EventFilter,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<ListedEvents, SearchError> {
        self.events.list(&caller.tenant, filter, before, limit).await
    }

    /// # Errors
    /// When the database does not answer.
    pub async fn count(&self, caller: &Principal) -> Result<EventCounts, RepositoryError> {
        self.events.count(&caller.tenant).await
    }

    /// # Errors
    /// When the database does not answer.
    pub async fn retry(&self, caller: &Principal, name: &str) -> Result<Retry, RepositoryError> {
        let retried = self.events.retry(&caller.tenant, name, self.clock.now()).await?;
        if let Retry::Retried(_) = retried {
            self.bells.ring();
        }
        Ok(retried)
    }
}

/// A step that waits says so again and again.
fn without_repetitions(mut history: Vec<HistoryEntry>) -> Vec<HistoryEntry> {
    history.dedup_by(|later, earlier| {
        (later.status, later.step, &later.reason) == (earlier.status, earlier.step, &earlier.reason)
    });
    history
}
