use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::{error, info};

use crate::application::Stop;
use crate::application::ports::{Clock, DeletedInstances, GroupRepository, Position, RepositoryError};
use crate::application::service::Repeated;
use crate::domain::Timestamp;
use crate::domain::instance::{DELETED, InstanceId};
use crate::domain::message::MessageId;
use crate::domain::message::dead_letter::DeadLetterPolicy;

/// Fails what is open of the instances that were deleted, a portion at a time, and forgets the instances of which nothing
/// is.
///
/// Goes through the open messages again and again until it comes by none of an instance any more. It may do so too early:
/// what is accepted, replayed or moved meanwhile is passed over. Such a message is being dealt with, or has its time: its
/// delivery fails it in the same words. Several processes may do this at once; each fails what the others have not.
pub struct EmptyDeletedInstances {
    deleted: Arc<dyn DeletedInstances>,
    groups: Arc<dyn GroupRepository>,
    dead_letters: DeadLetterPolicy,
    clock: Arc<dyn Clock>,
    /// None: the next round begins one, if there is a reason.
    sweep: Option<Sweep>,
    resting: BTreeMap<InstanceId, Rest>,
    pause: Duration,
}

/// Of an instance whose messages cannot be failed now: others come first.
#[derive(Clone, Copy)]
struct Rest {
    until: Duration,
    pause: Duration,
}

/// A way through the open messages.
struct Sweep {
    instances: Vec<InstanceId>,
    /// Those of which something was open.
    with_messages: BTreeSet<InstanceId>,
    found: VecDeque<(InstanceId, MessageId)>,
    /// Of the next that were found, so many fail in a statement each: the database has refused them together.
    singly: usize,
    /// Those of which the database has refused something.
    refused: BTreeSet<InstanceId>,
    /// None: all were looked at.
    next: Option<Position>,
    failed: u64,
}

/// Pause between two looks for deleted instances: how long after its deletion an instance's messages begin to fail.
const INTERVAL: Duration = Duration::from_secs(1);

/// Instances that are emptied together.
const INSTANCES: u32 = 100;

/// Open messages, of whatever instance, that are looked at in one go.
const REACH: u32 = 20_000;

/// Messages that fail in one statement.
const PORTION: usize = 1_000;

/// Groups that are deleted in one statement, with who is in them.
const GROUPS: u32 = 10;

/// How long an instance rests whose messages could not be failed: at first, and at most. Its deliveries fail by themselves.
const FIRST_REST: Duration = Duration::from_secs(60);
const LONGEST_REST: Duration = Duration::from_secs(60 * 60);

impl EmptyDeletedInstances {
    pub fn new(
        deleted: Arc<dyn DeletedInstances>,
        groups: Arc<dyn GroupRepository>,
        dead_letters: DeadLetterPolicy,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { deleted, groups, dead_letters, clock, sweep: None, resting: BTreeMap::new(), pause: INTERVAL }
    }

    /// One statement.
    async fn step(&mut self) -> Result<(), RepositoryError> {
        let deleted = self.deleted.as_ref();
        let Some(sweep) = &mut self.sweep else {
            self.sweep = self.next_sweep().await?;
            return Ok(());
        };
        if !sweep.found.is_empty() {
            let now = self.clock.now();
            return sweep.fail_some(deleted, self.dead_letters.dead_lettered_at(now), now).await;
        }
        if let Some(position) = sweep.next.clone() {
            return sweep.look(deleted, &position).await;
        }
        // Each step is one statement: their groups go portion by portion, too.
        if self.groups.delete_of(&sweep.emptied(), GROUPS).await? == u64::from(GROUPS) {
            return Ok(());
        }
        sweep.end(deleted).await?;
        let (instances, stuck) = (std::mem::take(&mut sweep.instances), sweep.stuck());
        self.sweep = None;
        self.let_rest(&instances, &stuck);
        Ok(())
    }

    /// Through the messages of those that were deleted first, past those that rest.
    async fn next_sweep(&self) -> Result<Option<Sweep>, RepositoryError> {
        let now = self.clock.monotonic();
        let resting = u32::try_from(self.resting.len()).unwrap_or(u32::MAX);
        let mut instances = self.deleted.list(INSTANCES.saturating_add(resting)).await?;
        instances.retain(|instance| self.resting.get(instance).is_none_or(|rest| rest.until <= now));
        instances.truncate(INSTANCES as usize);
        Ok((!instances.is_empty()).then(|| Sweep::through(instances)))
    }

    /// Longer each time.
    fn let_rest(&mut self, swept: &[InstanceId], stuck: &BTreeSet<InstanceId>) {
        let now = self.clock.monotonic();
        for instance in swept {
            let last = self.resting.remove(instance);
            if stuck.contains(instance) {
                let pause = last.map_or(FIRST_REST, |rest| (2 * rest.pause).min(LONGEST_REST));
                self.resting.insert(*instance, Rest { until: now + pause, pause });
            }
        }
    }
}

impl Sweep {
    fn through(instances: Vec<InstanceId>) -> Self {
        let next = Some(Position::default());
        let (with_messages, refused) = (BTreeSet::new(), BTreeSet::new());
        Self { instances, with_messages, found: VecDeque::new(), singly: 0, refused, next, failed: 0 }
    }

    async fn look(&mut self, deleted: &dyn DeletedInstances, position: &Position) -> Result<(), RepositoryError> {
        let looked = deleted.open_messages(&self.instances, position, REACH).await?;
        for (instance, message) in looked.found {
            self.with_messages.insert(instance);
            self.found.push_back((instance, message));
        }
        self.next = looked.next;
        Ok(())
    }

    async fn fail_some(
        &mut self,
        deleted: &dyn DeletedInstances,
        dead_lettered_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), RepositoryError> {
        let portion = if self.singly > 0 { 1 } else { PORTION };
        let portion: Vec<MessageId> = self.found.iter().take(portion).map(|(_, message)| *message).collect();
        match deleted.fail(&self.instances, &portion, DELETED, dead_lettered_at, now).await {
            Ok(failed) => self.failed += failed,
            Err(error) if error.may_pass() => return Err(error),
            // What the database refuses must not keep the others from ending.
            Err(_) if portion.len() > 1 => {
                self.singly = portion.len();
                return Ok(());
            }
            Err(error) => {
                self.refused.extend(self.found.front().map(|(instance, _)| *instance));
                error!(message.id = ?portion.first().map(|id| id.0), %error, "a message of a deleted instance is left open");
            }
        }
        self.singly = self.singly.saturating_sub(portion.len());
        self.found.drain(..portion.len());
        Ok(())
    }

    /// Those whose messages are still open: the database has refused them, or something holds them all.
    fn stuck(&self) -> BTreeSet<InstanceId> {
        if self.failed == 0 { self.with_messages.clone() } else { self.refused.clone() }
    }

    fn emptied(&self) -> Vec<InstanceId> {
        let is_emptied = |id: &&InstanceId| !self.with_messages.contains(id);
        self.instances.iter().filter(is_emptied).copied().collect()
    }

    async fn end(&self, deleted: &dyn DeletedInstances) -> Result<(), RepositoryError> {
        let emptied = self.emptied();
        if !emptied.is_empty() {
            deleted.forget(&emptied).await?;
        }
        if self.failed > 0 {
            info!(messages = self.failed, "messages failed because their instances were deleted");
        }
        Ok(())
    }
}

#[async_trait]
impl Repeated for EmptyDeletedInstances {
    fn name(&self) -> &'static str {
        "deleted instances"
    }

    fn purpose(&self) -> &'static str {
        "fail the open messages of deleted instances"
    }

    /// It rests for as long as it worked, and so leaves at least half of the time, of a connection or of the only writer, to
    /// others.
    fn interval(&self) -> Duration {
        self.pause
    }

    fn interval_after_failure(&self) -> Duration {
        INTERVAL
    }

    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        let began = self.clock.monotonic();
        let done = self.step().await;
        let took = self.clock.monotonic().saturating_sub(began);
        self.pause = if self.sweep.is_some() { took.min(INTERVAL) } else { INTERVAL };
        done
    }
}
