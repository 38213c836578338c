use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use correio::application::ports::{
    DueMessages, Forgotten, Position, Recall, RepositoryError, Retimed, Retiming, Take, Turns, TurnsTaken,
};
use correio::domain::Timestamp;
use correio::domain::message::deferral::RECIPIENT_WAITS;
use correio::domain::message::transition::ForbiddenMove;
use correio::domain::message::{Guard, Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use correio::infrastructure::storage::shared::{ASKED_IF_LOST, id_above, id_ahead, tomorrow};

use super::database::MemoryDatabase;
use super::tables::{Bug, Tables};
use super::taking::{TAKE, take_those};
use super::taking_turns::taken_in_turns;

const GIVE_BACK: &str = "due.give_back";
const MAKE_DUE: &str = "due.make_due";
const RETIME: &str = "due.retime";

#[derive(Clone)]
pub struct MemoryDueMessages {
    database: MemoryDatabase,
}

impl MemoryDueMessages {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl DueMessages for MemoryDueMessages {
    async fn take(&self, take: &Take) -> Result<Vec<Message>, RepositoryError> {
        let take = take.clone();
        self.database.run(TAKE, move |tables| Ok(taken(tables, &take))).await
    }

    async fn take_in_turns(&self, turns: &Turns) -> Result<TurnsTaken, RepositoryError> {
        let turns = turns.clone();
        self.database.run("due.take_in_turns", move |tables| Ok(taken_in_turns(tables, &turns))).await
    }

    async fn in_delivery(&self, nodes: &[NodeId]) -> Result<Vec<Guard>, RepositoryError> {
        let nodes = nodes.to_vec();
        let asked = move |message: &&Message| {
            is_in_delivery(message.status)
                && message.next_attempt_at.is_none()
                && message.node.is_some_and(|node| nodes.contains(&node))
        };
        let guards = move |tables: &mut Tables| tables.open().filter(asked).map(Message::guard).collect();
        self.database.run("due.in_delivery", move |tables| Ok(guards(tables))).await
    }

    async fn give_back(&self, forgotten: &[Forgotten], now: Timestamp) -> Result<u64, RepositoryError> {
        let forgotten = forgotten.to_vec();
        let give_back = move |tables: &mut Tables| {
            let (mut given_back, goes_back) = (0, tables.has(Bug::TryNumbersGoBack));
            for Forgotten { guard, is_spent } in forgotten.iter().filter(|it| is_in_delivery(it.guard.status)) {
                let as_guarded = |message: &Message| message.guard() == *guard;
                let give_back = |message: &mut Message| {
                    if goes_back && !is_spent {
                        message.try_number = message.try_number.saturating_sub(1);
                    }
                    message.give_back(*is_spent, now)
                };
                given_back += u64::from(write(tables, guard.id, as_guarded, GIVE_BACK, give_back));
            }
            given_back
        };
        self.database.run(GIVE_BACK, move |tables| Ok(give_back(tables))).await
    }

    async fn make_due(&self, messages: &[(MessageId, NodeId)], now: Timestamp) -> Result<u64, RepositoryError> {
        let messages = messages.to_vec();
        let make_all_due = move |tables: &mut Tables| {
            let (mut made_due, is_any) = (0, tables.has(Bug::MakesDueWhoseverItIs));
            for (id, node) in &messages {
                let waits = |message: &Message| {
                    matches!(message.status, MessageStatus::Pending | MessageStatus::Queued)
                        && (is_any || message.node == Some(*node))
                };
                made_due += u64::from(write(tables, *id, waits, MAKE_DUE, |it| it.make_due(now)));
            }
            made_due
        };
        self.database.run(MAKE_DUE, move |tables| Ok(make_all_due(tables))).await
    }

    async fn retime(&self, retiming: &Retiming) -> Result<Retimed, RepositoryError> {
        let retiming = retiming.clone();
        let after = retiming.after.0.clone();
        let is_ahead = move |message: &Message| {
            let place = message.next_attempt_at.map(|time| place(time, message.id));
            place.is_some_and(|place| after.is_empty() || place > after)
        };
        let asked = move |tables: &Tables, message: &Message| {
            let process = message.node.and_then(|node| tables.nodes.get(&node).map(|row| row.process));
            let is_earlier = message.updated_at < retiming.since || message.updated_at > retiming.until;
            let waits = message.next_attempt_at.is_some() && message.next_attempt_at != message.send_at;
            process == Some(retiming.process) && is_earlier && waits && !tables.has(Bug::NothingIsTimedAnew)
        };
        let retime = move |tables: &mut Tables| {
            let ahead = tables.open().filter(|message| is_ahead(message));
            let mut looked: Vec<_> =
                ahead.filter_map(|message| Some((place(message.next_attempt_at?, message.id), message.id))).collect();
            looked.sort();
            looked.truncate(retiming.reach as usize);
            let next = looked.last().filter(|_| looked.len() == retiming.reach as usize);
            let next = next.map(|(place, _)| Position(place.clone()));
            let looked: BTreeSet<MessageId> = looked.into_iter().map(|(_, id)| id).collect();
            let asked = |tables: &Tables, message: &Message| looked.contains(&message.id) && asked(tables, message);
            let along = |message: &mut Message| message.go_along(retiming.by, retiming.now);
            Retimed { written: timed_anew(tables, asked, along, retiming.reach), next }
        };
        self.database.run(RETIME, move |tables| Ok(retime(tables))).await
    }

    async fn recall(&self, recall: &Recall) -> Result<Retimed, RepositoryError> {
        let recall = recall.clone();
        let (after, now) = (recall.after.0.clone(), recall.now);
        let waits = move |message: &Message| {
            let time = message.next_attempt_at.filter(|time| *time > now)?;
            let place = place(time, message.id);
            (after.is_empty() || place > after).then_some((place, message.id))
        };
        let asked = move |message: &Message| {
            let waits = message.deferred_since.is_some() || message.error.as_deref() == Some(RECIPIENT_WAITS);
            waits && recall.instances.contains(&message.instance_id)
        };
        let recall = move |tables: &mut Tables| {
            let mut looked: Vec<_> = tables.open().filter_map(&waits).collect();
            looked.sort();
            looked.truncate(recall.reach as usize);
            let next = looked.last().filter(|_| looked.len() == recall.reach as usize);
            let next = next.map(|(place, _)| Position(place.clone()));
            let looked: BTreeSet<MessageId> = looked.into_iter().map(|(_, id)| id).collect();
            let asked = |_: &Tables, message: &Message| looked.contains(&message.id) && asked(message);
            let due = |message: &mut Message| message.retime(now, now);
            Retimed { written: timed_anew(tables, asked, due, recall.reach), next }
        };
        self.database.run("due.recall", move |tables| Ok(recall(tables))).await
    }

    async fn call_in(&self, now: Timestamp, limit: u32) -> Result<u64, RepositoryError> {
        let asked = move |_: &Tables, message: &Message| {
            message.next_attempt_at.is_some_and(|time| time > now && time <= message.updated_at)
        };
        let call_in = move |message: &mut Message| message.retime(now, now);
        self.database.run(RETIME, move |tables| Ok(timed_anew(tables, asked, call_in, limit))).await
    }
}

/// Texts of one length, so that they are in order.
fn place(time: Timestamp, id: MessageId) -> Vec<String> {
    vec![format!("{:020}", time.timestamp_micros()), id.to_string()]
}

fn timed_anew(
    tables: &mut Tables,
    asked: impl Fn(&Tables, &Message) -> bool,
    change: impl Fn(&mut Message) -> Result<(), ForbiddenMove>,
    limit: u32,
) -> u64 {
    let queued = tables.open().filter(|message| message.status == MessageStatus::Queued);
    let timed: Vec<_> = queued.filter(|message| asked(tables, message)).map(|message| message.id).collect();
    let mut written = 0;
    for id in timed.into_iter().take(limit as usize) {
        written += u64::from(tables.write(id, RETIME, &change).is_some());
    }
    written
}

fn is_in_delivery(status: MessageStatus) -> bool {
    matches!(status, MessageStatus::Pending | MessageStatus::Processing)
}

/// Whether the message was one that `asked` wants and that waits for no time; then it is changed.
fn write(
    tables: &mut Tables,
    id: MessageId,
    asked: impl Fn(&Message) -> bool,
    writer: &'static str,
    change: impl FnOnce(&mut Message) -> Result<(), ForbiddenMove>,
) -> bool {
    let found = tables.messages.get(&id).is_some_and(|message| message.next_attempt_at.is_none() && asked(message));
    if found {
        tables.write(id, writer, change);
    }
    found
}

fn taken(tables: &mut Tables, take: &Take) -> Vec<Message> {
    let due: Vec<MessageId> = due(tables, take).into_iter().map(|(_, id)| id).collect();
    take_those(tables, &due, take.node, take.with_content, take.now)
}

/// What is due, and since when.
fn due(tables: &Tables, take: &Take) -> Vec<(Timestamp, MessageId)> {
    let held: BTreeSet<MessageId> = take.held.iter().copied().collect();
    let lost = lost(tables, take);
    let takes_early = tables.has(Bug::RelayTakesBeforeTheTime);
    let (mut timed, mut due) = (Vec::new(), Vec::new());
    for message in tables.open().filter(|message| !held.contains(&message.id)) {
        match message.next_attempt_at {
            Some(time) if time <= take.now || takes_early => timed.push((time, message.id)),
            Some(_) => {}
            None if is_due_untimed(tables, take, message) || lost.contains(&message.id) => {
                due.push((message.created_at, message.id));
            }
            None => {}
        }
    }
    if tables.has(Bug::RelayTakesCancelled) {
        let cancelled = tables.messages.values().filter(|message| message.status == MessageStatus::Cancelled);
        due.extend(cancelled.map(|message| (message.created_at, message.id)));
    }
    let (limit, limit_of_full) = (take.limit as usize, take.limit_of_full as usize);
    timed.sort();
    timed.truncate(limit + limit_of_full);
    let (of_full, others): (Vec<_>, Vec<_>) =
        timed.into_iter().partition(|(_, id)| take.full.contains(&tables.messages[id].instance_id));
    due.extend(others);
    due.sort();
    due.truncate(limit);
    due.extend(of_full.into_iter().take(limit_of_full));
    due.sort();
    due
}

fn is_due_untimed(tables: &Tables, take: &Take, message: &Message) -> bool {
    let Some(node) = message.node else { return true };
    let is_unknown = !tables.nodes.contains_key(&node);
    let is_gone = take.gone.contains(&node);
    is_unknown
        || match message.status {
            MessageStatus::Queued if is_gone && tables.has(Bug::RelayTakesWhatWaitsForSuccessors) => true,
            MessageStatus::Queued => take.unconsumed || (is_gone && !take.succeeded.contains(&node)),
            _ if is_gone => !(tables.has(Bug::SuccessorsKeepEverything) && take.succeeded.contains(&node)),
            MessageStatus::Processing if tables.has(Bug::RelayTakesProcessingOfLiveNodes) => true,
            MessageStatus::Pending if tables.has(Bug::DepartedKeepPending) => false,
            _ => take.departed.contains(&node),
        }
}

/// What was handed over before that moment has an id below its; of each node's, only the oldest are asked.
fn lost(tables: &Tables, take: &Take) -> BTreeSet<MessageId> {
    let Some(lost_before) = take.lost_before else { return BTreeSet::new() };
    let bound = MessageId(id_above(lost_before));
    let ahead = bound.max(MessageId(id_ahead(take.now)));
    let mut lost = BTreeSet::new();
    lost_among(tables.messages.range(..bound).map(|(_, message)| message), take, lost_before, &mut lost);
    lost_among(tables.messages.range(ahead..).map(|(_, message)| message), take, lost_before, &mut lost);
    lost
}

fn lost_among<'a>(
    messages: impl Iterator<Item = &'a Message>,
    take: &Take,
    lost_before: Timestamp,
    lost: &mut BTreeSet<MessageId>,
) {
    let mut asked: BTreeMap<NodeId, u32> = BTreeMap::new();
    for message in messages {
        let waits = message.status == MessageStatus::Queued && message.next_attempt_at.is_none();
        let Some(node) = message.node.filter(|_| waits) else { continue };
        let asked = asked.entry(node).or_default();
        *asked += 1;
        let is_nonsense = message.updated_at > tomorrow(take.now);
        if *asked <= ASKED_IF_LOST && (message.updated_at < lost_before || is_nonsense) {
            lost.insert(message.id);
        }
    }
}
