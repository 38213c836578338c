//! Delivery without a broker: handing over is delivering.

use std::sync::Arc;

use async_trait::async_trait;

use super::deliver_message::{ClaimResult, DeliverMessage};
use crate::application::ports::{Handover, MessageQueue, QueueError, QueueScope};
use crate::domain::Timestamp;
use crate::domain::message::{Message, MessageStatus};

/// Delivers what it is handed while the caller waits.
pub struct DirectMessageQueue {
    process: Arc<DeliverMessage>,
    concurrency: usize,
}

impl DirectMessageQueue {
    /// The relay may have `concurrency` deliveries under way; those whose callers wait come on top.
    pub fn new(process: Arc<DeliverMessage>, concurrency: usize) -> Self {
        Self { process, concurrency }
    }
}

#[async_trait]
impl MessageQueue for DirectMessageQueue {
    fn waiting_status(&self) -> MessageStatus {
        MessageStatus::Pending
    }

    fn scope(&self) -> QueueScope {
        QueueScope::Nowhere
    }

    fn free_capacity(&self) -> usize {
        self.concurrency
    }

    async fn hand_over(&self, message: &Message) -> Result<Handover, QueueError> {
        if message.status == MessageStatus::Pending {
            let message = self.process.deliver_pending(message.clone()).await;
            return Ok(Handover::Done(Box::new(message)));
        }
        match self.process.claim_and_deliver(message.id, &|| ()).await {
            Ok(ClaimResult::Delivered(message)) => Ok(Handover::Done(message)),
            Ok(ClaimResult::Nothing | ClaimResult::Held) => Ok(Handover::Queued),
            Err(error) => Err(QueueError(error.to_string())),
        }
    }

    fn lost_before(&self) -> Option<Timestamp> {
        None
    }

    /// Nothing to wait for here: a stopping process waits for the tasks that deliver.
    async fn close(&self) {}
}
