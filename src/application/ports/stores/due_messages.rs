use async_trait::async_trait;
use chrono::TimeDelta;

use crate::application::ports::{Position, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::{Guard, Message, MessageId};
use crate::domain::node::NodeId;

/// The rows that a node has to take up again: the relay's view of the messages.
///
/// `tests/contracts/recovery/due_messages.rs` and `lost_messages.rs` prove this for every implementation.
#[async_trait]
pub trait DueMessages: Send + Sync {
    /// Takes at most `take.limit` due messages for `take.node`, and at most [`BYTES_AT_ONCE`](super::BYTES_AT_ONCE), those
    /// due longest (and of equals the lowest ids) first: they become `queued`, that node's, without `next_attempt_at`. Two
    /// nodes that take concurrently get different messages.
    ///
    /// A message with a `next_attempt_at` is due when that time has come and never before, whichever node owned it. One
    /// without is due
    /// - in any open state, when its node is among `take.gone`, has no row in `messaging_nodes`, or is not named; but
    ///   `queued` not for being among `take.gone` when it is among `take.succeeded`, too;
    /// - `pending` or `processing`, when its node is among `take.departed`;
    /// - `queued`, when `take.unconsumed`, or when it was last handed over (`updated_at`) before `take.lost_before`;
    ///   one whose `updated_at` is more than a day ahead of `take.now` counts as lost too, and an id that is ahead of `take.now`
    ///   by more than some minutes says nothing of when that was. Of a long backlog only the oldest are
    ///   checked for being lost; the others are when those have ended.
    ///
    /// Messages among `take.held` are passed over.
    ///
    /// Of the messages whose time has come, those of the instances in `take.full` do not count for `take.limit`: they are taken
    /// beside the others, at most `take.limit_of_full` of them. No more than both limits together are looked at.
    async fn take(&self, take: &Take) -> Result<Vec<Message>, RepositoryError>;

    /// Takes some of the messages whose time has come from each of the next instances that have any, so that a long backlog of
    /// one keeps no other's waiting: at most `turns.limit`, and at most [`BYTES_AT_ONCE`](super::BYTES_AT_ONCE), first one of each
    /// instance, then the second of each, and so on up to [`IN_A_TURN`]; of an instance those due longest. Passes over those of
    /// `turns.full` and those among `turns.held`.
    ///
    /// Looks at no more than [`TURNS_AT_ONCE`] instances of which a message waits for a time, in order of their ids, from
    /// `turns.after` on: it costs the same however many wait.
    async fn take_in_turns(&self, turns: &Turns) -> Result<TurnsTaken, RepositoryError>;

    /// The `pending` and `processing` messages without a `next_attempt_at` that these nodes own.
    async fn in_delivery(&self, nodes: &[NodeId]) -> Result<Vec<Guard>, RepositoryError>;

    /// Gives back messages that no task delivers: `queued`, due now, if they are still as their guards say; `retries` goes
    /// back by one where the try is not spent, `try` never. Returns how many were.
    async fn give_back(&self, forgotten: &[Forgotten], now: Timestamp) -> Result<u64, RepositoryError>;

    /// Makes those messages due now that are `pending` or `queued`, still their node's and without a `next_attempt_at`;
    /// the others are left alone. Returns how many were.
    async fn make_due(&self, messages: &[(MessageId, NodeId)], now: Timestamp) -> Result<u64, RepositoryError>;

    /// Times anew what waits for a time that this process set by a clock that was set since: queued, of one of the names of
    /// `retiming.process`, with a `next_attempt_at` that is not the `send_at` of its sender, and last written before the
    /// clock was set. Each `next_attempt_at` and `deferred_since` goes along with the clock; before a first try, not to a
    /// time before its `send_at`. Looks at the next `retiming.reach` of what waits for a time, of whatever process, from
    /// `retiming.after` on: costs the same however much waits. A message that moves or is held by another transaction meanwhile
    /// may be passed over.
    async fn retime(&self, retiming: &Retiming) -> Result<Retimed, RepositoryError>;

    /// Makes those messages of `recall.instances` due now that are queued, wait for a later time, and wait for it because no process
    /// can deliver them (`deferred_since`), or behind one that does ([`RECIPIENT_WAITS`](crate::domain::message::deferral::RECIPIENT_WAITS)): not what is to be sent later, waits for its next try or for a place. Looks at the next
    /// `recall.reach` of what waits for a time, of whatever instance, from `recall.after` on: costs the same however much waits. A
    /// message that moves or is held by another transaction meanwhile may be passed over.
    async fn recall(&self, recall: &Recall) -> Result<Retimed, RepositoryError>;

    /// Makes those queued messages due now, whichever node owns them, that were due already when they were last written
    /// (`next_attempt_at` is not after `updated_at`), by a clock that was ahead of `now`. At most `limit` are changed, and
    /// only those among the next [`CALLED_IN_AMONG`] that are due; returns how many were.
    async fn call_in(&self, now: Timestamp, limit: u32) -> Result<u64, RepositoryError>;
}

/// How many messages of one instance [`DueMessages::take_in_turns`] takes.
pub const IN_A_TURN: u32 = 8;

/// At how many instances [`DueMessages::take_in_turns`] looks.
pub const TURNS_AT_ONCE: u32 = 256;

/// How many of the messages that wait for a time [`DueMessages::call_in`] looks at.
pub const CALLED_IN_AMONG: u32 = 20_000;

/// What a process waited for when its clock was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retiming {
    /// Its first name.
    pub process: NodeId,
    /// By how much the clock was set.
    pub by: TimeDelta,
    /// What was written within this time was written after that.
    pub since: Timestamp,
    pub until: Timestamp,
    pub after: Position,
    pub reach: u32,
    /// By the clock that was set.
    pub now: Timestamp,
}

/// Instances that may be called again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recall {
    pub instances: Vec<InstanceId>,
    pub after: Position,
    pub reach: u32,
    pub now: Timestamp,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retimed {
    /// How many got another time.
    pub written: u64,
    /// Where to go on. None: this was the end.
    pub next: Option<Position>,
}

/// A message that is being delivered by its row, and by no task.
#[derive(Clone, Copy, Debug)]
pub struct Forgotten {
    pub guard: Guard,
    /// Whether a call may have been made.
    pub is_spent: bool,
}

#[derive(Clone, Debug)]
pub struct Take {
    pub node: NodeId,
    pub gone: Vec<NodeId>,
    /// Those of the gone whose process goes on under another name, or stopped in good order under one.
    pub succeeded: Vec<NodeId>,
    pub departed: Vec<NodeId>,
    /// No live node consumes what is queued.
    pub unconsumed: bool,
    /// What was last handed over before this moment and is still `queued` is lost.
    pub lost_before: Option<Timestamp>,
    pub held: Vec<MessageId>,
    /// Without, what is taken has none, and that is neither read nor counted.
    pub with_content: bool,
    pub limit: u32,
    /// Instances of which no message can be delivered now: what is taken of them is only put off again.
    pub full: Vec<InstanceId>,
    pub limit_of_full: u32,
    pub now: Timestamp,
}

/// Of whom some are to be taken.
#[derive(Clone, Debug)]
pub struct Turns {
    pub node: NodeId,
    /// None: from the first instance on.
    pub after: Option<InstanceId>,
    pub held: Vec<MessageId>,
    pub with_content: bool,
    pub limit: u32,
    pub full: Vec<InstanceId>,
    pub now: Timestamp,
}

/// Who had a turn.
#[derive(Clone, Debug)]
pub struct TurnsTaken {
    pub messages: Vec<Message>,
    /// Where to go on. None: this was the end.
    pub next: Option<InstanceId>,
}
