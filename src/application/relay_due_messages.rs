use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::channel::mpsc;
use futures::future::{Either, select};
use futures::{FutureExt, StreamExt};
use tracing::{info, warn};

use super::Stop;
use super::held_messages::HeldMessages;
use super::node_identity::NodeIdentity;
use super::node_watch::NodeWatch;
use super::ports::{Clock, DueMessages, MessageQueue, NodeRepository, RepositoryError, Take, Tasks};
use super::unsettled::Unsettled;
use crate::domain::message::{Guard, Message, MessageId};
use crate::domain::node::NodeId;

/// Takes up what is due: retries, what a dead process left, and what nobody else would deliver. While all is well it
/// finds nothing.
pub struct RelayDueMessages {
    pub due: Arc<dyn DueMessages>,
    pub nodes: Arc<dyn NodeRepository>,
    pub queue: Arc<dyn MessageQueue>,
    pub identity: NodeIdentity,
    pub held: HeldMessages,
    pub unsettled: Unsettled,
    pub clock: Arc<dyn Clock>,
    pub tasks: Arc<dyn Tasks>,
    pub settings: RelaySettings,
}

#[derive(Clone, Copy, Debug)]
pub struct RelaySettings {
    /// How often it looks, at the least.
    pub interval: Duration,
    /// How often it compares its rows with what it holds.
    pub comparison_interval: Duration,
    /// How many messages it hands over at once, at most.
    pub concurrency: usize,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self { interval: Duration::from_millis(500), comparison_interval: Duration::from_secs(5), concurrency: 64 }
    }
}

/// What the relay remembers from one look to the next.
struct Round {
    watch: NodeWatch,
    compared_at: Option<Duration>,
    failing: bool,
}

impl RelayDueMessages {
    pub async fn run(&self, stop: Stop) {
        let (under_way, mut finished) = UnderWay::new();
        // A watch that looks too seldom for its timeout finds nobody gone.
        let interval = self.settings.interval.min(self.identity.timeout() / 5);
        let mut round = Round { watch: NodeWatch::new(self.identity.timeout()), compared_at: None, failing: false };
        loop {
            match self.look(&mut round, &under_way).await {
                Ok(()) => round.failing = false,
                Err(error) => {
                    round.watch.start_again();
                    if !round.failing {
                        warn!(%error, "the relay cannot read what is due");
                    }
                    round.failing = true;
                }
            }
            let pause = self.clock.sleep(interval).boxed();
            // With many due, the next are taken as soon as half of the places are free again.
            let room = under_way.until_at_most(self.settings.concurrency / 2, &mut finished).boxed();
            let was_full = under_way.len() >= self.settings.concurrency;
            let wake = if was_full { select(pause, room).map(|_| ()).boxed() } else { pause };
            if let Either::Left(_) = select(stop.clone(), wake).await {
                return;
            }
        }
    }

    async fn look(&self, round: &mut Round, under_way: &UnderWay) -> Result<(), RepositoryError> {
        let rows = self.nodes.all().await?;
        let now = self.clock.monotonic();
        let gone = round.watch.look(&rows, now);
        self.unsettled.settle(self.due.as_ref(), self.clock.as_ref()).await;
        // Without a good name nothing can be taken upon oneself.
        let Some(node) = self.identity.current() else { return Ok(()) };
        if round.compared_at.is_none_or(|last| now.saturating_sub(last) >= self.settings.comparison_interval) {
            self.give_back_what_nobody_delivers(node).await?;
            self.nodes.forget(&gone).await?;
            let left: Vec<NodeId> = rows.iter().filter(|row| row.left).map(|row| row.id).collect();
            self.nodes.forget(&left).await?;
            round.compared_at = Some(now);
        }
        let free = self.settings.concurrency.saturating_sub(under_way.len());
        if free == 0 {
            return Ok(());
        }
        let take = Take {
            node,
            // A name of our own that we were watched to have lost counts as another's.
            left: rows.iter().filter(|row| row.left).map(|row| row.id).collect(),
            unconsumed: !rows.iter().any(|row| row.duties.consumes && !row.left && !gone.contains(&row.id)),
            lost_before: None,
            gone,
            held: self.held.all().into_iter().chain(under_way.ids()).collect(),
            limit: u32::try_from(free).unwrap_or(u32::MAX),
            now: self.clock.now(),
        };
        for message in self.due.take(&take).await? {
            self.hand_over(message, under_way);
        }
        Ok(())
    }

    fn hand_over(&self, message: Message, under_way: &UnderWay) {
        let Some(place) = under_way.enter(message.id) else { return };
        let queue = self.queue.clone();
        self.tasks.spawn(
            async move {
                let _place = place;
                info!(message.id = %message.id, "taken up by the relay");
                if let Err(error) = queue.hand_over(&message).await {
                    warn!(message.id = %message.id, %error, "could not be handed over; tried again");
                }
            }
            .boxed(),
        );
    }

    /// Finds tasks that panicked and claims whose answer was lost: rows that say they are being delivered by us, and are not.
    async fn give_back_what_nobody_delivers(&self, node: NodeId) -> Result<(), RepositoryError> {
        // The rows first, the memory after them: the other order gives back what was accepted in between.
        let rows = self.due.in_delivery(&[node]).await?;
        let forgotten: Vec<Guard> = rows.into_iter().filter(|row| !self.held.holds(row.id)).collect();
        if forgotten.is_empty() {
            return Ok(());
        }
        let given_back = self.due.give_back(&forgotten, self.clock.now()).await?;
        warn!(messages = given_back, "given back: nobody was delivering them any more");
        Ok(())
    }
}

/// The messages that the relay has taken and not yet seen the end of.
#[derive(Clone)]
struct UnderWay {
    ids: Arc<Mutex<HashSet<MessageId>>>,
    finished: mpsc::UnboundedSender<()>,
}

struct Place {
    id: MessageId,
    under_way: UnderWay,
}

impl UnderWay {
    fn new() -> (Self, mpsc::UnboundedReceiver<()>) {
        let (finished, receiver) = mpsc::unbounded();
        (Self { ids: Arc::default(), finished }, receiver)
    }

    fn enter(&self, id: MessageId) -> Option<Place> {
        self.lock().insert(id).then(|| Place { id, under_way: self.clone() })
    }

    fn len(&self) -> usize {
        self.lock().len()
    }

    fn ids(&self) -> Vec<MessageId> {
        self.lock().iter().copied().collect()
    }

    async fn until_at_most(&self, most: usize, finished: &mut mpsc::UnboundedReceiver<()>) {
        while finished.try_recv().is_ok() {}
        while self.len() > most && finished.next().await.is_some() {}
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<MessageId>> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.id);
        // The relay has stopped listening when it has stopped.
        let _ = self.under_way.finished.unbounded_send(());
    }
}
