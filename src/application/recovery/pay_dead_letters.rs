use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{Either, select};
use tracing::{debug, error, info, warn};

use crate::application::Stop;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::node_watch::Sighting;
use crate::application::node::tally::Tally;
use crate::application::node::under_way::{Finished, UnderWay};
use crate::application::node::watch_nodes::Sightings;
use crate::application::ports::until_answered::until_answered;
use crate::application::ports::{BYTES_AT_ONCE, Clock, DeadLetterTopic, OwedDeadLetters, RepositoryError, Tasks};
use crate::application::service::Repeated;
use crate::domain::message::{Message, MessageId};
use crate::domain::node::NodeId;

/// Publishes the dead letters that failed messages owe; apart from the relay, so that a topic that is away delays
/// nothing else. Where no node publishes, marks the rows themselves as the dead letters.
pub struct PayDeadLetters {
    pub owed: Arc<dyn OwedDeadLetters>,
    /// None: this process publishes nothing.
    pub topic: Option<Arc<dyn DeadLetterTopic>>,
    pub identity: NodeIdentity,
    pub sightings: Sightings,
    pub clock: Arc<dyn Clock>,
    pub tasks: Arc<dyn Tasks>,
    pub tally: Tally,
    pub rounds: PaymentRounds,
}

/// What is remembered from one look to the next.
pub struct PaymentRounds {
    under_way: UnderWay,
    finished: Finished,
    /// As many were found as could be published at the same time, or were written off in one statement: there may be more.
    was_full: bool,
    /// A payment of this round has failed. Those that follow would most likely fail, too: they wait for the next round.
    has_failed: Arc<AtomicBool>,
    /// Those whose payment has failed since all were tried: others, which may go elsewhere, have their turn first.
    passed_over: Arc<PassedOver>,
    complaint: Arc<Complaint>,
}

#[derive(Default)]
struct PassedOver(Mutex<Vec<MessageId>>);

impl PassedOver {
    /// They are named in each query.
    const MOST: usize = 10_000;

    fn ids(&self) -> MutexGuard<'_, Vec<MessageId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, id: MessageId) {
        let mut ids = self.ids();
        if ids.len() >= Self::MOST {
            ids.clear();
        }
        ids.push(id);
    }
}

/// When the log had last that payments fail, by the monotonic clock: all that is owed may be tried every second, in vain.
#[derive(Default)]
struct Complaint(Mutex<Option<Duration>>);

impl Complaint {
    /// Whether the next is due.
    fn is_due(&self, now: Duration) -> bool {
        const PAUSE: Duration = Duration::from_secs(60);
        let mut said_at = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = said_at.is_none_or(|said_at| now.saturating_sub(said_at) >= PAUSE);
        if is_due {
            *said_at = Some(now);
        }
        is_due
    }
}

impl Default for PaymentRounds {
    fn default() -> Self {
        let (under_way, finished) = UnderWay::new();
        Self {
            under_way,
            finished,
            was_full: false,
            has_failed: Arc::default(),
            passed_over: Arc::default(),
            complaint: Arc::default(),
        }
    }
}

/// How many are published concurrently, and written off in one statement.
const AT_ONCE: u32 = 256;

/// Bytes of content that may still be kept here when more are read.
const BYTES_LEFT: u64 = BYTES_AT_ONCE / 2;

#[async_trait]
impl Repeated for PayDeadLetters {
    fn name(&self) -> &'static str {
        "dead letters"
    }

    fn purpose(&self) -> &'static str {
        "read which dead letters are owed"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1).min(self.identity.timeout() / 5)
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        self.rounds.was_full = false;
        self.rounds.has_failed.store(false, Ordering::Relaxed);
        // The first debts are found a moment after the first look at the nodes.
        let Some(sighting) = self.sightings.last() else { return Ok(()) };
        self.rounds.was_full = self.pay(&sighting, stop).await?;
        Ok(())
    }

    /// With many owed, the next are read as soon as half of these are paid.
    async fn is_wanted(&mut self) {
        let PaymentRounds { under_way, finished, was_full, has_failed, .. } = &mut self.rounds;
        if !*was_full {
            return std::future::pending().await;
        }
        under_way.until_at_most(AT_ONCE as usize / 2, BYTES_LEFT, finished).await;
        if has_failed.load(Ordering::Relaxed) {
            std::future::pending().await
        }
    }
}

impl PayDeadLetters {
    /// Returns whether there may be more.
    async fn pay(&self, sighting: &Sighting, stop: &Stop) -> Result<bool, RepositoryError> {
        let publishers = publishers(sighting);
        let Some(topic) = &self.topic else { return self.write_off(&publishers, &sighting.gone).await };
        let Some(node) = self.identity.current() else { return Ok(false) };
        // One of the publishers takes care of what none of them owns.
        let adopting = (publishers.iter().min() == Some(&node)).then_some(publishers.as_slice());
        let under_way = &self.rounds.under_way;
        let free = AT_ONCE.saturating_sub(u32::try_from(under_way.len()).unwrap_or(u32::MAX));
        if free == 0 || under_way.bytes() > BYTES_LEFT {
            return Ok(true);
        }
        let owed = self.next(node, adopting, free).await?;
        let bytes: u64 = owed.iter().map(|message| message.content.bytes()).sum();
        let may_be_more = owed.len() >= free as usize || bytes >= BYTES_AT_ONCE;
        for message in owed {
            let Some(entry) = under_way.enter(message.id, message.content.bytes()) else { continue };
            let (payment, topic, stop) = (self.payment(), topic.clone(), stop.clone());
            self.tasks.spawn(
                async move {
                    let _entry = entry;
                    payment.publish(topic.as_ref(), &message, stop).await;
                }
                .boxed(),
            );
        }
        Ok(may_be_more)
    }

    /// Those that have failed come again once nothing else is owed.
    async fn next(
        &self,
        node: NodeId,
        adopting: Option<&[NodeId]>,
        free: u32,
    ) -> Result<Vec<Message>, RepositoryError> {
        let under_way = self.rounds.under_way.ids();
        let held: Vec<MessageId> = under_way.iter().chain(&*self.rounds.passed_over.ids()).copied().collect();
        let owed = self.owed.owed(node, adopting, &held, free).await?;
        if !owed.is_empty() || held.len() == under_way.len() {
            return Ok(owed);
        }
        self.rounds.passed_over.ids().clear();
        self.owed.owed(node, adopting, &under_way, free).await
    }

    /// Without a broker anywhere the row is the dead letter.
    async fn write_off(&self, publishers: &[NodeId], gone: &[NodeId]) -> Result<bool, RepositoryError> {
        if !publishers.is_empty() {
            return Ok(false);
        }
        Ok(self.owed.write_off(gone, AT_ONCE, self.clock.now()).await? >= u64::from(AT_ONCE))
    }

    fn payment(&self) -> Payment {
        Payment {
            owed: self.owed.clone(),
            clock: self.clock.clone(),
            tally: self.tally.clone(),
            has_failed: self.rounds.has_failed.clone(),
            passed_over: self.rounds.passed_over.clone(),
            complaint: self.rounds.complaint.clone(),
        }
    }
}

/// The nodes that publish dead letters, as far as this watch knows.
fn publishers(sighting: &Sighting) -> Vec<NodeId> {
    sighting.alive().filter(|row| row.duties.publishes).map(|row| row.id).collect()
}

/// What the publication of one dead letter needs.
struct Payment {
    owed: Arc<dyn OwedDeadLetters>,
    clock: Arc<dyn Clock>,
    tally: Tally,
    has_failed: Arc<AtomicBool>,
    passed_over: Arc<PassedOver>,
    complaint: Arc<Complaint>,
}

impl Payment {
    async fn publish(&self, topic: &dyn DeadLetterTopic, message: &Message, stop: Stop) {
        // A process that stops does not wait for a topic that is away: the debt is in the row.
        let Either::Right((published, _)) = select(stop, topic.put_message(message)).await else { return };
        if let Err(error) = published {
            // It stays owed, and is found again.
            self.has_failed.store(true, Ordering::Relaxed);
            self.passed_over.add(message.id);
            if self.complaint.is_due(self.clock.monotonic()) {
                warn!(message.id = %message.id, %error, "its dead letter could not be published; tried again");
            } else {
                debug!(message.id = %message.id, %error, "its dead letter could not be published; tried again");
            }
            return;
        }
        let (id, try_number) = (message.id, message.try_number);
        match until_answered(self.clock.as_ref(), || self.owed.mark_paid(id, try_number, self.clock.now())).await {
            Ok(true) => {
                self.tally.dead_lettered();
                debug!(message.id = %id, "dead letter published");
            }
            Ok(false) => info!(message.id = %id, "replayed while its dead letter was being published"),
            Err(error) => error!(message.id = %id, %error, "its dead letter is published; its row cannot be written"),
        }
    }
}
