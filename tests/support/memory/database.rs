use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use correio::application::ports::RepositoryError;
use correio::domain::Timestamp;
use correio::domain::broadcast::Broadcast;
use correio::domain::message::attempt::Attempt;
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use futures::channel::oneshot;

use super::tables::{Bug, Change, Payment, Refusal, Tables};
use super::weather::{Calm, Weather};

/// A database; clones share its tables.
#[derive(Clone)]
pub struct MemoryDatabase {
    tables: Arc<Mutex<Tables>>,
    weather: Arc<dyn Weather>,
}

impl Default for MemoryDatabase {
    fn default() -> Self {
        Self { tables: Arc::default(), weather: Arc::new(Calm) }
    }
}

impl MemoryDatabase {
    /// The same tables, on another way to them: every process may have its own.
    pub fn under(&self, weather: Arc<dyn Weather>) -> Self {
        Self { tables: Arc::clone(&self.tables), weather }
    }

    /// From now on the tables do this wrong, for every process.
    pub fn plant(&self, bug: Bug) {
        self.look(|tables| tables.plant(bug));
    }

    /// From now on a message has to be claimed when it was put off so often.
    pub fn put_off_at_most(&self, times: u32) {
        self.look(|tables| tables.max_deferrals = Some(times));
    }

    pub(super) fn has(&self, bug: Bug) -> bool {
        self.look(|tables| tables.has(bug))
    }

    /// All broadcasts, in order of their ids.
    pub fn broadcasts(&self) -> Vec<Broadcast> {
        self.look(|tables| tables.broadcasts.values().map(|row| row.broadcast.clone()).collect())
    }

    /// The time that each message of a broadcast was made for.
    pub fn slots(&self) -> BTreeMap<MessageId, Timestamp> {
        self.look(|tables| tables.slots.clone())
    }

    /// All messages, in order of their ids.
    pub fn rows(&self) -> Vec<Message> {
        self.look(|tables| tables.messages.values().cloned().collect())
    }

    /// Whether subscribers were told of all that was noted for them.
    pub fn has_told_all(&self) -> bool {
        self.look(|tables| tables.status_changes.is_empty() && tables.tellings.is_empty())
    }

    /// The attempts of a message that have rows, in order of their number.
    pub fn attempts(&self, id: MessageId) -> Vec<Attempt> {
        self.look(|tables| tables.attempts_of(id))
    }

    /// The messages that were deleted, as they were then.
    pub fn deleted(&self) -> Vec<Message> {
        self.look(|tables| tables.deleted.clone())
    }

    /// Every state that was written, in order.
    pub fn history(&self) -> Vec<Change> {
        self.look(|tables| tables.history.clone())
    }

    /// Every dead letter that was marked as paid, in order.
    pub fn payments(&self) -> Vec<Payment> {
        self.look(|tables| tables.payments.clone())
    }

    /// Every outcome that came too late, in order.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.look(|tables| tables.refusals.clone())
    }

    /// The database dies, and comes back without the claims that no write has followed. Returns whose they were.
    pub fn crash(&self) -> Vec<(MessageId, NodeId)> {
        self.look(Tables::crash)
    }

    /// A crash was long enough ago for messages to be cancelled again.
    pub fn end_doubt(&self) {
        self.look(Tables::end_doubt);
    }

    /// How many claims a crash would take back.
    pub fn at_risk(&self) -> usize {
        self.look(|tables| tables.at_risk())
    }

    /// Who is delivering something, as far as the rows say.
    pub fn delivering(&self) -> Vec<NodeId> {
        let is_begun = |message: &&Message| message.status != MessageStatus::Queued;
        self.look(|tables| tables.open().filter(is_begun).filter_map(|message| message.node).collect())
    }

    /// Whether anybody is.
    pub fn is_delivering(&self) -> bool {
        self.look(|tables| tables.open().any(|it| it.status != MessageStatus::Queued && it.node.is_some()))
    }

    /// How many changes, payments and refusals there are.
    pub fn lengths(&self) -> [usize; 3] {
        self.look(|tables| [tables.history.len(), tables.payments.len(), tables.refusals.len()])
    }

    /// One statement or transaction: the request on its way, the change all at once, the answer on its way. A `change`
    /// that gives an error must have changed nothing.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&mut Tables) -> Result<T, RepositoryError> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        let (answer, answered) = oneshot::channel();
        let tables = Arc::clone(&self.tables);
        // Who asked may have stopped listening.
        let statement = Box::new(move || _ = answer.send(change(&mut tables.lock().unwrap())));
        self.weather.carry(operation, statement).await?;
        answered.await.unwrap_or_else(|_| Err(RepositoryError::Unavailable("never carried out".to_owned())))
    }

    /// The same for what is never late: it is done when its answer arrives, and so may borrow.
    pub(super) async fn run_now<T>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&mut Tables) -> Result<T, RepositoryError>,
    ) -> Result<T, RepositoryError> {
        self.weather.carry(operation, Box::new(|| ())).await?;
        self.look(change)
    }

    /// By its own clock, if it has one.
    pub(super) fn now(&self) -> Option<Timestamp> {
        self.weather.now()
    }

    fn look<T>(&self, look: impl FnOnce(&mut Tables) -> T) -> T {
        look(&mut self.tables.lock().unwrap())
    }
}
