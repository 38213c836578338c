//! What happened in a run, and when: for the question whether the promises were kept, and for whoever reads why not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use correio::domain::message::{MessageId, MessageStatus};
use correio::domain::node::NodeId;

use super::scheduler::ProcessId;

/// Told by everybody who does something; clones share it.
#[derive(Clone, Default)]
pub struct Chronicle(Arc<Mutex<Told>>);

#[derive(Clone, Default)]
pub struct Told {
    /// In order of time.
    pub happenings: Vec<Happening>,
    pub interruptions: Vec<Interruption>,
    /// Processes that were told to stop, and had not finished when their time was over.
    pub cut_short: BTreeSet<ProcessId>,
    /// Whose name a node was.
    pub names: BTreeMap<NodeId, ProcessId>,
    /// When each change of the database's history was made.
    pub changed_at: Vec<Duration>,
    /// When each dead letter was marked as paid.
    pub paid_at: Vec<Duration>,
    /// When each outcome was refused.
    pub refused_at: Vec<Duration>,
    pub answers: Vec<Answer>,
    /// Messages of which a client was told that they are cancelled.
    pub cancelled: Vec<MessageId>,
    /// When it was asked to delete the second instance, and when it was said that it is deleted.
    pub deletion_asked_at: Option<Duration>,
    pub deleted_at: Option<Duration>,
    /// Accepts that were not answered, and when that was given up.
    pub unanswered_accepts: Vec<(MessageId, Duration)>,
    /// Claims under a name that was no longer that of their process, and when they were sent.
    pub misnamed: Vec<(MessageId, Duration)>,
    /// What was asked to be made due, of which owner.
    pub asked_to_make_due: BTreeSet<(MessageId, NodeId)>,
    /// Messages that a client was refused to take back, with their state then, and when it was told so.
    pub not_taken_back: Vec<(MessageId, MessageStatus, Duration)>,
    /// The services that ran.
    pub services: BTreeSet<&'static str>,
}

/// For people.
#[derive(Clone, Debug)]
pub struct Happening {
    pub at: Duration,
    /// None: it concerns all of them.
    pub message: Option<MessageId>,
    pub what: String,
}

/// Something kept a process from going on, or from learning what became of what it asked.
#[derive(Clone, Copy, Debug)]
pub struct Interruption {
    /// None: every process.
    pub process: Option<ProcessId>,
    pub from: Duration,
    pub to: Duration,
}

/// What a client was told of a message it sent.
#[derive(Clone, Debug)]
pub struct Answer {
    pub id: MessageId,
    pub status: MessageStatus,
}

impl Chronicle {
    pub fn say(&self, at: Duration, what: impl Into<String>) {
        self.lock().happenings.push(Happening { at, message: None, what: what.into() });
    }

    pub fn say_of(&self, message: MessageId, at: Duration, what: impl Into<String>) {
        self.lock().happenings.push(Happening { at, message: Some(message), what: what.into() });
    }

    pub fn interrupted(&self, process: Option<ProcessId>, from: Duration, to: Duration) {
        self.lock().interruptions.push(Interruption { process, from, to });
    }

    pub fn cut_short(&self, process: ProcessId) {
        self.lock().cut_short.insert(process);
    }

    pub fn named(&self, node: NodeId, process: ProcessId) {
        self.lock().names.insert(node, process);
    }

    pub fn process_of(&self, node: NodeId) -> Option<ProcessId> {
        self.lock().names.get(&node).copied()
    }

    /// The history has become so long, so many dead letters are paid, and so many outcomes were refused.
    pub fn changed(&self, [changes, payments, refusals]: [usize; 3], at: Duration) {
        let mut told = self.lock();
        told.changed_at.resize(changes, at);
        told.paid_at.resize(payments, at);
        told.refused_at.resize(refusals, at);
    }

    pub fn runs(&self, service: &'static str) {
        self.lock().services.insert(service);
    }

    pub fn answered(&self, answer: Answer) {
        self.lock().answers.push(answer);
    }

    pub fn cancelled(&self, message: MessageId) {
        self.lock().cancelled.push(message);
    }

    pub fn deletion_asked(&self, at: Duration) {
        self.lock().deletion_asked_at = Some(at);
    }

    pub fn deleted(&self, at: Duration) {
        self.lock().deleted_at = Some(at);
    }

    pub fn accept_unanswered(&self, message: MessageId, at: Duration) {
        self.lock().unanswered_accepts.push((message, at));
    }

    pub fn misnamed(&self, message: MessageId, at: Duration) {
        self.lock().misnamed.push((message, at));
    }

    pub fn asked_to_make_due(&self, messages: &[(MessageId, NodeId)]) {
        self.lock().asked_to_make_due.extend(messages);
    }

    pub fn not_taken_back(&self, message: MessageId, status: MessageStatus, at: Duration) {
        self.lock().not_taken_back.push((message, status, at));
    }

    pub fn told(&self) -> Told {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// Whether the process of `node` was cut short when it stopped.
    pub fn was_cut_short(&self, node: Option<NodeId>) -> bool {
        node.and_then(|node| self.names.get(&node)).is_some_and(|process| self.cut_short.contains(process))
    }

    /// Whether something hit the process of `node` from `begin` to `end`, or so shortly before that it still mattered.
    pub fn was_interrupted(&self, node: Option<NodeId>, begin: Duration, end: Duration, aftermath: Duration) -> bool {
        let process = node.and_then(|node| self.names.get(&node));
        let hit = |one: &Interruption| match (one.process, process) {
            (Some(hit), Some(process)) => hit == *process,
            _ => one.process.is_none(),
        };
        self.interruptions.iter().any(|one| hit(one) && one.from <= end && one.to.saturating_add(aftermath) >= begin)
    }

    /// Whether something hit any process from `begin` to `end`, or so shortly before that it still mattered.
    pub fn was_anybody_interrupted(&self, begin: Duration, end: Duration, aftermath: Duration) -> bool {
        self.interruptions.iter().any(|one| one.from <= end && one.to.saturating_add(aftermath) >= begin)
    }

    /// Whether the process of `node` was killed before.
    pub fn was_killed(&self, node: Option<NodeId>, before: Duration) -> bool {
        let process = node.and_then(|node| self.names.get(&node));
        let is_kill = |one: &Interruption| one.process.as_ref() == process && one.to == Duration::MAX;
        process.is_some() && self.interruptions.iter().any(|one| is_kill(one) && one.from <= before)
    }

    /// Whether the process of `node` has had another name since.
    pub fn is_former(&self, node: NodeId) -> bool {
        let process = self.names.get(&node);
        self.names.range(node..).skip(1).any(|(_, of)| Some(of) == process)
    }

    /// Whether something hit this process, and not the database for all, from `begin` to `end`, or so shortly before that it
    /// still mattered.
    pub fn was_hit(&self, process: ProcessId, begin: Duration, end: Duration, aftermath: Duration) -> bool {
        let is_its = |one: &&Interruption| one.process == Some(process);
        self.interruptions.iter().filter(is_its).any(|one| one.from <= end && one.to.saturating_add(aftermath) >= begin)
    }
}
