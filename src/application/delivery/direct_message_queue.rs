//! Delivery without a broker: handing over is delivering.

use std::sync::Arc;

use async_trait::async_trait;

use super::admission::{Admission, Answer};
use super::calls::Calls;
use super::deliver_message::{ClaimResult, DeliverMessage};
use super::put_off_message::PutOffMessage;
use crate::application::ports::{Handover, MessageQueue, QueueError, QueueScope};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::{Message, MessageStatus};

/// Delivers what it is handed while the caller waits.
pub struct DirectMessageQueue {
    deliver: Arc<DeliverMessage>,
    put_off: PutOffMessage,
    admission: Admission,
    calls: Calls,
    concurrency: usize,
}

impl DirectMessageQueue {
    /// The relay may have `concurrency` deliveries under way; those whose callers wait come on top.
    pub fn new(deliver: Arc<DeliverMessage>, put_off: PutOffMessage, admission: Admission, concurrency: usize) -> Self {
        let calls = Calls::new(deliver.clock.clone());
        Self { deliver, put_off, admission, calls, concurrency }
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

    fn hanging(&self) -> usize {
        self.calls.hanging(self.concurrency)
    }

    fn full_instances(&self) -> Vec<InstanceId> {
        self.admission.full()
    }

    async fn hand_over(&self, message: &Message) -> Result<Handover, QueueError> {
        if message.status == MessageStatus::Pending {
            let message = self.deliver.deliver_pending(message.clone()).await;
            return Ok(Handover::Done(Box::new(message)));
        }
        let waits = self.calls.wait();
        let answer = self.admission.ask(message.instance_id).await;
        drop(waits);
        let taken = match answer {
            Answer::Go(pass) => self.deliver.claim_and_deliver(message.id, &self.calls.begin(pass)).await,
            Answer::NotBefore(wait) => {
                let put_off = self.put_off.execute(message.id, &wait, None).await;
                return put_off.map(|_| Handover::Queued).map_err(|error| QueueError(error.to_string()));
            }
        };
        match taken {
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
