use crate::application::ports::{FinishedStep, NewEvent};
use crate::domain::event::{EventId, Step};
use crate::infrastructure::storage::shared::Batchable;

impl Batchable for NewEvent {
    type Key = (String, String, String);

    /// A statement can write a key only once.
    fn key(&self) -> Option<Self::Key> {
        let event = &self.event;
        let key = event.key.clone().unwrap_or_else(|| event.id.to_string());
        Some((event.tenant.as_str().to_owned(), event.source.clone(), key))
    }

    fn size(&self) -> usize {
        self.event.data.len() + size_of::<Self>()
    }
}

impl Batchable for FinishedStep {
    type Key = (EventId, Step);

    fn key(&self) -> Option<Self::Key> {
        Some((self.event, self.step))
    }

    fn size(&self) -> usize {
        size_of::<Self>()
    }
}
