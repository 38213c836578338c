//! Whether an instance may be called now, for callers that wait for the result.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::application::delivery::admission::TOO_FAST;
use crate::application::delivery::breaking::{Breaking, Called, KeptPermit, Refused};
use crate::application::delivery::pacing::{KeptSlot, Pacing};
use crate::application::ports::{ChannelSender, Clock, RepositoryError};
use crate::domain::Timestamp;
use crate::domain::instance::Instance;
use crate::domain::message::MessageId;

pub struct NotBefore {
    pub pacing: Pacing,
    pub breaking: Breaking,
    pub clock: Arc<dyn Clock>,
}

/// The caller is to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    pub pause: Duration,
    /// A sentence for people.
    pub reason: Cow<'static, str>,
}

pub enum Asked {
    Go(Kept),
    Soon(Later),
    /// It takes so long that the message waits in its row, and its caller does not.
    Until(Timestamp),
}

/// What was reserved for the call: the slot of an instance that has a pace, the probe of one whose breaker is open. Free again when
/// this is dropped.
#[derive(Default)]
pub struct Kept {
    _slot: Option<KeptSlot>,
    _probe: Option<KeptPermit>,
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
    pub async fn ask(
        &self,
        sender: &dyn ChannelSender,
        instance: &Instance,
        message: MessageId,
    ) -> Result<Asked, RepositoryError> {
        let probe = match self.ask_breakers(sender, instance, message).await {
            Ok(probe) => probe,
            Err(Refused { reason, pause }) if pause <= LONGEST => {
                return Ok(Asked::Soon(Later { pause, reason: reason.into() }));
            }
            // The relay puts it off.
            Err(_) => return Ok(Asked::Until(self.clock.now())),
        };
        let pace = instance.pace();
        self.pacing.learn(instance.id, pace);
        if pace.is_none() {
            return Ok(Asked::Go(Kept { _slot: None, _probe: probe }));
        }
        if self.pacing.expected(instance.id) <= MOMENT
            && let Some(slot) = self.pacing.next(instance.id, FIRST_ANSWER).await
        {
            self.pacing.until(slot).await;
            let slot = self.pacing.keep(instance.id, message, slot);
            return Ok(Asked::Go(Kept { _slot: Some(slot), _probe: probe }));
        }
        let pause = self.pacing.expected(instance.id);
        if pause <= LONGEST {
            return Ok(Asked::Soon(Later { pause, reason: TOO_FAST.into() }));
        }
        let Some(ticket) = self.pacing.ticket(instance.id) else { return Ok(Asked::Go(Kept::default())) };
        let pause = self.pacing.pause(ticket).await?;
        Ok(Asked::Until(self.clock.now() + pause))
    }

    /// The probe, if there is one to be made now.
    async fn ask_breakers(
        &self,
        sender: &dyn ChannelSender,
        instance: &Instance,
        message: MessageId,
    ) -> Result<Option<KeptPermit>, Refused> {
        if !sender.has_breakers() || self.breaking.has_none() {
            return Ok(None);
        }
        let called = Called {
            tenant: instance.tenant.clone(),
            instance: instance.id,
            host: sender.host(&instance.channel_phone_or_id),
            longest_call: sender.longest_try(),
        };
        let permit = self.breaking.ask(&called).await?;
        Ok(Some(self.breaking.keep(message, permit)))
    }
}
