//! A broker in memory, with one consumer, that does what its test says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use correio::application::Stop;
use correio::application::ports::*;
use correio::domain::Timestamp;
use correio::domain::message::{Message, MessageId, MessageStatus};
use futures::channel::oneshot;
use tokio::sync::Notify;

#[derive(Default)]
pub struct MemoryBroker {
    state: Mutex<State>,
    changed: Notify,
    refuses: AtomicBool,
    refuses_dead_letters: AtomicBool,
    kept_out: Mutex<Option<KeptOut>>,
}

#[derive(Default)]
struct State {
    partitions: BTreeMap<Partition, Vec<Record>>,
    assigned: BTreeSet<Partition>,
    paused: BTreeSet<Partition>,
    position: BTreeMap<Partition, i64>,
    /// The last offset that is finished.
    finished: BTreeMap<Partition, i64>,
    events: VecDeque<Arrival>,
    /// The consumer closes, and what it has begun is waited for.
    leaving: Option<oneshot::Receiver<()>>,
    letters: Vec<Letter>,
    /// Dead letters to this recipient are refused.
    refused_recipient: Option<String>,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub message_id: Option<MessageId>,
    pub error: String,
}

impl MemoryBroker {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock().unwrap());
        self.changed.notify_one();
        changed
    }

    /// What is handed over from now on is refused, or taken again.
    pub fn refuse(&self, refuse: bool) {
        self.refuses.store(refuse, Ordering::SeqCst);
    }

    pub fn refuse_dead_letters(&self, refuse: bool) {
        self.refuses_dead_letters.store(refuse, Ordering::SeqCst);
    }

    /// Only those to this recipient, from now on.
    pub fn refuse_dead_letters_to(&self, recipient: &str) {
        self.change(|state| state.refused_recipient = Some(recipient.to_owned()));
    }

    /// The group lets the consumer in, or not.
    pub fn keep_out(&self, kept_out: Option<KeptOut>) {
        *self.kept_out.lock().unwrap() = kept_out;
    }

    /// The consumer gets these partitions, and goes on after what is finished.
    pub fn assign(&self, partitions: &[Partition]) {
        self.change(|state| {
            for partition in partitions {
                state.assigned.insert(*partition);
                let next = state.finished.get(partition).map_or(0, |last| last + 1);
                state.position.insert(*partition, next);
                state.paused.remove(partition);
            }
            state.events.push_back(Arrival::Assigned(partitions.to_vec()));
        });
    }

    /// Asks for these partitions back; told when they have drained.
    pub fn take_back(&self, partitions: &[Partition]) -> oneshot::Receiver<()> {
        let (drained, told) = oneshot::channel();
        self.change(|state| {
            state.assigned.retain(|it| !partitions.contains(it));
            state.events.push_back(Arrival::GivenUp { partitions: partitions.to_vec(), drained });
        });
        told
    }

    pub fn append(&self, partition: Partition, key: &[u8], content: Result<DeliveryRequest, String>) {
        self.change(|state| {
            let records = state.partitions.entry(partition).or_default();
            let offset = i64::try_from(records.len()).unwrap();
            let value = content.as_ref().err().map(|_| b"not ours".to_vec());
            records.push(Record { partition, offset, key: Some(key.to_vec()), value, content });
        });
    }

    pub fn append_message(&self, partition: Partition, message: &Message) {
        let key = format!("{}:{}", message.instance_id.0, message.recipient);
        let call = DeliveryRequest {
            message_id: message.id,
            instance: message.instance_id,
            channel: message.channel.clone(),
            omits_content: false,
        };
        self.append(partition, key.as_bytes(), Ok(call));
    }

    pub fn finished(&self, partition: Partition) -> Option<i64> {
        self.state.lock().unwrap().finished.get(&partition).copied()
    }

    pub fn is_paused(&self, partition: Partition) -> bool {
        self.state.lock().unwrap().paused.contains(&partition)
    }

    pub fn letters(&self) -> Vec<Letter> {
        self.state.lock().unwrap().letters.clone()
    }
}

impl State {
    fn next(&mut self) -> Option<Arrival> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        for partition in &self.assigned {
            if self.paused.contains(partition) {
                continue;
            }
            let position = self.position.entry(*partition).or_default();
            let index = usize::try_from(*position).unwrap();
            if let Some(record) = self.partitions.get(partition).and_then(|records| records.get(index)) {
                *position += 1;
                return Some(Arrival::Record(record.clone()));
            }
        }
        None
    }
}

#[async_trait]
impl MessageSource for MemoryBroker {
    async fn next(&self) -> Arrival {
        loop {
            let changed = self.changed.notified();
            let leaving = {
                let mut state = self.state.lock().unwrap();
                if let Some(arrival) = state.next() {
                    return arrival;
                }
                state.leaving.take()
            };
            if let Some(drained) = leaving {
                // Like a group, though with endless patience. A consumer that has gone drains nothing.
                let _ = drained.await;
                return Arrival::Closed;
            }
            changed.await;
        }
    }

    fn pause(&self, partition: Partition) {
        self.change(|state| state.paused.insert(partition));
    }

    fn resume(&self, partition: Partition) {
        self.change(|state| state.paused.remove(&partition));
    }

    fn finished(&self, partition: Partition, offset: i64) {
        self.change(|state| state.finished.insert(partition, offset));
    }

    fn has_joined(&self) -> bool {
        self.kept_out.lock().unwrap().is_none()
    }

    fn kept_out(&self) -> Option<KeptOut> {
        self.kept_out.lock().unwrap().clone()
    }

    fn close(&self) {
        let partitions: Vec<Partition> = self.state.lock().unwrap().assigned.iter().copied().collect();
        let drained = self.take_back(&partitions);
        self.change(|state| state.leaving = Some(drained));
    }
}

#[async_trait]
impl MessageQueue for MemoryBroker {
    fn waiting_status(&self) -> MessageStatus {
        MessageStatus::Queued
    }

    fn scope(&self) -> QueueScope {
        QueueScope::Shared
    }

    fn free_capacity(&self) -> usize {
        if self.refuses.load(Ordering::SeqCst) { 0 } else { 1_000 }
    }

    async fn hand_over(&self, message: &Message) -> Result<Handover, QueueError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(QueueError("told to refuse".to_owned()));
        }
        self.append_message(Partition(0), message);
        Ok(Handover::Queued)
    }

    fn lost_before(&self) -> Option<Timestamp> {
        None
    }

    async fn close(&self) {}
}

#[async_trait]
impl DeadLetterTopic for MemoryBroker {
    async fn put_message(&self, message: &Message) -> Result<(), QueueError> {
        let error = message.error.clone().unwrap_or_default();
        if self.change(|state| state.refused_recipient.as_ref() == Some(&message.recipient)) {
            return Err(QueueError("told to refuse".to_owned()));
        }
        self.put(Letter { message_id: Some(message.id), error })
    }

    async fn put_record(&self, record: &Record, reason: &str) -> Result<(), QueueError> {
        let message_id = record.content.as_ref().ok().map(|call| call.message_id);
        self.put(Letter { message_id, error: reason.to_owned() })
    }
}

impl MemoryBroker {
    fn put(&self, letter: Letter) -> Result<(), QueueError> {
        if self.refuses_dead_letters.load(Ordering::SeqCst) {
            return Err(QueueError("told to refuse".to_owned()));
        }
        self.change(|state| state.letters.push(letter));
        Ok(())
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    fn is_connected(&self) -> bool {
        true
    }

    fn addresses(&self) -> Vec<String> {
        Vec::new()
    }

    fn troubles(&self) -> Vec<String> {
        Vec::new()
    }

    fn names_nothing(&self, _: MessageId) {}

    async fn prepare(&self) {}

    async fn keep(&self, stop: Stop) {
        stop.await;
    }
}
