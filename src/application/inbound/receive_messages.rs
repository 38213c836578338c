use std::sync::Arc;

use futures::future::try_join_all;

use crate::application::ports::{Clock, Ids, Received, ReceivedMessages, RepositoryError};
use crate::domain::inbound::{Author, InboundMessage};
use crate::domain::instance::Instance;
use crate::domain::message::MessageId;

/// Of one report, which may have thousands: what others report goes into the same statements.
const KEPT_AT_ONCE: usize = 128;

/// Stores what a channel says was written to an instance, or on its phone. Copies are alike.
#[derive(Clone)]
pub struct ReceiveMessages {
    pub received: Arc<dyn ReceivedMessages>,
    pub ids: Arc<dyn Ids>,
    pub clock: Arc<dyn Clock>,
}

impl ReceiveMessages {
    /// What was reported is on disk once this returns. Together, so that those of one report, and of others that come at the
    /// same time, share statements.
    ///
    /// # Errors
    /// When the database does not answer: the channel is to say it again.
    pub async fn keep(&self, instance: &Instance, messages: Vec<InboundMessage>) -> Result<(), RepositoryError> {
        let now = self.clock.now();
        let received = |inbound| Received::of(inbound, instance, MessageId(self.ids.next()), now);
        // In their order: ids rise.
        let received: Vec<Received> = messages.into_iter().map(received).collect();
        for portion in received.chunks(KEPT_AT_ONCE) {
            try_join_all(portion.iter().map(|one| self.keep_one(one))).await?;
        }
        Ok(())
    }

    async fn keep_one(&self, received: &Received) -> Result<(), RepositoryError> {
        match received.author {
            Author::PhoneOrUs => self.received.keep(received).await,
            Author::Another | Author::Phone => self.received.store(received).await.map(|_| ()),
        }
    }
}
