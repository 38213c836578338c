use std::collections::HashSet;

use async_trait::async_trait;
use correio::application::ports::{Compose, RepositoryError, StatusChanges, Told};
use correio::domain::Timestamp;
use correio::domain::instance::InstanceId;
use correio::domain::message::{MessageId, MessageStatus};
use correio::domain::status_webhook::{Change, FanOut, ROOM, Snapshot, Subscriber, fan_out};

use super::database::MemoryDatabase;
use super::status_subscriptions::make_instance;
use super::tables::{Bug, Tables, Telling};

const TELL: &str = "changes.tell";

#[derive(Clone)]
pub struct MemoryStatusChanges {
    database: MemoryDatabase,
}

impl MemoryStatusChanges {
    pub fn new(database: MemoryDatabase) -> Self {
        Self { database }
    }
}

#[async_trait]
impl StatusChanges for MemoryStatusChanges {
    async fn tell(&self, compose: &Compose<'_>) -> Result<Told, RepositoryError> {
        let tell = |tables: &mut Tables| {
            note_endings(tables);
            let next = tell_next(tables, compose);
            let (noted, more) = tell_noted(tables, compose);
            Told { messages: next + noted, more }
        };
        self.database.run_now(TELL, |tables| Ok(tell(tables))).await
    }

    async fn note_missed(&self, before: Timestamp) -> Result<(), RepositoryError> {
        let note = |tables: &mut Tables| {
            let told = tables.tellings.values().filter_map(|telling| match telling {
                Telling::As(id) => Some(*id),
                Telling::Waits(_) | Telling::Next(_) => None,
            });
            let ended = told.filter(|id| match tables.messages.get(id) {
                Some(message) => !message.status.is_open() && message.created_at < before,
                None => true,
            });
            let ended: Vec<MessageId> = ended.collect();
            tables.endings.extend(ended);
            Ok(())
        };
        self.database.run_now("changes.note_missed", note).await
    }
}

fn note_endings(tables: &mut Tables) {
    let ended = std::mem::take(&mut tables.endings);
    let is_over = |telling: &Telling| matches!(telling, Telling::As(id) if ended.contains(id));
    let over: Vec<_> = tables.tellings.iter().filter(|(_, telling)| is_over(telling)).map(|(key, _)| *key).collect();
    for key in over {
        tables.tellings.remove(&key);
        let_next(tables, key);
    }
}

fn let_next(tables: &mut Tables, (message, subscription, _): (MessageId, InstanceId, i64)) {
    let mut rest = tables.tellings.range_mut((message, subscription, 0)..=(message, subscription, i64::MAX));
    if let Some((_, first)) = rest.next()
        && let Telling::Waits(snapshot) = first
    {
        *first = Telling::Next(snapshot.clone());
    }
}

/// The change, if its message is there.
fn change(tables: &Tables, seq: i64, id: MessageId, snapshot: Snapshot, to: Option<InstanceId>) -> Option<Change> {
    let message = tables.messages.get(&id)?.clone();
    Some(Change { seq, message: snapshot.applied_to(message), told_to: to })
}

fn tell_next(tables: &mut Tables, compose: &Compose<'_>) -> usize {
    let next = tables.tellings.iter().filter_map(|(key, telling)| match telling {
        Telling::Next(snapshot) => Some((*key, snapshot.clone())),
        Telling::As(_) | Telling::Waits(_) => None,
    });
    let mut told = 0;
    for (key, snapshot) in next.collect::<Vec<_>>() {
        let (id, subscription, seq) = key;
        let to = tables.status_subscriptions.get(&subscription).map(Subscriber::from);
        let change = change(tables, seq, id, snapshot, Some(subscription));
        let Some((change, to)) = change.zip(to) else {
            tables.tellings.remove(&key);
            let_next(tables, key);
            continue;
        };
        make_instance_if_gone(tables, subscription);
        let message = compose(&change, &to);
        tables.tellings.insert(key, Telling::As(message.id));
        tables.insert(message, TELL);
        told += 1;
    }
    told
}

fn make_instance_if_gone(tables: &mut Tables, id: InstanceId) {
    if !tables.instances.contains_key(&id) {
        make_instance(tables, id);
    }
}

fn tell_noted(tables: &mut Tables, compose: &Compose<'_>) -> (usize, bool) {
    let noted: Vec<_> = tables.status_changes.iter().map(|(seq, noted)| (*seq, noted.clone())).collect();
    let changes: Vec<Change> =
        noted.iter().filter_map(|(seq, (id, then, to))| change(tables, *seq, *id, then.clone(), *to)).collect();
    let there: HashSet<i64> = changes.iter().map(|change| change.seq).collect();
    tables.status_changes.retain(|seq, _| there.contains(seq));
    let subscribers: Vec<Subscriber> = tables.status_subscriptions.values().map(Subscriber::from).collect();
    let busy = match tables.has(Bug::TellsAllAtOnce) {
        true => HashSet::new(),
        false => tables.tellings.keys().map(|(message, subscription, _)| (*subscription, *message)).collect(),
    };
    let FanOut { tellings, done, begun } = fan_out(&changes, &subscribers, busy, ROOM);
    let mut told = 0;
    for telling in &tellings {
        let key = (telling.change.message.id, telling.to.id, telling.change.seq);
        if telling.waits && !tables.has(Bug::TellsAllAtOnce) {
            tables.tellings.insert(key, Telling::Waits(Snapshot::of(&telling.change.message)));
            continue;
        }
        make_instance_if_gone(tables, telling.to.id);
        let message = compose(telling.change, telling.to);
        tables.tellings.insert(key, Telling::As(message.id));
        assert_eq!(message.status, MessageStatus::Queued);
        tables.insert(message, TELL);
        told += 1;
    }
    let more = done.len() < changes.len();
    for seq in done {
        tables.status_changes.remove(&seq);
    }
    if let Some((seq, to)) = begun
        && let Some(noted) = tables.status_changes.get_mut(&seq)
    {
        noted.2 = Some(to);
    }
    (told, more)
}
