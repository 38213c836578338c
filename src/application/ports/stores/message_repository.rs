use async_trait::async_trait;
use chrono::TimeDelta;

use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::domain::access::idempotency::{IdempotencyKey, IdempotentRequest};
use crate::domain::access::principal::Tenant;
use crate::domain::instance::Destination;
use crate::domain::message::deferral::{Deferral, Deferred};
use crate::domain::message::retry::NextStep;
use crate::domain::message::transition::Ending;
use crate::domain::message::{Guard, Message, MessageId, MessageStatus};
use crate::domain::node::NodeId;

/// The rows of messages, for accepting and delivering them.
///
/// Every write that returns `Ok` is committed and, unless it is a claim, on disk. Every write to a message that is
/// being delivered is guarded (see [`Guard`]): one that comes too late changes nothing and says so.
///
/// A row that was edited by hand is read as far as it can be; `flaw` says what cannot be read. A count that is out of
/// bounds is read, compared and counted on from as the bound. So a message is brought to its end whatever is in its row
/// (`tests/bad_input/rows.rs`).
///
/// `tests/contracts/messages/message_repository.rs` and `claims.rs` prove this for every implementation.
#[async_trait]
pub trait MessageRepository: Send + Sync {
    /// Stores a new message and, in the same transaction, the key it came with. A key of the same tenant that is still
    /// kept wins, also against a concurrent one: nothing is stored then.
    ///
    /// # Errors
    /// After [`RepositoryError::Unavailable`] the message may be stored or not; after any other it is not.
    async fn accept(&self, message: &Message, request: Option<&IdempotentRequest>)
    -> Result<Accepted, RepositoryError>;

    /// What was accepted under this key, unless it has expired at `now`.
    async fn kept_request(
        &self,
        tenant: &Tenant,
        key: &IdempotencyKey,
        now: Timestamp,
    ) -> Result<Option<KeptRequest>, RepositoryError>;

    /// Frees a key whose message has failed or was cancelled; of any other it stays taken.
    async fn free_key(&self, tenant: &Tenant, key: &IdempotencyKey) -> Result<(), RepositoryError>;

    /// For delivery: of any tenant.
    async fn find(&self, id: MessageId) -> Result<Option<Message>, RepositoryError>;

    /// `queued` -> `processing` for `node`, raising `retries` and `try` and setting `attempt_started_at`. Only a
    /// message that is `queued` and has no `next_attempt_at` can be claimed, whichever node owns it; otherwise, and for
    /// a second claim by any node, `None`.
    ///
    /// Also returns the destination, read no earlier than this was called: what was replaced before is never used.
    ///
    /// The claim need not be on disk when this returns: see [`record`](Self::record).
    async fn claim(&self, id: MessageId, node: NodeId, now: Timestamp) -> Result<Option<Claimed>, RepositoryError>;

    /// Puts off a message that is `queued` and has no `next_attempt_at`, whichever node owns it, without a try: see
    /// [`Deferral::until`] for until when. Its state, `try`, `retries` and node stay; `deferred_since` is set, if it is not, only
    /// where the message is undeliverable.
    async fn defer(&self, deferral: &Deferral) -> Result<Deferred, RepositoryError>;

    /// Takes a message that is being delivered along to `node`, another name of the same process, if it is still as the
    /// guard says, or was taken along before. False when another node has it.
    async fn take_along(&self, guard: &Guard, node: NodeId, now: Timestamp) -> Result<bool, RepositoryError>;

    /// Writes how a try ended, with its attempt row (none for a first try that succeeded). One that was put off is not
    /// spent: `retries` goes back by one, `try` does not; `deferred_since` is set, if it is not, only where it is undeliverable. False
    /// when the guard has lost.
    ///
    /// A claim that a crash of the database took back is made good: if the guard is of a claim, and the message is
    /// `queued`, without a `next_attempt_at` and with one try fewer, this claims it and ends the try in one write. If it was
    /// sent by its first try, this holds whatever its `next_attempt_at`.
    ///
    /// Texts that the database refuses are replaced by one that says so, rather than losing the outcome.
    async fn record(&self, outcome: &Outcome) -> Result<bool, RepositoryError>;
}

/// What a claim got.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub message: Message,
    /// None: its instance was deleted. An error: its instance's row cannot be read.
    pub destination: Result<Option<Destination>, RepositoryError>,
}

#[derive(Clone, Debug)]
pub enum Accepted {
    Stored,
    /// The key is taken.
    KeyTaken(Box<KeptRequest>),
}

/// What a key was first used for.
#[derive(Clone, Debug)]
pub struct KeptRequest {
    pub fingerprint: [u8; 32],
    /// The state in which the message was accepted: it says what kind of answer the first caller got.
    pub accepted_as: MessageStatus,
    /// The message as it is now.
    pub message: Message,
}

/// How a try ended, and what follows.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub guard: Guard,
    pub next: NextStep,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
    /// Written with a failure where the row itself is the dead letter.
    pub dead_lettered_at: Option<Timestamp>,
    /// Whether the channel gives receipts: which message its name of this one stands for is noted in the same transaction, if
    /// the guard holds.
    pub has_receipts: bool,
}

impl Outcome {
    pub fn ending(&self) -> Ending {
        Ending::of(&self.next, self.finished_at, self.dead_lettered_at)
    }

    /// The same after the clock was set by so much: what follows is as far away as it was, and the row says that it is written
    /// by the clock as it is now. Nothing else waits.
    #[must_use]
    pub fn gone_along(&self, by: TimeDelta, now: Timestamp) -> Self {
        let along = |time: Timestamp| time.checked_add_signed(by).unwrap_or(time);
        let mut gone = self.clone();
        if let NextStep::Retry { at, .. } | NextStep::PutOff { at, .. } = &mut gone.next {
            *at = along(*at);
            (gone.started_at, gone.finished_at) = (along(gone.started_at), now);
        }
        gone
    }
}
