use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, select};
use tracing::{debug, error, info, warn};

use crate::application::Stop;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::node_watch::NodeWatch;
use crate::application::node::tally::Tally;
use crate::application::node::under_way::UnderWay;
use crate::application::ports::until_answered::until_answered;
use crate::application::ports::{Clock, DeadLetterTopic, NodeRepository, OwedDeadLetters, RepositoryError, Tasks};
use crate::domain::message::Message;
use crate::domain::node::NodeId;

/// Publishes the dead letters that failed messages owe; apart from the relay, so that a topic that is away delays nothing
/// else. Where nobody publishes, says in the rows that they are the dead letters.
pub struct PayDeadLetters {
    pub owed: Arc<dyn OwedDeadLetters>,
    pub nodes: Arc<dyn NodeRepository>,
    /// None: this process publishes nothing.
    pub topic: Option<Arc<dyn DeadLetterTopic>>,
    pub identity: NodeIdentity,
    pub clock: Arc<dyn Clock>,
    pub tasks: Arc<dyn Tasks>,
    pub tally: Tally,
}

/// How many are published at the same time, and written off at once.
const AT_ONCE: u32 = 256;

impl PayDeadLetters {
    pub async fn run(self: Arc<Self>, stop: Stop) {
        let (under_way, _finished) = UnderWay::new();
        let interval = Duration::from_secs(1).min(self.identity.timeout() / 5);
        let mut watch = NodeWatch::new(self.identity.timeout());
        let mut is_failing = false;
        loop {
            match self.clone().look(&mut watch, &under_way, &stop).await {
                Ok(()) => is_failing = false,
                Err(error) => {
                    watch.start_again();
                    if !is_failing {
                        warn!(%error, "it cannot be read which dead letters are owed");
                    }
                    is_failing = true;
                }
            }
            if let Either::Left(_) = select(stop.clone(), self.clock.sleep(interval).boxed()).await {
                return;
            }
        }
    }

    async fn look(
        self: Arc<Self>,
        watch: &mut NodeWatch,
        under_way: &UnderWay,
        stop: &Stop,
    ) -> Result<(), RepositoryError> {
        let rows = self.nodes.all().await?;
        let gone = watch.look(&rows, self.clock.monotonic());
        let is_live = |id: &NodeId| !gone.contains(id);
        let publishers: Vec<NodeId> =
            rows.iter().filter(|row| row.duties.publishes && !row.departed).map(|row| row.id).filter(is_live).collect();
        let Some(topic) = &self.topic else { return self.write_off(&publishers, &gone).await };
        let Some(node) = self.identity.current() else { return Ok(()) };
        // One of the publishers takes care of what none of them owns.
        let adopting = (publishers.iter().min() == Some(&node)).then_some(publishers.as_slice());
        let free = AT_ONCE.saturating_sub(u32::try_from(under_way.len()).unwrap_or(u32::MAX));
        if free == 0 {
            return Ok(());
        }
        for message in self.owed.owed(node, adopting, &under_way.ids(), free).await? {
            let Some(place) = under_way.enter(message.id) else { continue };
            let (this, topic, stop) = (self.clone(), topic.clone(), stop.clone());
            self.tasks.spawn(
                async move {
                    let _place = place;
                    this.publish(topic.as_ref(), &message, stop).await;
                }
                .boxed(),
            );
        }
        Ok(())
    }

    async fn publish(&self, topic: &dyn DeadLetterTopic, message: &Message, stop: Stop) {
        // A process that stops does not wait for a topic that is away: the debt is in the row.
        let Either::Right((published, _)) = select(stop, topic.put_message(message)).await else { return };
        if let Err(error) = published {
            // It stays owed, and is found again.
            warn!(message.id = %message.id, %error, "its dead letter could not be published; tried again");
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

    /// Without a broker anywhere the row is the dead letter.
    async fn write_off(&self, publishers: &[NodeId], gone: &[NodeId]) -> Result<(), RepositoryError> {
        if publishers.is_empty() {
            self.owed.write_off(gone, AT_ONCE, self.clock.now()).await?;
        }
        Ok(())
    }
}
