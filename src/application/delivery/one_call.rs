use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use crate::application::ports::until_answered::until_answered;
use crate::application::ports::{CallTurns, Clock, RepositoryError, Tasks};
use crate::domain::instance::InstanceId;
use crate::domain::message::{Message, MessageId, MessageStatus};

/// Lets one message at a time be sent through an instance that takes one call at a time, whichever process sends it: a call that
/// is stuck there holds up every other that is begun beside it. Copies are alike.
#[derive(Clone)]
pub struct OneCall {
    pub turns: Arc<dyn CallTurns>,
    pub clock: Arc<dyn Clock>,
    pub tasks: Arc<dyn Tasks>,
}

/// The turn of a message, which ends when this is dropped.
pub struct CallTurn {
    one_call: OneCall,
    instance: InstanceId,
    message: MessageId,
}

/// How long a message waits that can be put off instead.
const PATIENCE: Duration = Duration::from_secs(5);

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

impl OneCall {
    /// None when the turn has not come: for a caller that waits within `longest_call`, for others within five seconds.
    ///
    /// # Errors
    /// When the database refuses to say whose turn it is.
    pub async fn turn(&self, message: &Message, longest_call: Duration) -> Result<Option<CallTurn>, RepositoryError> {
        let Some(node) = message.node else { return Ok(None) };
        let patience = if message.status == MessageStatus::Pending { longest_call } else { PATIENCE };
        let since = self.clock.monotonic();
        let turn = CallTurn { one_call: self.clone(), instance: message.instance_id, message: message.id };
        let mut pause = FIRST_PAUSE;
        loop {
            let take = || self.turns.take(message.instance_id, message.id, node);
            if until_answered(self.clock.as_ref(), take).await? {
                return Ok(Some(turn));
            }
            if self.clock.monotonic().saturating_sub(since) >= patience {
                return Ok(None);
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Drop for CallTurn {
    /// Until it is answered: a turn that is not given back would be kept for as long as this process lives.
    fn drop(&mut self) {
        let (OneCall { turns, clock, tasks }, instance, message) = (self.one_call.clone(), self.instance, self.message);
        let give_back = async move {
            let given_back = until_answered(clock.as_ref(), || turns.give_back(instance, message)).await;
            if let Err(error) = given_back {
                tracing::error!(instance.id = %instance, %error, "the turn of an instance cannot be given back");
            }
        };
        tasks.spawn(give_back.boxed());
    }
}
