use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::lock::Mutex as AsyncMutex;
use tracing::debug;

use super::noted_receipts::NotedReceipts;
use super::stuck_rule::StuckRule;
use crate::application::ports::{Clock, RepositoryError, StuckMessages};
use crate::domain::Timestamp;
use crate::domain::instance::{Instance, InstanceId};
use crate::domain::receipt::StuckOfInstance;

/// How long a count is good for, at the least: any client may ask as often as it likes.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// A count that takes long is good for longer: so many times what it took.
const PATIENCE: u32 = 20;

/// Counts the messages that are stuck, once in a second at most, however many callers ask.
pub struct CountStuck {
    stuck: Arc<dyn StuckMessages>,
    rule: StuckRule,
    noted: NotedReceipts,
    clock: Arc<dyn Clock>,
    last: Mutex<Option<Counted>>,
    /// Held while messages are counted.
    counting: AsyncMutex<()>,
}

#[derive(Clone)]
struct Counted {
    counts: Option<StuckCounts>,
    /// By the monotonic clock.
    good_until: Duration,
}

/// What is stuck, of each instance that has anything stuck.
#[derive(Clone, Debug, Default)]
pub struct StuckCounts(Arc<HashMap<InstanceId, StuckOfInstance>>);

impl StuckCounts {
    /// How many messages of all instances.
    pub fn total(&self) -> u64 {
        self.0.values().map(|stuck| stuck.count).sum()
    }

    pub fn of(&self, instance: InstanceId) -> StuckOfInstance {
        let none = StuckOfInstance { instance, count: 0, none_since: None };
        self.0.get(&instance).copied().unwrap_or(none)
    }
}

impl CountStuck {
    pub fn new(stuck: Arc<dyn StuckMessages>, rule: StuckRule, noted: NotedReceipts, clock: Arc<dyn Clock>) -> Self {
        Self { stuck, rule, noted, clock, last: Mutex::default(), counting: AsyncMutex::default() }
    }

    /// The last counts, or new ones when those are too old. Whoever comes while they are being made gets the last ones, if there
    /// are any. None: the database did not answer.
    pub async fn recent(&self) -> Option<StuckCounts> {
        if let Some(counted) = self.good() {
            return counted.counts;
        }
        let last = self.last().clone();
        let counting = match self.counting.try_lock() {
            Some(counting) => Some(counting),
            None if last.is_some() => return last.and_then(|last| last.counts),
            None => None,
        };
        let _counting = match counting {
            Some(counting) => counting,
            None => self.counting.lock().await,
        };
        if let Some(counted) = self.good() {
            return counted.counts;
        }
        let began = self.clock.monotonic();
        let counts = self.count().await;
        let counts =
            counts.inspect_err(|error| debug!(%error, "the messages that are stuck could not be counted")).ok();
        let ended = self.clock.monotonic();
        let good_until = ended + GOOD_FOR.max(ended.saturating_sub(began) * PATIENCE);
        *self.last() = Some(Counted { counts: counts.clone(), good_until });
        counts
    }

    /// What is stuck of this instance; none when it is not known.
    pub async fn of(&self, instance: &Instance) -> Option<StuckOfInstance> {
        if !self.rule.is_about(&instance.channel) {
            return Some(StuckCounts::default().of(instance.id));
        }
        Some(self.recent().await?.of(instance.id))
    }

    /// Writes when the last receipts came.
    ///
    /// # Errors
    /// When the database does not answer; they are written later then.
    pub async fn write_noted(&self) -> Result<(), RepositoryError> {
        let came = self.noted.take();
        if came.is_empty() {
            return Ok(());
        }
        let again = |_: &RepositoryError| {
            came.iter().for_each(|(instance, at): &(InstanceId, Timestamp)| self.noted.came(*instance, *at))
        };
        self.stuck.note_receipts(&came).await.inspect_err(again)
    }

    /// Keeps the rule where operators ask by SQL.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn publish_rule(&self) -> Result<(), RepositoryError> {
        self.stuck.publish(&self.rule.after()).await
    }

    async fn count(&self) -> Result<StuckCounts, RepositoryError> {
        self.write_noted().await?;
        let now = self.clock.now();
        let stuck = self.stuck.count(&self.rule.at(now), now).await?;
        Ok(StuckCounts(Arc::new(stuck.into_iter().map(|stuck| (stuck.instance, stuck)).collect())))
    }

    fn good(&self) -> Option<Counted> {
        self.last().clone().filter(|counted| self.clock.monotonic() < counted.good_until)
    }

    fn last(&self) -> MutexGuard<'_, Option<Counted>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
