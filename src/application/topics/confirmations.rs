use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;

use crate::domain::message::{Message, MessageId, MessageStatus};

/// Callers that wait to hear what becomes of their messages, however many tries that takes and whichever of this process's
/// loops makes them. Copies share it.
#[derive(Clone, Default)]
pub struct Confirmations(Arc<Mutex<HashMap<MessageId, Caller>>>);

struct Caller {
    ended: oneshot::Sender<Ended>,
    so_far: SoFar,
}

/// How a message has ended.
#[derive(Clone, Debug)]
pub struct Ended {
    pub status: MessageStatus,
    pub channel_message_id: Option<String>,
    pub error: Option<String>,
    /// What its caller is to be answered, as the channel said.
    pub http_status: Option<u16>,
}

/// What is known of a message that has not ended.
#[derive(Clone, Debug, Default)]
pub struct SoFar {
    /// The channel has taken it, and the database does not know yet.
    pub channel_message_id: Option<String>,
    /// Why its last try did not succeed.
    pub error: Option<String>,
}

/// A caller's wait. Dropping it ends it.
pub struct Waiting {
    id: MessageId,
    ended: oneshot::Receiver<Ended>,
    confirmations: Confirmations,
}

impl Confirmations {
    pub fn wait(&self, id: MessageId) -> Waiting {
        let (sender, ended) = oneshot::channel();
        self.callers().insert(id, Caller { ended: sender, so_far: SoFar::default() });
        Waiting { id, ended, confirmations: self.clone() }
    }

    /// The channel has taken the message; its outcome is being recorded.
    pub fn taken(&self, id: MessageId, channel_message_id: Option<&str>) {
        if let Some(caller) = self.callers().get_mut(&id) {
            caller.so_far.channel_message_id = channel_message_id.map(str::to_owned);
        }
    }

    /// A try of the message is over, and recorded.
    pub fn heard(&self, message: &Message) {
        let mut callers = self.callers();
        if message.status.is_open() {
            if let Some(caller) = callers.get_mut(&message.id) {
                caller.so_far.error.clone_from(&message.error);
            }
            return;
        }
        let Some(caller) = callers.remove(&message.id) else { return };
        drop(callers);
        let ended = Ended {
            status: message.status,
            channel_message_id: message.channel_message_id.clone(),
            error: message.error.clone(),
            http_status: message.attempt_http_status,
        };
        // A caller that has gone needs no answer.
        let _ = caller.ended.send(ended);
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<MessageId, Caller>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Resolves when the message has ended in this process; never, if that happens in another one.
    pub async fn ended(&mut self) -> Ended {
        match (&mut self.ended).await {
            Ok(ended) => ended,
            Err(oneshot::Canceled) => std::future::pending().await,
        }
    }

    pub fn so_far(&self) -> SoFar {
        self.confirmations.callers().get(&self.id).map(|caller| caller.so_far.clone()).unwrap_or_default()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.confirmations.callers().remove(&self.id);
    }
}
