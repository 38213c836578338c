//! Delivery without a broker: handing over is delivering.

use std::sync::Arc;

use async_trait::async_trait;

use crate::application::ports::{Handover, MessageQueue, QueueError};
use crate::application::process_message_queue::ProcessMessageQueue;
use crate::domain::message::{Message, MessageStatus};

/// Delivers what it is handed while the caller waits.
pub struct DirectMessageQueue {
    process: Arc<ProcessMessageQueue>,
}

impl DirectMessageQueue {
    pub fn new(process: Arc<ProcessMessageQueue>) -> Self {
        Self { process }
    }
}

#[async_trait]
impl MessageQueue for DirectMessageQueue {
    fn waiting_status(&self) -> MessageStatus {
        MessageStatus::Pending
    }

    async fn hand_over(&self, message: &Message) -> Result<Handover, QueueError> {
        if message.status == MessageStatus::Pending {
            let message = self.process.deliver_pending(message.clone()).await;
            return Ok(Handover::Done(Box::new(message)));
        }
        match self.process.claim_and_deliver(message.id).await {
            Ok(Some(message)) => Ok(Handover::Done(Box::new(message))),
            Ok(None) => Ok(Handover::Queued),
            Err(error) => Err(QueueError(error.to_string())),
        }
    }
}
