//! Kafka, as far as the application can tell: partitions, one group, a producer and a source for each process; and what can
//! go wrong between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::*;
use correio::application::unsettled::Unsettled;
use correio::domain::Timestamp;
use correio::domain::message::{Message, MessageStatus};
use futures::channel::oneshot;

use super::scheduler::{OUTSIDE, ProcessId, Scheduler};

pub const PARTITIONS: i32 = 3;
pub const PUBLISH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a member may be silent.
const SESSION: Duration = Duration::from_secs(10);
/// How long a partition that is given up waits for what was claimed from it.
const SETTLE: Duration = Duration::from_secs(60);

/// How likely things are to go wrong, each time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trouble {
    pub refused: f64,
    pub report_is_error: f64,
    pub error_although_appended: f64,
    pub repeated: f64,
    pub reordered: f64,
}

#[derive(Clone)]
pub struct SimBroker {
    scheduler: Scheduler,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    trouble: Trouble,
    is_away: bool,
    partitions: BTreeMap<Partition, Vec<Stored>>,
    /// Where the group goes on.
    committed: BTreeMap<Partition, i64>,
    members: BTreeMap<ProcessId, Member>,
    owners: BTreeMap<Partition, ProcessId>,
}

#[derive(Clone)]
struct Stored {
    key: Vec<u8>,
    call: Call,
    timestamp: Timestamp,
}

#[derive(Default)]
struct Member {
    events: VecDeque<Arrival>,
    position: BTreeMap<Partition, i64>,
    paused: BTreeSet<Partition>,
    finished: BTreeMap<Partition, i64>,
    is_closing: bool,
}

impl SimBroker {
    pub fn new(scheduler: Scheduler) -> Self {
        let partitions = (0..PARTITIONS).map(|number| (Partition(number), Vec::new())).collect();
        let state = State { partitions, ..State::default() };
        let broker = Self { scheduler, state: Arc::new(Mutex::new(state)) };
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

    /// Moves a partition to another member, if there is one.
    pub fn rebalance(&self) {
        let members: Vec<ProcessId> = self.state().members.keys().copied().collect();
        if members.len() < 2 {
            return;
        }
        let partition = Partition(self.scheduler.draw(|rng| rng.i32(0..PARTITIONS)));
        let to = members[self.scheduler.draw(|rng| rng.usize(0..members.len()))];
        let broker = self.clone();
        self.scheduler.spawn(OUTSIDE, Box::pin(async move { broker.hand(partition, to).await }));
    }

    /// Gives each partition an owner that lives, and commits what is finished.
    async fn coordinate(&self) {
        let mut silent_since: BTreeMap<ProcessId, Duration> = BTreeMap::new();
        loop {
            self.scheduler.sleep(Duration::from_secs(1)).await;
            if self.state().is_away {
                continue;
            }
            let now = self.scheduler.now();
            let members: Vec<ProcessId> = self.state().members.keys().copied().collect();
            for member in &members {
                if self.scheduler.is_frozen(*member) {
                    let since = *silent_since.entry(*member).or_insert(now);
                    if now.saturating_sub(since) >= SESSION {
                        self.expel(*member);
                    }
                } else {
                    silent_since.remove(member);
                    self.commit(*member);
                }
            }
            let is_leaving =
                |member: &ProcessId| self.state().members.get(member).is_none_or(|member| member.is_closing);
            let may_have = |member: &ProcessId| !self.scheduler.is_frozen(*member) && !is_leaving(member);
            let live: Vec<ProcessId> = members.into_iter().filter(may_have).collect();
            for number in 0..PARTITIONS {
                let partition = Partition(number);
                let owner = self.state().owners.get(&partition).copied();
                let is_owned = owner.is_some_and(|owner| self.state().members.contains_key(&owner));
                if !is_owned && let Some(to) = live.get(number as usize % live.len().max(1)) {
                    self.hand(partition, *to).await;
                }
            }
        }
    }

    fn commit(&self, process: ProcessId) {
        let mut state = self.state();
        let state = &mut *state;
        let Some(member) = state.members.get(&process) else { return };
        for (partition, next) in &member.finished {
            if state.owners.get(partition) == Some(&process) {
                state.committed.insert(*partition, *next);
            }
        }
    }

    /// Asks the owner to give it up, waits for that, and gives it to somebody else.
    async fn hand(&self, partition: Partition, to: ProcessId) {
        let owner = self.state().owners.get(&partition).copied();
        if owner == Some(to) {
            return;
        }
        if let Some(owner) = owner {
            let (settled, settling) = oneshot::channel();
            let is_asked = match self.state().members.get_mut(&owner) {
                Some(member) => {
                    member.position.remove(&partition);
                    member.events.push_back(Arrival::GivenUp { partitions: vec![partition], settled });
                    true
                }
                None => false,
            };
            if is_asked {
                let patience = self.scheduler.sleep(SETTLE);
                futures::future::select(settling, Box::pin(patience)).await;
                self.commit(owner);
            }
        }
        let mut state = self.state();
        let state = &mut *state;
        // Somebody else may have been quicker, or the new one may have died.
        if state.owners.get(&partition).copied() != owner {
            return;
        }
        state.owners.remove(&partition);
        let Some(member) = state.members.get_mut(&to).filter(|member| !member.is_closing) else { return };
        state.owners.insert(partition, to);
        member.finished.remove(&partition);
        member.paused.remove(&partition);
        member.position.insert(partition, state.committed.get(&partition).copied().unwrap_or(0));
        member.events.push_back(Arrival::Assigned(vec![partition]));
    }

    /// The group goes on without this member, which learns of it when it looks.
    fn expel(&self, process: ProcessId) {
        let mut state = self.state();
        let state = &mut *state;
        let lost: Vec<Partition> =
            state.owners.iter().filter(|(_, owner)| **owner == process).map(|(partition, _)| *partition).collect();
        state.owners.retain(|_, owner| *owner != process);
        if let Some(member) = state.members.get_mut(&process)
            && !lost.is_empty()
        {
            for partition in &lost {
                member.position.remove(partition);
            }
            let (settled, _) = oneshot::channel();
            member.events.push_back(Arrival::GivenUp { partitions: lost, settled });
        }
    }

    /// The process is dead; the group notices after a while.
    pub fn forget(&self, process: ProcessId) {
        let broker = self.clone();
        let scheduler = self.scheduler.clone();
        self.scheduler.spawn(
            OUTSIDE,
            Box::pin(async move {
                scheduler.sleep(SESSION).await;
                let mut state = broker.state();
                state.members.remove(&process);
                state.owners.retain(|_, owner| *owner != process);
            }),
        );
    }

    fn append(&self, message: &Message) {
        let key = format!("{}:{}", message.instance_id.0, message.recipient).into_bytes();
        let sum: u32 = key.iter().map(|byte| u32::from(*byte)).sum();
        let partition = Partition((sum % PARTITIONS as u32) as i32);
        let call = Call { message_id: message.id, channel: message.channel.clone() };
        let stored = Stored { key, call, timestamp: message.updated_at };
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

/// A process's producer.
pub struct SimQueue {
    broker: SimBroker,
    clock: Arc<dyn Clock>,
    unsettled: Unsettled,
    /// In the process's memory, in order.
    waiting: Arc<Mutex<VecDeque<(Message, Duration)>>>,
}

impl SimQueue {
    pub fn new(broker: &SimBroker, process: ProcessId, clock: Arc<dyn Clock>, unsettled: Unsettled) -> Arc<Self> {
        let queue = Arc::new(Self { broker: broker.clone(), clock, unsettled, waiting: Arc::default() });
        let pump = queue.clone();
        broker.scheduler.spawn(process, Box::pin(async move { pump.publish().await }));
        queue
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Message, Duration)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn publish(&self) {
        let scheduler = &self.broker.scheduler;
        loop {
            let pause = scheduler.between(Duration::from_millis(1), Duration::from_millis(20));
            scheduler.sleep(pause).await;
            let trouble = self.broker.state().trouble;
            let is_away = self.broker.state().is_away;
            let now = scheduler.now();
            loop {
                let is_late = |since: Duration| now.saturating_sub(since) >= PUBLISH_TIMEOUT;
                let reorder = scheduler.chance(trouble.reordered);
                let next = {
                    let mut waiting = self.waiting();
                    match waiting.front() {
                        None => break,
                        Some((_, since)) if is_away && !is_late(*since) => break,
                        Some(_) if reorder => waiting.pop_back(),
                        Some(_) => waiting.pop_front(),
                    }
                };
                let Some((message, _)) = next else { break };
                self.settle(&message, trouble, is_away);
            }
        }
    }

    fn settle(&self, message: &Message, trouble: Trouble, is_away: bool) {
        let scheduler = &self.broker.scheduler;
        let failed = || {
            if let Some(node) = message.node {
                self.unsettled.not_handed_over(message.id, node);
            }
        };
        if is_away || scheduler.chance(trouble.report_is_error) {
            return failed();
        }
        self.broker.append(message);
        if scheduler.chance(trouble.repeated) {
            self.broker.append(message);
        }
        if scheduler.chance(trouble.error_although_appended) {
            failed();
        }
    }
}

#[async_trait]
impl MessageQueue for SimQueue {
    fn waiting_status(&self) -> MessageStatus {
        MessageStatus::Queued
    }

    fn keeping(&self) -> Keeping {
        Keeping::Shared
    }

    fn room(&self) -> usize {
        if self.broker.state().is_away { 0 } else { 100 }
    }

    async fn hand_over(&self, message: &Message) -> Result<Handover, QueueError> {
        let refused = self.broker.state().trouble.refused;
        if self.broker.scheduler.chance(refused) {
            return Err(QueueError("refused".to_owned()));
        }
        let since = self.broker.scheduler.now();
        self.waiting().push_back((message.clone(), since));
        Ok(Handover::Queued)
    }

    fn lost_before(&self) -> Option<Timestamp> {
        Some(self.broker.lost_before(self.clock.now()))
    }

    async fn close(&self) {
        while !self.waiting().is_empty() {
            self.broker.scheduler.sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A process's member of the group.
pub struct SimSource {
    broker: SimBroker,
    process: ProcessId,
}

impl SimSource {
    pub fn new(broker: &SimBroker, process: ProcessId) -> Arc<Self> {
        broker.state().members.insert(process, Member::default());
        Arc::new(Self { broker: broker.clone(), process })
    }

    fn take(&self) -> Option<Arrival> {
        let mut state = self.broker.state();
        let state = &mut *state;
        let is_away = state.is_away;
        let member = state.members.get_mut(&self.process)?;
        if let Some(event) = member.events.pop_front() {
            return Some(event);
        }
        if is_away {
            return None;
        }
        for (partition, position) in &mut member.position {
            if member.paused.contains(partition) {
                continue;
            }
            let records = state.partitions.get(partition)?;
            let Some(stored) = usize::try_from(*position).ok().and_then(|index| records.get(index)) else { continue };
            let offset = *position;
            *position += 1;
            return Some(Arrival::Record(Record {
                partition: *partition,
                offset,
                key: Some(stored.key.clone()),
                value: None,
                content: Ok(stored.call.clone()),
            }));
        }
        None
    }

    fn member(&self, change: impl FnOnce(&mut Member)) {
        if let Some(member) = self.broker.state().members.get_mut(&self.process) {
            change(member);
        }
    }
}

#[async_trait]
impl MessageSource for SimSource {
    async fn next(&self) -> Arrival {
        loop {
            if let Some(arrival) = self.take() {
                self.broker.scheduler.pass().await;
                return arrival;
            }
            self.broker.scheduler.sleep(Duration::from_millis(20)).await;
        }
    }

    fn pause(&self, partition: Partition) {
        self.member(|member| _ = member.paused.insert(partition));
    }

    fn resume(&self, partition: Partition) {
        self.member(|member| _ = member.paused.remove(&partition));
    }

    fn finished(&self, partition: Partition, offset: i64) {
        self.member(|member| {
            if member.position.contains_key(&partition) {
                member.finished.insert(partition, offset + 1);
            }
        });
    }

    fn has_joined(&self) -> bool {
        true
    }

    fn close(&self) {
        let broker = self.broker.clone();
        let process = self.process;
        self.member(|member| member.is_closing = true);
        self.broker.scheduler.spawn(
            OUTSIDE,
            Box::pin(async move {
                for number in 0..PARTITIONS {
                    let owner = broker.state().owners.get(&Partition(number)).copied();
                    if owner == Some(process) {
                        broker.hand(Partition(number), OUTSIDE).await;
                    }
                }
                if let Some(member) = broker.state().members.get_mut(&process) {
                    member.events.push_back(Arrival::Closed);
                }
            }),
        );
    }
}

#[async_trait]
impl DeadLetterTopic for SimBroker {
    async fn put_message(&self, _: &Message) -> Result<(), QueueError> {
        self.scheduler.sleep(Duration::from_millis(5)).await;
        if self.state().is_away { Err(QueueError("away".to_owned())) } else { Ok(()) }
    }

    async fn put_record(&self, _: &Record, _: &str) -> Result<(), QueueError> {
        Ok(())
    }
}
