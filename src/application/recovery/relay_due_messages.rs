use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, select};
use tracing::{debug, info, warn};

use crate::application::Stop;
use crate::application::node::held_messages::HeldMessages;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::node_watch::NodeWatch;
use crate::application::node::under_way::UnderWay;
use crate::application::node::unreconciled::Unreconciled;
use crate::application::ports::{Clock, DueMessages, MessageQueue, NodeRepository, RepositoryError, Take, Tasks};
use crate::domain::message::Message;
use crate::domain::node::NodeId;

/// Takes up what is due: retries, what a dead process left, and what nobody else would deliver. While all is well it
/// finds nothing.
pub struct RelayDueMessages {
    pub due: Arc<dyn DueMessages>,
    pub nodes: Arc<dyn NodeRepository>,
    pub queue: Arc<dyn MessageQueue>,
    pub identity: NodeIdentity,
    pub held: HeldMessages,
    pub unreconciled: Unreconciled,
    pub clock: Arc<dyn Clock>,
    pub tasks: Arc<dyn Tasks>,
    pub settings: RelaySettings,
}

#[derive(Clone, Copy, Debug)]
pub struct RelaySettings {
    /// How often it looks, at the least.
    pub interval: Duration,
    /// How often it forgets the nodes that have ended.
    pub tidying_interval: Duration,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self { interval: Duration::from_millis(500), tidying_interval: Duration::from_secs(5) }
    }
}

/// What the relay remembers from one look to the next.
struct Round {
    watch: NodeWatch,
    tidied_at: Option<Duration>,
    failing: bool,
    /// How many messages the queue had room for.
    room: usize,
    /// As many were taken as it had room for: there may be more.
    was_full: bool,
}

impl RelayDueMessages {
    pub async fn run(&self, stop: Stop) {
        let (under_way, mut finished) = UnderWay::new();
        // A watch that looks too seldom for its timeout finds nobody gone.
        let interval = self.settings.interval.min(self.identity.timeout() / 5);
        let watch = NodeWatch::new(self.identity.timeout());
        let mut round = Round { watch, tidied_at: None, failing: false, room: 0, was_full: false };
        loop {
            round.was_full = false;
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
            let free = under_way.until_at_most(round.room / 2, &mut finished).boxed();
            let wake = if round.was_full { select(pause, free).map(|_| ()).boxed() } else { pause };
            if let Either::Left(_) = select(stop.clone(), wake).await {
                return;
            }
        }
    }

    async fn look(&self, round: &mut Round, under_way: &UnderWay) -> Result<(), RepositoryError> {
        let rows = self.nodes.all().await?;
        let now = self.clock.monotonic();
        let gone = round.watch.look(&rows, now);
        self.unreconciled.reconcile(self.due.as_ref(), self.clock.as_ref()).await;
        // Without a good name nothing can be taken upon oneself.
        let Some(node) = self.identity.current() else { return Ok(()) };
        let departed: Vec<NodeId> = rows.iter().filter(|row| row.departed).map(|row| row.id).collect();
        if round.tidied_at.is_none_or(|last| now.saturating_sub(last) >= self.settings.tidying_interval) {
            let ended: Vec<NodeId> = gone.iter().chain(&departed).copied().collect();
            if !ended.is_empty() {
                self.nodes.forget(&ended).await?;
            }
            round.tidied_at = Some(now);
        }
        round.room = self.queue.free_capacity();
        let free = round.room.saturating_sub(under_way.len());
        if free == 0 {
            round.was_full = round.room > 0;
            return Ok(());
        }
        let is_consumed = rows.iter().any(|row| row.duties.consumes && !row.departed && !gone.contains(&row.id));
        let take = Take {
            node,
            departed,
            // A name of our own that we were watched to have lost counts as another's.
            gone,
            // What waits in a broker of ours is consumed sooner or later, if only by a worker that is yet to start.
            unconsumed: !self.queue.scope().publishes() && !is_consumed,
            lost_before: self.queue.lost_before(),
            held: self.held.all().into_iter().chain(under_way.ids()).collect(),
            limit: u32::try_from(free).unwrap_or(u32::MAX),
            now: self.clock.now(),
        };
        let taken = self.due.take(&take).await?;
        if !taken.is_empty() {
            info!(messages = taken.len(), "taken up by the relay");
        }
        round.was_full = taken.len() >= free;
        for message in taken {
            self.hand_over(message, node, under_way);
        }
        Ok(())
    }

    fn hand_over(&self, message: Message, node: NodeId, under_way: &UnderWay) {
        let Some(place) = under_way.enter(message.id) else { return };
        let (queue, unreconciled) = (self.queue.clone(), self.unreconciled.clone());
        self.tasks.spawn(
            async move {
                let _place = place;
                debug!(message.id = %message.id, "handed over by the relay");
                if let Err(error) = queue.hand_over(&message).await {
                    debug!(message.id = %message.id, %error, "could not be handed over; tried again");
                    unreconciled.not_handed_over(message.id, node);
                }
            }
            .boxed(),
        );
    }
}
