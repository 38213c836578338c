use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::node::unreconciled::Unreconciled;
use correio::application::ports::*;
use correio::domain::Timestamp;
use correio::domain::message::{Message, MessageStatus};

use super::{PUBLISH_TIMEOUT, ProcessId, SimBroker, Trouble};

/// A process's producer.
pub struct SimQueue {
    broker: SimBroker,
    clock: Arc<dyn Clock>,
    unreconciled: Unreconciled,
    /// In the process's memory, in order.
    waiting: Arc<Mutex<VecDeque<(Message, Duration)>>>,
}

impl SimQueue {
    pub fn new(broker: &SimBroker, process: ProcessId, clock: Arc<dyn Clock>, unreconciled: Unreconciled) -> Arc<Self> {
        let queue = Arc::new(Self { broker: broker.clone(), clock, unreconciled, waiting: Arc::default() });
        let pump = queue.clone();
        broker.scheduler.spawn(process, Box::pin(async move { pump.publish().await }));
        queue
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(Message, Duration)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn publish(&self) {
        let scheduler = &self.broker.scheduler;
        loop {
            let pause = scheduler.between(Duration::from_millis(1), Duration::from_millis(20));
            scheduler.sleep(pause).await;
            let trouble = self.broker.state().trouble;
            let is_away = self.broker.state().is_away;
            let now = scheduler.now();
            loop {
                let is_late = |since: Duration| now.saturating_sub(since) >= PUBLISH_TIMEOUT;
                let reorder = scheduler.chance(trouble.reordered);
                let next = {
                    let mut waiting = self.waiting();
                    match waiting.front() {
                        None => break,
                        Some((_, since)) if is_away && !is_late(*since) => break,
                        Some(_) if reorder => waiting.pop_back(),
                        Some(_) => waiting.pop_front(),
                    }
                };
                let Some((message, _)) = next else { break };
                if reorder {
                    let overtaken = self.waiting().iter().map(|(message, _)| message.id).collect::<Vec<_>>();
                    self.broker.state().disordered.extend(overtaken.into_iter().chain([message.id]));
                }
                self.report(&message, trouble, is_away);
            }
        }
    }

    fn report(&self, message: &Message, trouble: Trouble, is_away: bool) {
        let scheduler = &self.broker.scheduler;
        let failed = || {
            self.broker.chronicle.say_of(message.id, scheduler.now(), "is reported as not published");
            if let Some(node) = message.node {
                self.unreconciled.not_handed_over(message.id, node);
            }
        };
        if is_away || scheduler.chance(trouble.report_is_error) {
            return failed();
        }
        if scheduler.chance(trouble.dropped) {
            self.broker.chronicle.say_of(message.id, scheduler.now(), "is dropped by Kafka");
            return;
        }
        self.broker.append(message);
        if scheduler.chance(trouble.repeated) {
            self.broker.append(message);
        }
        if scheduler.chance(trouble.error_although_appended) {
            failed();
        }
    }
}

#[async_trait]
impl MessageQueue for SimQueue {
    fn waiting_status(&self) -> MessageStatus {
        MessageStatus::Queued
    }

    fn scope(&self) -> QueueScope {
        QueueScope::Shared
    }

    fn free_capacity(&self) -> usize {
        if self.broker.state().is_away { 0 } else { 100 }
    }

    async fn hand_over(&self, message: &Message) -> Result<Handover, QueueError> {
        let refused = self.broker.state().trouble.refused;
        if self.broker.scheduler.chance(refused) {
            return Err(QueueError("refused".to_owned()));
        }
        let since = self.broker.scheduler.now();
        self.waiting().push_back((message.clone(), since));
        Ok(Handover::Queued)
    }

    fn lost_before(&self) -> Option<Timestamp> {
        Some(self.broker.lost_before(self.clock.now()))
    }

    async fn close(&self) {
        while !self.waiting().is_empty() {
            self.broker.scheduler.sleep(Duration::from_millis(50)).await;
        }
    }
}
