//! Whether an instance may be called now, for callers that wait for the result.

use std::sync::Arc;
use std::time::Duration;

use crate::application::delivery::admission::TOO_FAST;
use crate::application::delivery::pacing::{KeptSlot, Pacing};
use crate::application::ports::{Clock, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::instance::Instance;
use crate::domain::message::MessageId;

pub struct NotBefore {
    pub pacing: Pacing,
    pub clock: Arc<dyn Clock>,
}

/// The caller is to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    pub pause: Duration,
    /// A sentence for people.
    pub reason: &'static str,
}

pub enum Asked {
    /// With the slot of an instance that has a pace.
    Go(Option<KeptSlot>),
    Soon(Later),
    /// It takes so long that the message waits in its row, and its caller does not.
    Until(Timestamp),
}

/// A caller is not sent away for less.
const MOMENT: Duration = Duration::from_millis(50);

/// How long the database may take to say whether there is a slot.
const FIRST_ANSWER: Duration = Duration::from_millis(250);

/// A caller is not told to come back after longer.
const LONGEST: Duration = Duration::from_secs(30);

impl NotBefore {
    /// # Errors
    /// When the database does not answer.
    pub async fn ask(&self, instance: &Instance, message: MessageId) -> Result<Asked, RepositoryError> {
        let pace = instance.pace();
        self.pacing.learn(instance.id, pace);
        if pace.is_none() {
            return Ok(Asked::Go(None));
        }
        if self.pacing.expected(instance.id) <= MOMENT
            && let Some(slot) = self.pacing.next(instance.id, FIRST_ANSWER).await
        {
            self.pacing.until(slot).await;
            return Ok(Asked::Go(Some(self.pacing.keep(instance.id, message, slot))));
        }
        let pause = self.pacing.expected(instance.id);
        if pause <= LONGEST {
            return Ok(Asked::Soon(Later { pause, reason: TOO_FAST }));
        }
        let Some(ticket) = self.pacing.ticket(instance.id) else { return Ok(Asked::Go(None)) };
        let pause = self.pacing.pause(ticket).await?;
        Ok(Asked::Until(self.clock.now() + pause))
    }
}
