use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::{debug, error, info};

use crate::application::Stop;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::watch_nodes::Sightings;
use crate::application::ports::{BYTES_AT_ONCE, BroadcastExpansion, Channels, Clock, RepositoryError, TakeBroadcasts};
use crate::application::service::Repeated;
use crate::domain::broadcast::Broadcast;
use crate::domain::message::{Content, Message};
use crate::domain::node::NodeId;

/// Makes messages of broadcasts, chunk by chunk, only as far ahead of what was sent as the relay has work for.
pub struct ExpandBroadcasts {
    pub expansion: Arc<dyn BroadcastExpansion>,
    pub channels: Channels,
    pub identity: NodeIdentity,
    pub sightings: Sightings,
    pub clock: Arc<dyn Clock>,
    /// Messages of one broadcast that may be open at the same time.
    pub ahead: u32,
    /// Rounds since one had nothing to do.
    pub idle: u32,
}

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// Every so many rounds without a broadcast at work are done all the same.
const IDLE_ROUNDS: u32 = 100;

/// How long one round goes on.
const ROUND: Duration = Duration::from_secs(1);

/// Messages that are made in one transaction.
const CHUNK: u32 = 1_000;

/// Broadcasts that are worked on in one round, in turns.
const AT_ONCE: u32 = 20;

#[async_trait]
impl Repeated for ExpandBroadcasts {
    fn name(&self) -> &'static str {
        "broadcasts"
    }

    fn purpose(&self) -> &'static str {
        "make the messages of broadcasts"
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        if !self.expansion.is_needed().await? {
            self.idle += 1;
            // Receipts of those that have finished are still counted.
            if !self.idle.is_multiple_of(IDLE_ROUNDS) {
                return Ok(());
            }
        }
        let began = self.clock.monotonic();
        self.expansion.begin_due(self.clock.now()).await?;
        while self.make_some().await? > 0 {
            if self.clock.monotonic().saturating_sub(began) >= ROUND {
                break;
            }
        }
        let finished = self.expansion.finish(self.clock.now()).await?;
        if finished > 0 {
            info!(broadcasts = finished, "broadcasts have finished");
        }
        Ok(())
    }
}

impl ExpandBroadcasts {
    /// A chunk of each; how many messages were made.
    async fn make_some(&self) -> Result<usize, RepositoryError> {
        // Without a good name this process can take nothing.
        let Some(node) = self.identity.current() else { return Ok(0) };
        let seen = self.sightings.last().unwrap_or_default();
        let gone = seen.gone.iter().copied().chain(seen.departed()).filter(|gone| *gone != node).collect();
        let taken = self.expansion.take(&TakeBroadcasts { node, gone, limit: AT_ONCE }).await?;
        let mut made = 0;
        for broadcast in &taken {
            made += self.make_chunk(broadcast, node).await?;
        }
        Ok(made)
    }

    async fn make_chunk(&self, broadcast: &Broadcast, node: NodeId) -> Result<usize, RepositoryError> {
        let open = self.expansion.counts(broadcast).await?.open();
        let room = u64::from(self.ahead).saturating_sub(open);
        let waits = broadcast.waits();
        // Not one by one, as they end.
        if room < u64::from(CHUNK.min(self.ahead / 2).min(waits)).max(1) {
            return Ok(0);
        }
        let fitting = BYTES_AT_ONCE / (broadcast.content.bytes() + 1);
        let most = room.min(fitting.max(1)).min(u64::from(CHUNK.min(waits)));
        let most = u32::try_from(most).unwrap_or(CHUNK);
        let recipients = self.expansion.recipients(broadcast, broadcast.cursor, most).await?;
        if recipients.is_empty() {
            error!(broadcast.id = %broadcast.id, "the recipients of a broadcast are gone: it cannot go on");
            return Ok(0);
        }
        let now = self.clock.now();
        let refused = |address: &str, content: &Content| self.refusal(broadcast, address, content);
        let messages: Vec<Message> = (broadcast.cursor..)
            .zip(&recipients)
            .map(|(place, recipient)| broadcast.message(place, recipient, refused, node, now))
            .collect();
        if !self.expansion.expand(broadcast, &messages, now).await? {
            debug!(broadcast.id = %broadcast.id, "another has changed the broadcast meanwhile");
            return Ok(0);
        }
        debug!(broadcast.id = %broadcast.id, messages = messages.len(), "messages of a broadcast are made");
        Ok(messages.len())
    }

    /// What its channel would refuse: a sentence.
    fn refusal(&self, broadcast: &Broadcast, address: &str, content: &Content) -> Option<String> {
        let problems = self.channels.find(&broadcast.channel)?.check_message(address, content).err()?;
        let said: Vec<String> = problems.iter().map(|it| format!("{} {}", it.path, it.detail)).collect();
        Some(format!("{}.", said.join("; ")))
    }
}
