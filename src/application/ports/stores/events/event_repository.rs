use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::application::ports::{RepositoryError, SearchError};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::event::{Event, EventId, EventStatus, HistoryEntry, Step};

/// Events, each stored once, and their history.
///
/// `tests/contracts/events/event_repository.rs` proves what is promised here.
#[async_trait]
pub trait EventRepository: Send + Sync {
    /// Stores an event, the first line of its history and what is to be done with it, together. On disk once it is answered.
    ///
    /// An event whose id is there already changes nothing: so one may be stored again whose answer was lost. Nor does one with
    /// the key of an event of the same tenant and source that is still remembered. Of many that are stored at once with the same
    /// key, one is stored.
    async fn store(&self, new: &NewEvent) -> Result<StoredEvent, RepositoryError>;

    /// The newest event of this name.
    async fn find(&self, tenant: &Tenant, name: &str) -> Result<Option<Event>, RepositoryError>;

    /// The lines of an event's history, oldest first.
    async fn history(&self, tenant: &Tenant, id: EventId) -> Result<Vec<HistoryEntry>, RepositoryError>;

    /// Newest first, those before `before`; at most `limit`, and no more than fit into
    /// [`BYTES_AT_ONCE`](crate::application::ports::BYTES_AT_ONCE). A search: what is rare may take a walk through all that the
    /// tenant has within the times that are asked for.
    async fn list(
        &self,
        tenant: &Tenant,
        filter: &EventFilter,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<ListedEvents, SearchError>;

    /// How many events a tenant has, by status and by type. Costs the same however many there are.
    async fn count(&self, tenant: &Tenant) -> Result<EventCounts, RepositoryError>;

    /// Puts an event back on its way whose steps have failed for good: each of these is due at once, and says until a try has
    /// ended that a person retries it; its failures are counted anew.
    async fn retry(&self, tenant: &Tenant, name: &str, now: Timestamp) -> Result<Retry, RepositoryError>;

    /// Forgets keys that are no longer remembered at `now`, and deletes events at their end that were received before
    /// `before`, with their history: a bounded part of them; so much time before `now` that a clock which is ahead of the
    /// database's deletes nothing sooner. Types of which no event is left are not counted any more. Returns whether there may be more. Safe to run in several
    /// processes concurrently.
    async fn sweep(&self, before: Option<Timestamp>, now: Timestamp) -> Result<bool, RepositoryError>;
}

/// An event to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    pub event: Event,
    /// Until when its key marks a repeat.
    pub remembered_until: Timestamp,
    /// What is to be done with it. Without any it is processed at once.
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredEvent {
    New,
    /// It is there already, or its key is another one's. None: that one was deleted meanwhile.
    Repeated(Option<Box<Event>>),
}

/// Which events are wanted; what is not given selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    pub status: Option<EventStatus>,
    pub kind: Option<String>,
    pub source: Option<String>,
    /// At this moment or later.
    pub received_after: Option<Timestamp>,
    /// Before this moment.
    pub received_before: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEvents {
    pub events: Vec<Event>,
    /// Others follow.
    pub more: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    pub by_status: BTreeMap<EventStatus, u64>,
    pub by_kind: BTreeMap<String, u64>,
}

impl EventCounts {
    pub fn add(&mut self, status: EventStatus, kind: String, events: u64) {
        if events > 0 {
            *self.by_status.entry(status).or_default() += events;
            *self.by_kind.entry(kind).or_default() += events;
        }
    }

    pub fn total(&self) -> u64 {
        self.by_status.values().sum()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retry {
    /// As it is from now on.
    Retried(Box<Event>),
    /// None of its steps has failed for good.
    NotDead(Box<Event>),
    Unknown,
}
