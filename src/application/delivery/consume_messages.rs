use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::{mpsc, oneshot};
use futures::future::select as select_first;
use futures::stream::select;
use futures::{FutureExt, StreamExt, stream};
use tracing::{debug, error, info, warn};

use super::consumption::{Consequence, Consumption, Job, JobTicket, Limits, SlotId};
use super::deliver_message::{ClaimResult, DeliverMessage};
use crate::application::Stop;
use crate::application::ports::until_answered::until_answered;
use crate::application::ports::{
    Arrival, Broker, Channels, Clock, DeadLetterTopic, MessageRepository, MessageSource, Partition, Record, Tasks,
};
use crate::application::service::Service;
use crate::domain::message::MessageId;

/// Delivers the records that arrive from the broker: one key in order, different keys concurrently, never more than can
/// be worked on. A record's offset counts as finished when its outcome is recorded, when its claim got nothing, and
/// when nothing more can be done about the record: it was set aside, or its delivery panicked (the comparison then gives
/// the message back).
pub struct ConsumeMessages {
    pub source: Arc<dyn MessageSource>,
    pub broker: Arc<dyn Broker>,
    pub process: Arc<DeliverMessage>,
    pub messages: Arc<dyn MessageRepository>,
    pub dead_letters: Arc<dyn DeadLetterTopic>,
    pub channels: Channels,
    pub clock: Arc<dyn Clock>,
    pub tasks: Arc<dyn Tasks>,
    pub limits: Limits,
}

enum Event {
    Arrived(Arrival),
    Called(SlotId),
    Ended(JobTicket, Ending),
    Stop,
}

/// How the delivery of a record ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Done,
    /// The delivery was not begun: the partition's new owner will read the record again.
    Left,
}

/// Partitions to give up, and the signal that the source waits for.
struct Leaving {
    partitions: Vec<Partition>,
    drained: oneshot::Sender<()>,
}

#[async_trait]
impl Service for Arc<ConsumeMessages> {
    fn name(&self) -> &'static str {
        "consumer"
    }

    async fn run(self: Box<Self>, stop: Stop) {
        // A consumer immediately finds a topic that exists when it begins.
        select_first(stop.clone(), self.broker.prepare()).await;
        self.consume(stop).await;
    }
}

impl ConsumeMessages {
    /// Runs until `stop` has resolved and the partitions are given up in good order.
    async fn consume(self: Arc<Self>, stop: Stop) {
        let (told, endings) = mpsc::unbounded();
        let arrivals = stream::unfold(self.source.clone(), |source| async move {
            let arrival = source.next().await;
            Some((Event::Arrived(arrival), source))
        });
        let stopped = stream::once(stop).map(|()| Event::Stop);
        let mut events = select(select(endings, stopped).boxed(), arrivals.boxed());
        let mut consumption = Consumption::new(self.limits);
        let mut leaving: Vec<Leaving> = Vec::new();
        while let Some(event) = events.next().await {
            match event {
                Event::Arrived(Arrival::Assigned(partitions)) => {
                    info!(?partitions, "assigned");
                    consumption.assigned(&partitions);
                }
                Event::Arrived(Arrival::Record(record)) => {
                    let lane = self.lane(&record);
                    self.carry_out(consumption.arrived(record, lane));
                }
                Event::Arrived(Arrival::GivenUp { partitions, drained }) => {
                    info!(?partitions, "given up");
                    consumption.give_up(&partitions);
                    leaving.push(Leaving { partitions, drained });
                }
                Event::Arrived(Arrival::Closed) => return,
                Event::Called(slot) => consumption.called(slot),
                Event::Ended(ticket, ending) => self.carry_out(consumption.ended(ticket, ending == Ending::Done)),
                Event::Stop => self.source.close(),
            }
            while let Some(job) = consumption.begin() {
                self.clone().start(job, told.clone());
            }
            for done in leaving.extract_if(.., |one| consumption.is_drained(&one.partitions)) {
                // The source may have stopped waiting.
                let _ = done.drained.send(());
            }
        }
    }

    fn carry_out(&self, consequences: impl IntoIterator<Item = Consequence>) {
        for consequence in consequences {
            match consequence {
                Consequence::Finished(partition, offset) => self.source.finished(partition, offset),
                Consequence::Pause(partition) => self.source.pause(partition),
                Consequence::Resume(partition) => self.source.resume(partition),
            }
        }
    }

    /// The lane of records that must not overtake each other. A record that is not ours waits for no other.
    fn lane(&self, record: &Record) -> Option<Vec<u8>> {
        let call = record.content.as_ref().ok()?;
        let keeps_order = self.channels.find(&call.channel).is_none_or(|sender| sender.keeps_order());
        record.key.clone().filter(|_| keeps_order)
    }

    fn start(self: Arc<Self>, job: Job, told: mpsc::UnboundedSender<Event>) {
        let tasks = self.tasks.clone();
        let ending = ReportEnding { ticket: Some(job.ticket.clone()), ending: None, told };
        tasks.spawn(
            async move {
                let mut ending = ending;
                let ended = self.deliver(&job, || ending.report_called()).await;
                ending.ending = Some(ended);
            }
            .boxed(),
        );
    }

    async fn deliver(&self, job: &Job, called: impl Fn() + Send + Sync) -> Ending {
        const LONGEST_WAIT: Duration = Duration::from_secs(2);
        let call = match &job.record.content {
            Ok(call) => call,
            Err(reason) => return self.set_aside(job, reason).await,
        };
        let mut wait = Duration::from_millis(50);
        loop {
            if job.is_given_up() {
                return Ending::Left;
            }
            match self.process.claim_and_deliver(call.message_id, &called).await {
                Ok(ClaimResult::Delivered(_)) => return Ending::Done,
                // Most often a second copy, or claimed by another node.
                Ok(ClaimResult::Nothing) if self.exists(call.message_id).await => return Ending::Done,
                Ok(ClaimResult::Nothing) => return self.set_aside(job, "names a message that does not exist").await,
                // The task that holds it may fail to claim it: then it is for this copy to do so.
                Ok(ClaimResult::Held) => self.clock.sleep(wait).await,
                Err(cause) if cause.may_pass() => {
                    debug!(message.id = %call.message_id, %cause, "could not be claimed; tried again");
                    self.clock.sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(cause) => {
                    error!(message.id = %call.message_id, %cause, "cannot be claimed");
                    return self.set_aside(job, "names a message whose row cannot be read").await;
                }
            }
        }
    }

    /// Also true of a row that cannot be read.
    async fn exists(&self, id: MessageId) -> bool {
        let found = until_answered(self.clock.as_ref(), || self.messages.find(id)).await;
        !matches!(found, Ok(None))
    }

    /// Puts a record that cannot be delivered on the dead-letter topic. If that keeps failing, the record is logged and
    /// stays in its topic: it must not block its partition.
    async fn set_aside(&self, job: &Job, reason: &str) -> Ending {
        const PATIENCE: Duration = Duration::from_secs(60);
        let record = &job.record;
        warn!(partition = record.partition.0, offset = record.offset, reason, "a record that cannot be delivered");
        let begun = self.clock.monotonic();
        let mut wait = Duration::from_secs(1);
        loop {
            let Err(cause) = self.dead_letters.put_record(record, reason).await else { return Ending::Done };
            if job.is_given_up() {
                return Ending::Left;
            }
            if self.clock.monotonic().saturating_sub(begun) >= PATIENCE {
                error!(
                    partition = record.partition.0, offset = record.offset, reason, %cause,
                    "it could not be put among the dead letters; passed over"
                );
                return Ending::Done;
            }
            self.clock.sleep(wait).await;
            wait *= 2;
        }
    }
}

/// Reports how a delivery ended, also when its task panicked or was dropped.
struct ReportEnding {
    ticket: Option<JobTicket>,
    ending: Option<Ending>,
    told: mpsc::UnboundedSender<Event>,
}

impl ReportEnding {
    fn report_called(&self) {
        if let Some(ticket) = &self.ticket {
            // The receiver is gone when the consumer has been closed.
            let _ = self.told.unbounded_send(Event::Called(ticket.slot));
        }
    }
}

impl Drop for ReportEnding {
    fn drop(&mut self) {
        // A panic must not hold up its partition, and its message is found by the comparison. A task that is dropped
        // belongs to a process that ends: what it left is for other processes.
        let otherwise = if std::thread::panicking() { Ending::Done } else { Ending::Left };
        if let Some(ticket) = self.ticket.take() {
            // The receiver is gone when the consumer has been closed.
            let _ = self.told.unbounded_send(Event::Ended(ticket, self.ending.unwrap_or(otherwise)));
        }
    }
}
