use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use futures::FutureExt;
use tracing::debug;

use super::event;
use super::webhook::CHANNEL;
use crate::application::Stop;
use crate::application::node::held_messages::{HeldMessages, Hold};
use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::unreconciled::{InHand, Unreconciled};
use crate::application::ports::{Clock, Ids, MessageQueue, RepositoryError, StatusChanges};
use crate::application::service::Repeated;
use crate::domain::Timestamp;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::{Content, Direction, Message, MessageId, MessageStatus, Purpose};
use crate::domain::node::NodeId;
use crate::domain::status_webhook::{Change, StatusSubscription, Subscriber, TRIES};

/// Makes messages of changes, and hands them to the queue; where handing over is delivering, the relay does, as it delivers all that
/// is due.
pub struct TellChanges {
    pub changes: Arc<dyn StatusChanges>,
    pub queue: Arc<dyn MessageQueue>,
    pub identity: NodeIdentity,
    pub held: HeldMessages,
    pub unreconciled: Unreconciled,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    /// When it was looked for the last time for what was removed by hand.
    pub looked_at: Option<Duration>,
}

/// Of a round.
const PORTIONS: usize = 20;

/// Between two looks for messages that were removed by hand.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// One that was just made has hardly ended.
const JUST_MADE: TimeDelta = TimeDelta::minutes(5);

impl TellChanges {
    /// One transaction, and what it stored handed over. Returns whether there may be more.
    async fn tell(&self) -> Result<bool, RepositoryError> {
        let node = self.identity.current_or_wait().await?;
        let now = self.clock.now();
        let is_handed_over = self.queue.waiting_status() == MessageStatus::Queued;
        let stored: Mutex<Vec<(Message, Option<Hold>)>> = Mutex::default();
        let compose = |change: &Change, to: &Subscriber| {
            let due = (!is_handed_over).then_some(now);
            let message = Message { next_attempt_at: due, ..self.message(change, to, node, now) };
            if is_handed_over {
                let hold = self.held.hold(message.id);
                stored.lock().unwrap_or_else(PoisonError::into_inner).push((message.clone(), hold));
            }
            message
        };
        let told = self.changes.tell(&compose).await;
        let stored = stored.into_inner().unwrap_or_else(PoisonError::into_inner);
        match told {
            Ok(told) => {
                // All are in hand before the first is handed over, whatever becomes of that; and free to be claimed.
                let in_hand = |(message, _): (Message, Option<Hold>)| {
                    let in_hand = self.unreconciled.in_hand(message.id, node);
                    (message, in_hand)
                };
                for (message, in_hand) in stored.into_iter().map(in_hand).collect::<Vec<_>>() {
                    self.hand_over(&message, in_hand).await;
                }
                Ok(told.more)
            }
            Err(error) => {
                if matches!(error, RepositoryError::Unavailable(_)) {
                    let held = stored.into_iter().filter_map(|(message, hold)| Some((message.id, hold?)));
                    held.for_each(|(id, hold)| self.unreconciled.accept(id, node, hold));
                }
                Err(error)
            }
        }
    }

    /// What the queue does not take is handed over again by the relay.
    async fn hand_over(&self, message: &Message, in_hand: InHand) {
        match self.queue.hand_over(message).await {
            Ok(_) => in_hand.is_handed_over(),
            Err(error) => debug!(message.id = %message.id, %error, "left to the relay"),
        }
    }

    fn message(&self, change: &Change, to: &Subscriber, node: NodeId, now: Timestamp) -> Message {
        let payload = Some(event::of(&change.message));
        Message {
            id: MessageId(self.ids.next()),
            tenant: to.tenant.clone(),
            user_id: to.user_id.clone(),
            instance_id: to.id,
            channel: ChannelName::new(CHANNEL),
            channel_instance_id: StatusSubscription::instance_name(to.id),
            recipient: change.message.id.to_string(),
            group: None,
            broadcast: None,
            content: Content { text: None, media: None, payload, template: None, record: None },
            direction: Direction::Sent,
            purpose: Some(Purpose::Status),
            status: MessageStatus::Queued,
            channel_message_id: None,
            error: None,
            failure: None,
            tries: 0,
            max_tries: TRIES,
            priority: None,
            send_at: None,
            try_number: 0,
            attempt_started_at: None,
            attempt_http_status: None,
            node: Some(node),
            next_attempt_at: None,
            deferrals: 0,
            deferred_since: None,
            is_unanswered: false,
            replays: 0,
            dead_lettered_at: None,
            created_at: now,
            updated_at: now,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            flaw: None,
        }
    }

    async fn look_for_missed(&mut self) -> Result<(), RepositoryError> {
        let now = self.clock.monotonic();
        if self.looked_at.is_some_and(|last| now.saturating_sub(last) < LOOK_INTERVAL) {
            return Ok(());
        }
        self.looked_at = Some(now);
        self.changes.note_missed(self.clock.now() - JUST_MADE).await
    }
}

#[async_trait]
impl Repeated for TellChanges {
    fn name(&self) -> &'static str {
        "status webhooks"
    }

    fn purpose(&self) -> &'static str {
        "tell subscribers of changes"
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(250)
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        self.look_for_missed().await?;
        for _ in 0..PORTIONS {
            if !self.tell().await? || stop.clone().now_or_never().is_some() {
                break;
            }
        }
        Ok(())
    }
}
