use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;

use crate::domain::message::{Message, MessageId};

/// Callers that wait for the outcome of their message, and are answered before that when the database does not take it: it
/// is stored and was delivered, and its outcome is written again until it has landed.
#[derive(Clone, Default)]
pub struct EarlyAnswers(Arc<Mutex<HashMap<MessageId, oneshot::Sender<Message>>>>);

impl EarlyAnswers {
    /// `caller` waits for the message, until the guard is dropped.
    pub fn wait(&self, id: MessageId, caller: oneshot::Sender<Message>) -> Waiting {
        self.callers().insert(id, caller);
        Waiting { id, answers: self.clone() }
    }

    pub fn has_caller(&self, id: MessageId) -> bool {
        self.callers().contains_key(&id)
    }

    /// Answers the caller of the message, if one waits, with the message as it is stored.
    pub fn answer(&self, message: &Message) {
        let caller = self.callers().remove(&message.id);
        if let Some(caller) = caller {
            // One that has gone needs no answer.
            let _ = caller.send(message.clone());
        }
    }

    fn callers(&self) -> MutexGuard<'_, HashMap<MessageId, oneshot::Sender<Message>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a caller waiting.
pub struct Waiting {
    id: MessageId,
    answers: EarlyAnswers,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.answers.callers().remove(&self.id);
    }
}
