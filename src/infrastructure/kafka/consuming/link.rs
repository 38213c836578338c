use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use tracing::debug;

use crate::application::ports::Partition;

/// The consumer of the moment, for the application, which knows nothing of consumers that come and go.
pub struct Link<C: ConsumerContext> {
    topic: String,
    state: Mutex<State<C>>,
}

struct State<C: ConsumerContext> {
    /// None while there is none.
    consumer: Option<Arc<BaseConsumer<C>>>,
    /// By the application.
    paused: BTreeSet<Partition>,
    /// By ourselves.
    held: BTreeSet<Partition>,
}

impl<C: ConsumerContext> State<C> {
    fn of(consumer: Option<Arc<BaseConsumer<C>>>) -> Self {
        Self { consumer, paused: BTreeSet::new(), held: BTreeSet::new() }
    }
}

impl<C: ConsumerContext> Link<C> {
    pub fn new(topic: String) -> Self {
        Self { topic, state: Mutex::new(State::of(None)) }
    }

    pub fn topic(&self) -> &str {
        &self.topic
    }

    pub fn share(&self, consumer: Option<Arc<BaseConsumer<C>>>) {
        *self.state() = State::of(consumer);
    }

    pub fn pause(&self, partition: Partition) {
        let mut state = self.state();
        state.paused.insert(partition);
        self.with(&state, "not paused", partition, |consumer| consumer.pause(&self.only(partition)));
    }

    pub fn resume(&self, partition: Partition) {
        let mut state = self.state();
        state.paused.remove(&partition);
        self.resume_if_free(&state, partition);
    }

    /// Nothing is read from it until it is released, whatever the application asks for.
    pub fn hold(&self, partition: Partition) {
        let mut state = self.state();
        state.held.insert(partition);
        self.with(&state, "not held back", partition, |consumer| consumer.pause(&self.only(partition)));
    }

    pub fn release(&self, partition: Partition) {
        let mut state = self.state();
        state.held.remove(&partition);
        self.resume_if_free(&state, partition);
    }

    /// These have just been assigned: to librdkafka, which keeps a pause across a reassignment, and to the application, which
    /// does not, they are new.
    pub fn assigned(&self, partitions: &[Partition]) {
        let mut state = self.state();
        for partition in partitions {
            state.paused.remove(partition);
            state.held.remove(partition);
            self.resume_if_free(&state, *partition);
        }
    }

    /// Of these, the ones that may be read.
    pub fn free(&self, mut partitions: Vec<Partition>) -> Vec<Partition> {
        let state = self.state();
        partitions.retain(|partition| !state.paused.contains(partition) && !state.held.contains(partition));
        partitions
    }

    pub fn finished(&self, partition: Partition, offset: i64) {
        // It stores the offset after this one, which is where the group goes on.
        self.with(&self.state(), "not stored as finished", partition, |consumer| {
            consumer.store_offset(&self.topic, partition.0, offset)
        });
    }

    pub fn list(&self, partitions: &[Partition]) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, partition.0);
        }
        list
    }

    fn resume_if_free(&self, state: &State<C>, partition: Partition) {
        if !state.paused.contains(&partition) && !state.held.contains(&partition) {
            self.with(state, "not resumed", partition, |consumer| consumer.resume(&self.only(partition)));
        }
    }

    /// Without handing the consumer out: the thread alone may drop it, because that waits for the group.
    fn with(
        &self,
        state: &State<C>,
        what: &str,
        at: Partition,
        act: impl FnOnce(&BaseConsumer<C>) -> Result<(), KafkaError>,
    ) {
        let Some(consumer) = &state.consumer else { return };
        if let Err(error) = act(consumer) {
            // The partition was given up meanwhile: its next owner goes on from what is committed.
            debug!(target: "kafka", partition = at.0, %error, "{what}");
        }
    }

    fn only(&self, partition: Partition) -> TopicPartitionList {
        self.list(&[partition])
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
