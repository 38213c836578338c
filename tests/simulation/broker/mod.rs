//! Kafka, as far as the application can tell: partitions, one group, a producer and a source for each process; and what can
//! go wrong between them.

mod group;
mod member;
mod queue;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::Stop;
use correio::application::ports::*;
use correio::domain::Timestamp;
use correio::domain::message::{Message, MessageId};

use super::chronicle::Chronicle;
use super::scheduler::{OUTSIDE, ProcessId, Scheduler};
use member::Member;

pub use queue::SimQueue;
pub use source::SimSource;

pub const PARTITIONS: i32 = 3;
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);

/// How likely things are to go wrong, each time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    pub refused: f64,
    pub report_is_error: f64,
    pub error_although_appended: f64,
    /// The producer is told that it was kept, and it was not.
    pub dropped: f64,
    pub delayed: f64,
    pub repeated: f64,
    pub reordered: f64,
}

#[derive(Clone)]
pub struct SimBroker {
    scheduler: Scheduler,
    chronicle: Chronicle,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    trouble: Trouble,
    is_away: bool,
    /// The group gets nothing of what is kept.
    withholds: bool,
    partitions: BTreeMap<Partition, Vec<Stored>>,
    /// Where the group goes on.
    committed: BTreeMap<Partition, i64>,
    members: BTreeMap<ProcessId, Member>,
    owners: BTreeMap<Partition, ProcessId>,
    /// What did not arrive in the order in which it was handed over.
    disordered: BTreeSet<MessageId>,
    /// The dead letters, by message and try.
    letters: BTreeSet<(MessageId, u32)>,
    /// What was set aside as undeliverable, and why.
    set_aside: Vec<String>,
}

#[derive(Clone)]
struct Stored {
    key: Vec<u8>,
    call: DeliveryRequest,
    timestamp: Timestamp,
    /// No consumer sees it before.
    visible_at: Duration,
}

impl SimBroker {
    pub fn new(scheduler: Scheduler, chronicle: Chronicle) -> Self {
        let partitions = (0..PARTITIONS).map(|number| (Partition(number), Vec::new())).collect();
        let state = State { partitions, ..State::default() };
        let broker = Self { scheduler, chronicle, state: Arc::new(Mutex::new(state)) };
        let coordinator = broker.clone();
        broker.scheduler.spawn(OUTSIDE, Box::pin(async move { coordinator.coordinate().await }));
        broker
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn trouble(&self, trouble: Trouble) {
        self.state().trouble = trouble;
    }

    pub fn go_away(&self, is_away: bool) {
        self.state().is_away = is_away;
    }

    /// Records are kept, and no consumer gets any; or they get them again.
    pub fn withhold(&self, withholds: bool) {
        self.state().withholds = withholds;
    }

    /// Everything in the topic is gone, and what the group had committed.
    pub fn lose_topic(&self) {
        let mut state = self.state();
        state.partitions.values_mut().for_each(Vec::clear);
        state.committed.clear();
        for member in state.members.values_mut() {
            member.finished.clear();
            member.position.values_mut().for_each(|position| *position = 0);
        }
    }

    pub fn letters(&self) -> BTreeSet<(MessageId, u32)> {
        self.state().letters.clone()
    }

    pub fn set_aside(&self) -> Vec<String> {
        self.state().set_aside.clone()
    }

    pub fn disordered(&self) -> BTreeSet<MessageId> {
        self.state().disordered.clone()
    }

    fn append(&self, message: &Message) {
        let key = format!("{}:{}", message.instance_id.0, message.recipient).into_bytes();
        let sum: u32 = key.iter().map(|byte| u32::from(*byte)).sum();
        let partition = Partition((sum % PARTITIONS as u32) as i32);
        let call = DeliveryRequest {
            message_id: message.id,
            instance: message.instance_id,
            channel: message.channel.clone(),
            omits_content: false,
        };
        let now = self.scheduler.now();
        let delayed = self.state().trouble.delayed;
        let is_delayed = self.scheduler.chance(delayed);
        let delay = if is_delayed { self.scheduler.draw(|rng| rng.u64(0..8_000)) } else { 0 };
        let visible_at = now + Duration::from_millis(delay);
        let stored = Stored { key, call, timestamp: message.updated_at, visible_at };
        self.chronicle.say_of(message.id, now, format!("is kept by Kafka in {partition:?}"));
        self.state().partitions.entry(partition).or_default().push(stored);
    }

    /// What was handed over before this moment and is still queued is lost.
    fn lost_before(&self, now: Timestamp) -> Timestamp {
        let state = self.state();
        let horizon = state.partitions.iter().map(|(partition, records)| {
            let next = state.committed.get(partition).copied().unwrap_or(0);
            let unfinished = usize::try_from(next).ok().and_then(|next| records.get(next));
            unfinished.map_or(now, |record| record.timestamp)
        });
        horizon.min().unwrap_or(now) - (PUBLISH_TIMEOUT + Duration::from_secs(15))
    }
}

#[async_trait]
impl DeadLetterTopic for SimBroker {
    async fn put_message(&self, message: &Message) -> Result<(), QueueError> {
        self.scheduler.sleep(Duration::from_millis(5)).await;
        let trouble = self.state().trouble;
        if self.state().is_away || self.scheduler.chance(trouble.report_is_error) {
            return Err(QueueError("away".to_owned()));
        }
        self.state().letters.insert((message.id, message.try_number));
        if self.scheduler.chance(trouble.error_although_appended) {
            return Err(QueueError("no answer".to_owned()));
        }
        Ok(())
    }

    async fn put_record(&self, record: &Record, reason: &str) -> Result<(), QueueError> {
        // Nothing but ours is in the topic: whatever is set aside is a message that somebody lost.
        self.state().set_aside.push(format!("{:?} {reason}", record.content));
        Ok(())
    }
}

#[async_trait]
impl Broker for SimBroker {
    fn is_connected(&self) -> bool {
        !self.state().is_away
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
