use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tracing::{debug, error, info, warn};

use crate::application::Stop;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::watch_nodes::Sightings;
use crate::application::ports::{BYTES_AT_ONCE, BroadcastExpansion, Channels, Clock, RepositoryError, TakeBroadcasts};
use crate::application::service::Repeated;
use crate::domain::broadcast::rate::{BroadcastRate, Slots};
use crate::domain::broadcast::{Broadcast, BroadcastId};
use crate::domain::message::{Content, Message};
use crate::domain::node::NodeId;

/// Makes messages of broadcasts, chunk by chunk, only as far ahead of what was sent as the relay has work for, or as their rate
/// allows.
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
    /// The last that was worked on: however many have to wait, each has its turn.
    pub after: Option<BroadcastId>,
    /// When all that is not needed any more was last deleted, by the monotonic clock.
    pub forgot_at: Option<Duration>,
}

/// What came of a turn of some.
struct Turn {
    made: usize,
    /// These were the last; the next turn begins with the oldest.
    is_last: bool,
}

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_millis(250);

/// Every so many rounds without a broadcast at work are done all the same.
const IDLE_ROUNDS: u32 = 100;

/// What has ended earlier is looked for once in this time.
const LATELY: Duration = Duration::from_secs(3_600);

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
        // None of these keeps the others from being done.
        let begun = self.expansion.begin_due(self.clock.now()).await;
        let made = self.make().await;
        let finished = self.expansion.finish(self.clock.now()).await?;
        if finished > 0 {
            info!(broadcasts = finished, "broadcasts have finished");
        }
        let forgotten = self.forget().await;
        begun.map(|_| ()).and(made).and(forgotten)
    }
}

impl ExpandBroadcasts {
    /// Of those that have ended lately, and now and then of all: no process may have lived then.
    async fn forget(&mut self) -> Result<(), RepositoryError> {
        let now = self.clock.monotonic();
        let forgot_all = self.forgot_at.is_some_and(|at| now.saturating_sub(at) < LATELY);
        let since = forgot_all.then(|| self.clock.now() - LATELY * 2);
        self.expansion.forget(since).await?;
        if !forgot_all {
            self.forgot_at = Some(now);
        }
        Ok(())
    }

    /// As long as there is something to make, but not for longer than a round.
    async fn make(&mut self) -> Result<(), RepositoryError> {
        let (began, mut made, mut failed) = (self.clock.monotonic(), 0, Ok(()));
        while self.clock.monotonic().saturating_sub(began) < ROUND {
            let turn = self.make_some(&mut failed).await?;
            made += turn.made;
            if turn.is_last && std::mem::take(&mut made) == 0 {
                break;
            }
        }
        failed
    }

    /// A chunk of each. What fails of one is left for its next turn.
    async fn make_some(&mut self, failed: &mut Result<(), RepositoryError>) -> Result<Turn, RepositoryError> {
        let nothing = Turn { made: 0, is_last: true };
        // Without a good name this process can take nothing.
        let Some(node) = self.identity.current() else { return Ok(nothing) };
        let seen = self.sightings.last().unwrap_or_default();
        let gone = seen.gone.iter().copied().chain(seen.departed()).filter(|gone| *gone != node).collect();
        let enough = BroadcastRate::enough(self.clock.now());
        let take = TakeBroadcasts { node, gone, after: self.after, limit: AT_ONCE, enough };
        let taken = self.expansion.take(&take).await?;
        let mut turn = Turn { made: 0, is_last: taken.len() < AT_ONCE as usize };
        for broadcast in &taken {
            self.after = Some(broadcast.id);
            match self.make_chunk(broadcast, node).await {
                Ok(made) => turn.made += made,
                Err(error) => {
                    warn!(broadcast.id = %broadcast.id, %error, "no messages of a broadcast could be made");
                    if failed.is_ok() {
                        *failed = Err(error);
                    }
                }
            }
        }
        if turn.is_last {
            self.after = None;
        }
        Ok(turn)
    }

    async fn make_chunk(&self, broadcast: &Broadcast, node: NodeId) -> Result<usize, RepositoryError> {
        let now = self.clock.now();
        let slots = broadcast.rate().map(|rate| rate.slots(broadcast.paced_at, now));
        let most = self.may_be_made(broadcast, slots.as_ref()).await?;
        if most == 0 {
            return Ok(0);
        }
        let recipients = self.expansion.recipients(broadcast, broadcast.cursor, most).await?;
        if recipients.is_empty() {
            error!(broadcast.id = %broadcast.id, "the recipients of a broadcast are gone: it cannot go on");
            return Ok(0);
        }
        let refused = |address: &str, content: &Content| self.refusal(broadcast, address, content);
        let (mut messages, mut bytes, mut used) = (Vec::<Message>::with_capacity(recipients.len()), 0, 0);
        for (place, recipient) in (broadcast.cursor..).zip(&recipients) {
            let due = slots.map_or(now, |slots| slots.nth(used));
            let message = broadcast.message(place, recipient, refused, node, (now, due));
            // What fills its texts may be longer than they are.
            bytes += message.content.bytes();
            if bytes > BYTES_AT_ONCE && !messages.is_empty() {
                break;
            }
            // What has failed already needs none.
            used += u32::from(message.next_attempt_at.is_some());
            messages.push(message);
        }
        let paced_at = slots.map(|slots| slots.nth(used));
        if !self.expansion.expand(broadcast, &messages, paced_at, now).await? {
            debug!(broadcast.id = %broadcast.id, "another has changed the broadcast meanwhile");
            return Ok(0);
        }
        debug!(broadcast.id = %broadcast.id, messages = messages.len(), "messages of a broadcast are made");
        Ok(messages.len())
    }

    /// How many messages of it there is room for, in the database and in its slots.
    async fn may_be_made(&self, broadcast: &Broadcast, slots: Option<&Slots>) -> Result<u32, RepositoryError> {
        let wanted = CHUNK.min(broadcast.waits()).min(slots.map_or(CHUNK, |slots| slots.count));
        if wanted == 0 {
            return Ok(0);
        }
        let open = self.expansion.counts(broadcast).await?.open();
        let ahead = broadcast.rate().map_or(self.ahead, |rate| rate.most_open().min(self.ahead));
        let room = u64::from(ahead).saturating_sub(open);
        // Not one by one, as they end.
        if room < u64::from(wanted.min(ahead / 2)).max(1) {
            return Ok(0);
        }
        let fitting = BYTES_AT_ONCE / (broadcast.content.bytes() + 1);
        let most = room.min(fitting.max(1)).min(wanted.into());
        Ok(u32::try_from(most).unwrap_or(CHUNK))
    }

    /// What its channel would refuse: a sentence.
    fn refusal(&self, broadcast: &Broadcast, address: &str, content: &Content) -> Option<String> {
        let problems = self.channels.find(&broadcast.channel)?.check_message(address, content).err()?;
        let said: Vec<String> = problems.iter().map(|it| format!("{} {}", it.path, it.detail)).collect();
        Some(format!("{}.", said.join("; ")))
    }
}
