//! Our place in the group: which partitions are ours, and how they come and go.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use futures::channel::oneshot;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use serde::Deserialize;
use tracing::{debug, info, warn};

use super::added_partitions::AddedPartitions;
use super::arrivals::{Arrivals, LOOK};
use super::group::{GroupSettings, GroupState};
use super::link::Link;
use super::standing::Standing;
use super::standstill::Reading;
use crate::application::ports::Partition;
use crate::infrastructure::kafka::client::{About, Connection};
use crate::infrastructure::kafka::progress::{Positions, Snapshot};

/// A consumer that is a member of the group.
pub type Consumer = BaseConsumer<Membership>;

/// Runs on the thread that polls the consumer. librdkafka waits for it with everything that concerns the group, while
/// heartbeats go on.
#[derive(Clone)]
pub struct Membership {
    /// Of partitions that are given up, each waits for what was claimed from it, for as long as this says. Its next owner delivers
    /// later messages to the same recipients: one that is still being delivered here would be overtaken.
    pub arrivals: Arrivals,
    pub standing: Arc<Standing>,
    pub connection: Arc<Connection>,
    pub group: GroupSettings,
    pub link: Arc<Link<Membership>>,
    pub partitions: Arc<Mutex<BTreeSet<Partition>>>,
    pub added: Arc<Mutex<AddedPartitions>>,
    /// Asked over another connection.
    pub positions: Positions,
    /// What the coordinator has answered since this process was last a member.
    pub refusal: Arc<Mutex<Option<RDKafkaErrorCode>>>,
}

#[derive(Deserialize)]
struct Statistics {
    cgrp: Option<GroupState>,
}

impl Membership {
    /// librdkafka tries again by itself; what the group says shows in why this process is not a member.
    pub fn refused(&self, error: &KafkaError) {
        if let KafkaError::MessageConsumption(code) = error
            && is_of_the_broker(*code)
        {
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(*code);
        }
    }

    /// The consumer cannot go on: as long as its followers meet the same, nothing else says why.
    pub fn refused_for_good(&self, code: RDKafkaErrorCode) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
        self.standing.set_joined(false);
        self.is_kept_out(self.group.refusal(code));
    }

    fn is_kept_out(&self, reason: String) {
        self.connection.troubles().found(About::Membership, reason.clone());
        self.standing.set_kept_out(Some(reason));
    }

    /// Says whether this process is a member, and if not, why.
    fn look(&self, group: &GroupState) {
        let troubles = self.connection.troubles();
        if group.is_member() {
            *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        let refusal = *self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counts) = group.counts_in(refusal.is_some()) {
            self.standing.set_joined(counts);
        }
        // A member reads nothing all the same; librdkafka says that once for a partition.
        if group.is_member() && self.positions.is_forbidden() && self.connection.is_connected() {
            self.standing.set_joined(false);
            return self.is_kept_out(self.group.refusal(RDKafkaErrorCode::TopicAuthorizationFailed));
        }
        // That Kafka is away is said elsewhere.
        if self.standing.has_joined() || !self.connection.is_connected() {
            self.standing.set_kept_out(None);
            return troubles.over(&About::Membership);
        }
        self.is_kept_out(self.group.reason(group, refusal));
    }

    /// Releases added partitions whose time has come.
    pub fn release_added(&self, consumer: &Consumer, snapshot: &Snapshot) {
        let troubles = self.connection.troubles();
        match self.added().look(consumer, &self.link, snapshot) {
            Some(sentence) => troubles.found(About::AddedPartitions, sentence),
            None => troubles.over(&About::AddedPartitions),
        }
    }

    /// Of the partitions that may be read, where each is and where it ends.
    pub fn readings(&self, consumer: &Consumer, snapshot: &Snapshot) -> Result<Vec<Reading>, KafkaError> {
        let positions = consumer.position()?;
        let free = self.link.free(self.assigned());
        let reading = |partition: Partition| {
            let known = snapshot.partitions.get(&partition).filter(|known| known.has_unread)?;
            let position = positions.find_partition(self.link.topic(), partition.0)?;
            let next = match position.offset() {
                Offset::Offset(offset) => offset,
                // Nothing was read yet.
                _ => known.next(),
            };
            Some(Reading { partition, next, end: known.high })
        };
        Ok(free.into_iter().filter_map(reading).collect())
    }

    fn assigned(&self) -> Vec<Partition> {
        self.ours().iter().copied().collect()
    }

    fn added(&self) -> MutexGuard<'_, AddedPartitions> {
        self.added.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn has_partitions(&self) -> bool {
        !self.ours().is_empty()
    }

    /// Whatever librdkafka did not ask for when its consumer ended.
    pub fn give_up_everything(&self) {
        self.give_up(self.assigned());
        self.standing.set_joined(false);
    }

    /// Waits until what was claimed is finished.
    fn give_up(&self, partitions: Vec<Partition>) {
        self.ours().retain(|partition| !partitions.contains(partition));
        self.added().given_up(&partitions);
        if partitions.is_empty() {
            return;
        }
        let (drained, mut draining) = oneshot::channel();
        let given_up = partitions.len();
        self.arrivals.given_up(partitions, drained);
        let end = Instant::now() + self.arrivals.drain_timeout();
        while let Ok(None) = draining.try_recv() {
            if Instant::now() >= end {
                return warn!(target: "kafka", given_up, "partitions are given up before all their messages are finished");
            }
            thread::sleep(LOOK);
        }
    }

    fn commit(&self, consumer: &Consumer) {
        // What was lost may have another owner by now, which commits for it.
        if consumer.assignment_lost() {
            return info!(target: "kafka", "the group went on without this process");
        }
        // It would wait for a coordinator for as long as a session lasts; a process that ends has no time for that.
        if !self.connection.is_connected() {
            return info!(target: "kafka", "Kafka is away: what was finished most recently will be read again");
        }
        match consumer.commit_consumer_state(CommitMode::Sync) {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                warn!(target: "kafka", %error, "the offsets of finished records were not committed; these records will be read again")
            }
        }
    }

    fn ours(&self) -> MutexGuard<'_, BTreeSet<Partition>> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConsumerContext for Membership {
    fn pre_rebalance(&self, consumer: &Consumer, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(list) => {
                if consumer.assignment_lost() {
                    self.standing.set_joined(false);
                }
                let partitions = partitions(list);
                debug!(target: "kafka", ?partitions, "giving up");
                self.give_up(partitions);
                self.commit(consumer);
            }
            Rebalance::Error(error) => warn!(target: "kafka", %error, "a rebalance failed"),
            Rebalance::Assign(_) => {}
        }
    }

    fn post_rebalance(&self, consumer: &Consumer, rebalance: &Rebalance<'_>) {
        let Rebalance::Assign(list) = rebalance else { return };
        self.standing.set_joined(true);
        let partitions = partitions(list);
        debug!(target: "kafka", ?partitions, "assigned");
        if partitions.is_empty() {
            return;
        }
        self.link.assigned(&partitions);
        self.added().assigned(consumer, &self.link, &partitions);
        self.ours().extend(&partitions);
        self.arrivals.assigned(partitions);
    }

    fn commit_callback(&self, result: Result<(), KafkaError>, _offsets: &TopicPartitionList) {
        match result {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            // It is repeated with the next.
            Err(error) => debug!(target: "kafka", %error, "a commit failed"),
        }
    }
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.connection.log("consumer", level, facility, line);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        let statistics = serde_json::from_slice::<Statistics>(statistics).ok();
        if let Some(group) = statistics.and_then(|statistics| statistics.cgrp) {
            self.look(&group);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.connection.error("consumer", &error, reason);
    }
}

/// What librdkafka says by itself is no refusal, nor that a topic is not there yet.
fn is_of_the_broker(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::UnknownTopicOrPartition;
    (code as i32) > 0 && code != UnknownTopicOrPartition
}

fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    list.elements().iter().map(|element| Partition(element.partition())).collect()
}
