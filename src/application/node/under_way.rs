use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt;
use futures::channel::mpsc;

use crate::domain::message::MessageId;

/// The messages that a loop has begun to deal with and not yet seen the end of.
#[derive(Clone)]
pub struct UnderWay {
    /// With the bytes of content that are kept for each.
    messages: Arc<Mutex<HashMap<MessageId, u64>>>,
    finished: Arc<Mutex<mpsc::Sender<()>>>,
}

/// Signalled when one of the messages has ended since the last read.
pub struct Finished(mpsc::Receiver<()>);

/// One message under way; it has ended when this is dropped, also by a panic.
pub struct Entry {
    id: MessageId,
    under_way: UnderWay,
}

impl UnderWay {
    pub fn new() -> (Self, Finished) {
        // At most one or two signals wait: they say that an entry has ended, not how many.
        let (finished, receiver) = mpsc::channel(1);
        (Self { messages: Arc::default(), finished: Arc::new(Mutex::new(finished)) }, Finished(receiver))
    }

    /// `None` if the message is under way already. So many bytes are kept until its end.
    pub fn enter(&self, id: MessageId, bytes: u64) -> Option<Entry> {
        let mut messages = self.lock();
        if messages.contains_key(&id) {
            return None;
        }
        messages.insert(id, bytes);
        Some(Entry { id, under_way: self.clone() })
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// How many bytes are kept.
    pub fn bytes(&self) -> u64 {
        self.lock().values().sum()
    }

    pub fn ids(&self) -> Vec<MessageId> {
        self.lock().keys().copied().collect()
    }

    /// Waits until at most this many messages are left, and this many bytes.
    pub async fn until_at_most(&self, most: usize, bytes: u64, finished: &mut Finished) {
        while finished.0.try_recv().is_ok() {}
        while (self.len() > most || self.bytes() > bytes) && finished.0.next().await.is_some() {}
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<MessageId, u64>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.id);
        // Full: the loop has been signalled already. Closed: the loop has stopped.
        let _ = self.under_way.finished.lock().unwrap_or_else(PoisonError::into_inner).try_send(());
    }
}
