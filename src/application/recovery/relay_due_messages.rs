use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use tracing::{debug, info};

use super::recalling::Recalling;
use super::timing_anew::TimingAnew;
use crate::application::Stop;
use crate::application::delivery::admission::Admission;
use crate::application::node::held_messages::HeldMessages;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::under_way::{Finished, UnderWay};
use crate::application::node::unreconciled::Unreconciled;
use crate::application::node::watch_nodes::Sightings;
use crate::application::ports::{
    BYTES_AT_ONCE, Clock, DueMessages, InstanceRepository, MessageQueue, RepositoryError, Take, Tasks, Turns,
};
use crate::application::receipts::ReceiveReceipts;
use crate::application::service::Repeated;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::{Message, MessageId};
use crate::domain::node::NodeId;

/// Takes up what is due: retries, what a dead process left, and what no other node would deliver. While all is well it
/// finds nothing.
pub struct RelayDueMessages {
    pub due: Arc<dyn DueMessages>,
    pub queue: Arc<dyn MessageQueue>,
    pub identity: NodeIdentity,
    pub sightings: Sightings,
    pub held: HeldMessages,
    pub unreconciled: Unreconciled,
    pub clock: Arc<dyn Clock>,
    pub tasks: Arc<dyn Tasks>,
    pub receipts: ReceiveReceipts,
    pub admission: Admission,
    pub instances: Arc<dyn InstanceRepository>,
    pub rounds: RelayRounds,
}

/// What the relay remembers from one look to the next.
pub struct RelayRounds {
    timing: TimingAnew,
    recalling: Recalling,
    under_way: UnderWay,
    finished: Finished,
    asked_if_lost_at: Option<Duration>,
    /// With so many under way, half of the places are free.
    half_full: usize,
    /// As many were taken as could be at once: there may be more.
    was_full: bool,
    /// The queue did not take something of the last look.
    has_refused: Arc<AtomicBool>,
    /// How many are looked at for one take, if the queue can take so many.
    reach: usize,
    /// More was due than could be taken. What is due longest may be all of one instance: beside it, the instances take turns.
    is_crowded: bool,
    /// Which instance had the last turn.
    last_turn: Option<InstanceId>,
}

/// Longest pause between two looks.
const INTERVAL: Duration = Duration::from_millis(500);

/// Pause between two questions for what the broker has lost. A database walks past all that was queued and not yet cleared
/// away since, to find that nothing is.
const LOST_INTERVAL: Duration = Duration::from_secs(5);

/// How many are looked at first. What does not fit into one take is looked at in vain, and large ones cost a database time:
/// so only when as many small ones were taken as were looked at, it is twice as many the next time.
const FIRST_REACH: usize = 64;

/// How many messages of instances that have no place now are taken beside the others, to be put off again.
const PUT_OFF_AT_ONCE: u32 = 512;

/// Bytes of content that may still be kept here when more are taken.
const BYTES_LEFT: u64 = BYTES_AT_ONCE / 2;

impl Default for RelayRounds {
    fn default() -> Self {
        let (under_way, finished) = UnderWay::new();
        Self {
            timing: TimingAnew::default(),
            recalling: Recalling::default(),
            under_way,
            finished,
            asked_if_lost_at: None,
            half_full: 0,
            was_full: false,
            has_refused: Arc::default(),
            reach: FIRST_REACH,
            is_crowded: false,
            last_turn: None,
        }
    }
}

#[async_trait]
impl Repeated for RelayDueMessages {
    fn name(&self) -> &'static str {
        "relay"
    }

    fn purpose(&self) -> &'static str {
        "read which messages are due"
    }

    fn interval(&self) -> Duration {
        INTERVAL.min(self.identity.timeout() / 5)
    }

    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        self.rounds.was_full = false;
        self.rounds.has_refused.store(false, Ordering::Relaxed);
        let (due, clock) = (self.due.clone(), self.clock.clone());
        self.rounds.timing.look_at(clock.as_ref());
        // None of these keeps the others from being done. Times first: a clock that was set ahead makes all due that waits.
        let process = self.identity.process();
        let retimed = self.rounds.timing.retime(due.as_ref(), process, clock.as_ref()).await;
        let reconciled = self.unreconciled.reconcile(due.as_ref(), clock.as_ref()).await;
        let waits = self.rounds.timing.waits_for_times(&retimed);
        let taken = if waits { Ok(()) } else { self.take().await };
        let called_in = self.rounds.timing.call_in(due.as_ref(), clock.as_ref()).await;
        // What is due does not wait for what is to be made due.
        let asked = self.rounds.recalling.ask(&self.admission, self.instances.as_ref(), clock.as_ref()).await;
        let recalled = self.rounds.recalling.recall(&self.admission, due.as_ref(), clock.as_ref()).await;
        retimed.and(reconciled).and(taken).and(called_in).and(asked).and(recalled)
    }

    /// With many due, the next are taken as soon as half of the places are free again; but what the queue does not take is
    /// not taken from the database again and again.
    async fn is_wanted(&mut self) {
        let RelayRounds { under_way, finished, half_full, was_full, has_refused, .. } = &mut self.rounds;
        if *was_full {
            under_way.until_at_most(*half_full, BYTES_LEFT, finished).await;
        }
        if !*was_full || has_refused.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

impl RelayDueMessages {
    /// Without a sighting what is due by its time, and what no registered node owns.
    async fn take(&mut self) -> Result<(), RepositoryError> {
        // Without a good name this process can take no messages.
        let Some(node) = self.identity.current() else { return Ok(()) };
        let is_crowded = std::mem::take(&mut self.rounds.is_crowded);
        let in_turns = if is_crowded { self.take_in_turns(node).await } else { Ok(()) };
        let Some(free) = self.free_places() else { return in_turns };
        let full = self.queue.full_instances();
        let seen = self.sightings.last();
        let is_unconsumed = seen.as_ref().is_some_and(|seen| !seen.alive().any(|row| row.duties.consumes));
        let sighting = seen.unwrap_or_default();
        let take = Take {
            node,
            departed: sighting.departed().collect(),
            // A former name of our own that the watch found gone counts as another node's.
            gone: sighting.gone.clone(),
            succeeded: sighting.succeeded(),
            // What waits in a broker of ours is consumed sooner or later, if only by a worker that is yet to start.
            unconsumed: !self.queue.scope().publishes() && is_unconsumed,
            lost_before: self.lost_before(),
            held: self.held(),
            with_content: self.with_content(),
            limit: u32::try_from(free.min(self.rounds.reach)).unwrap_or(u32::MAX),
            limit_of_full: if full.is_empty() { 0 } else { PUT_OFF_AT_ONCE },
            full,
            now: self.clock.now(),
        };
        let taken = self.due.take(&take).await?;
        if !taken.is_empty() {
            info!(messages = taken.len(), "taken up by the relay");
        }
        let bytes: u64 = taken.iter().map(|message| message.content.bytes()).sum();
        let reached_limit = taken.len() >= take.limit as usize;
        self.rounds.was_full = reached_limit || bytes >= BYTES_AT_ONCE;
        self.rounds.is_crowded = self.rounds.was_full;
        self.rounds.reach = if reached_limit { self.rounds.reach.saturating_mul(2) } else { FIRST_REACH };
        if self.rounds.was_full {
            self.rounds.asked_if_lost_at = None;
        }
        for message in taken {
            self.hand_over(message, node);
        }
        in_turns
    }

    /// Half of the places at most are for those that take turns.
    async fn take_in_turns(&mut self, node: NodeId) -> Result<(), RepositoryError> {
        let Some(free) = self.free_places() else { return Ok(()) };
        let turns = Turns {
            node,
            after: self.rounds.last_turn,
            held: self.held(),
            with_content: self.with_content(),
            limit: u32::try_from((free / 2).clamp(1, FIRST_REACH)).unwrap_or(u32::MAX),
            full: self.queue.full_instances(),
            now: self.clock.now(),
        };
        let taken = self.due.take_in_turns(&turns).await?;
        self.rounds.last_turn = taken.next;
        for message in taken.messages {
            self.hand_over(message, node);
        }
        Ok(())
    }

    fn held(&self) -> Vec<MessageId> {
        self.held.all().into_iter().chain(self.rounds.under_way.ids()).collect()
    }

    /// Delivering reads the content with the claim: until then it is kept by nobody.
    fn with_content(&self) -> bool {
        self.queue.scope().publishes()
    }

    /// How many the queue takes now, if it takes any. What hangs has a place of its own.
    fn free_places(&mut self) -> Option<usize> {
        let (capacity, hanging) = (self.queue.free_capacity(), self.queue.hanging());
        self.rounds.half_full = hanging + capacity / 2;
        let free = (capacity + hanging).saturating_sub(self.rounds.under_way.len());
        if free == 0 || self.rounds.under_way.bytes() > BYTES_LEFT {
            self.rounds.was_full = capacity > 0;
            return None;
        }
        Some(free)
    }

    /// Asked for now and then; and again as long as there may be more.
    fn lost_before(&mut self) -> Option<Timestamp> {
        let now = self.clock.monotonic();
        if self.rounds.asked_if_lost_at.is_some_and(|last| now.saturating_sub(last) < LOST_INTERVAL) {
            return None;
        }
        // By a clock that was ahead when it was found out: it says nothing now.
        let lost_before = self.queue.lost_before().filter(|before| *before <= self.clock.now());
        self.rounds.asked_if_lost_at = lost_before.map(|_| now);
        lost_before
    }

    fn hand_over(&self, message: Message, node: NodeId) {
        let Some(entry) = self.rounds.under_way.enter(message.id, message.content.bytes()) else { return };
        let (queue, in_hand) = (self.queue.clone(), self.unreconciled.in_hand(message.id, node));
        let has_refused = self.rounds.has_refused.clone();
        let receipts = message.is_unanswered.then(|| self.receipts.clone());
        self.tasks.spawn(
            async move {
                let _entry = entry;
                // What its channel has said of a try whose answer was lost waits for its row: one that was delivered is not sent
                // again.
                if let Some(receipts) = receipts {
                    receipts.apply_to(message.id).await;
                }
                debug!(message.id = %message.id, "handed over by the relay");
                match queue.hand_over(&message).await {
                    Ok(_) => in_hand.is_handed_over(),
                    Err(error) => {
                        has_refused.store(true, Ordering::Relaxed);
                        debug!(message.id = %message.id, %error, "could not be handed over; tried again");
                    }
                }
            }
            .boxed(),
        );
    }
}
