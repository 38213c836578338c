use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};

use super::lanes::{LanePlace, Lanes};
use crate::application::ports::{ChannelSender, Clock, Ids};
use crate::domain::Timestamp;
use crate::domain::instance::Instance;
use crate::domain::message::{Draft, MessageId, OrderingKey};

/// Requests that wait in direct mode for the one that is calling their recipient.
pub const MOST_WAITING: usize = 100;

/// How long each of them does.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Gives each message its id and, if it keeps an order, its turn among the messages to its recipient.
pub struct Turns {
    lanes: Lanes,
    ids: Arc<dyn Ids>,
    clock: Arc<dyn Clock>,
    /// Whether callers wait for the delivery, and so for their turn.
    callers_wait: bool,
}

/// What too many requests wait for; or this one has waited for its recipient for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    Recipient,
    Instance,
    /// All instances of the tenant together.
    Tenant,
}

impl Turns {
    pub fn new(ids: Arc<dyn Ids>, clock: Arc<dyn Clock>, callers_wait: bool) -> Self {
        Self { lanes: Lanes::default(), ids, clock, callers_wait }
    }

    /// Also a place in the lane of its recipient, for a message that keeps an order: one that waits for its time keeps none. Where
    /// callers wait and the instance takes one call at a time, all its messages have one lane.
    ///
    /// # Errors
    /// When too many wait for this recipient.
    pub fn next(
        &self,
        sender: &dyn ChannelSender,
        instance: &Instance,
        draft: &Draft,
        now: Timestamp,
    ) -> Result<(MessageId, Option<LanePlace>), Busy> {
        let takes_one_call = self.callers_wait && instance.one_call_at_a_time == Some(true);
        if !(sender.keeps_order() || takes_one_call) || draft.send_at.is_some_and(|send_at| send_at > now) {
            return Ok((MessageId(self.ids.next()), None));
        }
        let most = if self.callers_wait { MOST_WAITING } else { usize::MAX };
        let (key, busy) = match takes_one_call {
            true => (OrderingKey { instance: instance.id, recipient: String::new() }, Busy::Instance),
            false => (draft.ordering_key(instance.id), Busy::Recipient),
        };
        let place = self.lanes.enter(key, self.ids.as_ref(), most).ok_or(busy)?;
        Ok((MessageId(place.id), Some(place)))
    }

    /// Whether a caller waits, and its message is not next.
    pub fn has_to_wait(&self, place: &mut LanePlace) -> bool {
        self.callers_wait && place.has_to_wait()
    }

    /// # Errors
    /// When the turn has not come within [`LONGEST_WAIT`].
    pub async fn in_time(&self, place: &mut LanePlace) -> Result<(), Busy> {
        let busy = if place.is_of_instance() { Busy::Instance } else { Busy::Recipient };
        match select(Box::pin(place.turn()), self.clock.sleep(LONGEST_WAIT)).await {
            Either::Left(_) => Ok(()),
            Either::Right(_) => Err(busy),
        }
    }
}
