use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::channel::{mpsc, oneshot};
use futures::future::select as select_first;
use futures::stream::select;
use futures::{FutureExt, StreamExt, stream};
use tracing::{debug, error, info, warn};

use super::admission::{Admission, Pass, Wait};
use super::consumption::{Consequence, Consumption, End, Job, Limits, Now, SlotId, Task};
use super::deliver_message::{ClaimResult, DeliverMessage};
use super::pacing::Slot;
use super::progress::Progress;
use super::put_off_message::{PutOff, PutOffMessage};
use crate::application::Stop;
use crate::application::ports::until_answered::until_answered;
use crate::application::ports::{
    Arrival, Broker, Channels, Clock, DeadLetterTopic, MessageRepository, MessageSource, Partition, Record, Tasks,
};
use crate::application::service::Service;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::message::MessageId;

/// Delivers the records that arrive from the broker: one key in order, different keys concurrently, never more than can
/// be worked on. A record's offset counts as finished when its outcome is recorded, when its claim got nothing, when its
/// message was put off, when its call takes long (its row says where it is), and when nothing more can be done about the
/// record: it was set aside, or its delivery panicked (the comparison then gives the message back).
pub struct ConsumeMessages {
    pub source: Arc<dyn MessageSource>,
    pub broker: Arc<dyn Broker>,
    pub deliver: Arc<DeliverMessage>,
    pub put_off: PutOffMessage,
    pub admission: Admission,
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
    Ended(SlotId, End),
    SomeTimeHasPassed,
    HasSlots(InstanceId),
    Stop,
}

/// How often is looked for what takes too long.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

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
        let (events, worked) = mpsc::unbounded();
        let arrivals = stream::unfold(self.source.clone(), |source| async move {
            let arrival = source.next().await;
            Some((Event::Arrived(arrival), source))
        });
        let looks = stream::unfold(self.clock.clone(), |clock| async move {
            clock.sleep(LOOK_INTERVAL).await;
            Some((Event::SomeTimeHasPassed, clock))
        });
        let stopped = stream::once(stop).map(|()| Event::Stop);
        let slots = self.admission.pacing().wakes().map(Event::HasSlots);
        let of_our_own = select(select(worked, stopped), select(looks, slots));
        let mut all = select(of_our_own.boxed(), arrivals.boxed());
        let mut consumption = Consumption::new(self.limits, self.admission.clone());
        let mut leaving: Vec<Leaving> = Vec::new();
        while let Some(event) = all.next().await {
            let now = Now { monotonic: self.clock.monotonic(), time: self.clock.now() };
            match event {
                Event::Arrived(Arrival::Assigned(partitions)) => {
                    info!(?partitions, "assigned");
                    consumption.assigned(&partitions, now);
                }
                Event::Arrived(Arrival::Record(record)) => {
                    let lane = self.lane(&record);
                    self.carry_out(consumption.arrived(record, lane, now));
                }
                Event::Arrived(Arrival::GivenUp { partitions, drained }) => {
                    info!(?partitions, "given up");
                    consumption.give_up(&partitions, now);
                    leaving.push(Leaving { partitions, drained });
                }
                Event::Arrived(Arrival::Closed) => return,
                Event::Called(slot) => consumption.called(slot),
                Event::Ended(slot, end) => self.carry_out(consumption.ended(slot, end, now)),
                Event::SomeTimeHasPassed => self.carry_out(consumption.passed(now)),
                Event::HasSlots(instance) => consumption.has_slots(instance),
                Event::Stop => self.source.close(),
            }
            while let Some(job) = consumption.begin(now) {
                self.clone().start(job, events.clone());
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
        let request = record.content.as_ref().ok()?;
        let keeps_order = self.channels.find(&request.channel).is_none_or(|sender| sender.keeps_order());
        record.key.clone().filter(|_| keeps_order)
    }

    fn start(self: Arc<Self>, mut job: Job, events: mpsc::UnboundedSender<Event>) {
        let tasks = self.tasks.clone();
        let report =
            WorkReport { slot: job.slot, pass: job.pass.take(), is_claimed: job.is_claimed.clone(), end: None, events };
        tasks.spawn(
            async move {
                let mut report = report;
                let end = self.work_on(&job, &report).await;
                report.end = Some(end);
            }
            .boxed(),
        );
    }

    async fn work_on(&self, job: &Job, report: &WorkReport) -> End {
        match (&job.record.content, &job.task) {
            (Ok(request), Task::PutOff { wait, not_before }) => {
                self.put_off(job, request.message_id, wait, *not_before).await
            }
            (Ok(request), _) => self.deliver(job, request.message_id, report).await,
            (Err(reason), _) => self.set_aside(job, reason).await,
        }
    }

    async fn deliver(&self, job: &Job, id: MessageId, report: &WorkReport) -> End {
        const LONGEST_WAIT: Duration = Duration::from_secs(2);
        let mut wait = Duration::from_millis(50);
        loop {
            if job.is_given_up() {
                return End::Left;
            }
            match self.deliver.claim_and_deliver(id, report).await {
                Ok(ClaimResult::Delivered(_)) => return End::Done,
                // Most often a second copy, or claimed by another node.
                Ok(ClaimResult::Nothing) if self.exists(id).await => return End::Done,
                Ok(ClaimResult::Nothing) => return self.names_nothing(job, id).await,
                // The task that holds it may fail to claim it: then this copy claims it.
                Ok(ClaimResult::Held) => self.clock.sleep(wait).await,
                Err(cause) if cause.may_pass() => {
                    debug!(message.id = %id, %cause, "could not be claimed; tried again");
                    self.clock.sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(cause) => {
                    error!(message.id = %id, %cause, "cannot be claimed");
                    return self.set_aside(job, "names a message whose row cannot be read").await;
                }
            }
        }
    }

    async fn put_off(&self, job: &Job, id: MessageId, wait: &Wait, not_before: Option<Timestamp>) -> End {
        const PAUSE: Duration = Duration::from_millis(500);
        loop {
            if job.is_given_up() {
                return End::Left;
            }
            match self.put_off.execute(id, wait, not_before).await {
                Ok(PutOff::Until(time)) => return End::PutOff(time),
                Ok(PutOff::NotWaiting) if self.exists(id).await => return End::Done,
                Ok(PutOff::NotWaiting) => return self.names_nothing(job, id).await,
                Ok(PutOff::Held) => {}
                Err(cause) if cause.may_pass() => debug!(message.id = %id, %cause, "could not be put off; tried again"),
                Err(cause) => {
                    error!(message.id = %id, %cause, "cannot be put off");
                    return self.set_aside(job, "names a message whose row cannot be read").await;
                }
            }
            self.clock.sleep(PAUSE).await;
        }
    }

    async fn names_nothing(&self, job: &Job, id: MessageId) -> End {
        self.broker.names_nothing(id);
        self.set_aside(job, "names a message that does not exist").await
    }

    /// Also true of a row that cannot be read.
    async fn exists(&self, id: MessageId) -> bool {
        let found = until_answered(self.clock.as_ref(), || self.messages.find(id)).await;
        !matches!(found, Ok(None))
    }

    /// Puts a record that cannot be delivered on the dead-letter topic. If that keeps failing, the record is logged and
    /// stays in its topic: it must not block its partition.
    async fn set_aside(&self, job: &Job, reason: &str) -> End {
        const PATIENCE: Duration = Duration::from_secs(60);
        let record = &job.record;
        warn!(
            partition = record.partition.0,
            offset = record.offset,
            reason,
            "setting aside a record that cannot be delivered"
        );
        let begun = self.clock.monotonic();
        let mut wait = Duration::from_secs(1);
        loop {
            let Err(cause) = self.dead_letters.put_record(record, reason).await else { return End::Done };
            if job.is_given_up() {
                return End::Left;
            }
            if self.clock.monotonic().saturating_sub(begun) >= PATIENCE {
                error!(
                    partition = record.partition.0, offset = record.offset, reason, %cause,
                    "the record could not be written to the dead-letter topic and is skipped"
                );
                return End::Done;
            }
            self.clock.sleep(wait).await;
            wait *= 2;
        }
    }
}

/// Reports how the work on a record goes and how it ended, also when its task panicked or was dropped.
struct WorkReport {
    slot: SlotId,
    pass: Option<Pass>,
    is_claimed: Arc<AtomicBool>,
    end: Option<End>,
    events: mpsc::UnboundedSender<Event>,
}

impl WorkReport {
    fn leave(&self) {
        if let Some(pass) = &self.pass {
            pass.leave();
        }
    }

    fn send(&self, event: Event) {
        // The receiver is gone when the consumer has been closed.
        let _ = self.events.unbounded_send(event);
    }
}

impl Progress for WorkReport {
    fn claimed(&self) {
        self.is_claimed.store(true, Ordering::Relaxed);
    }

    fn called(&self) {
        self.leave();
        self.send(Event::Called(self.slot));
    }

    fn slot(&self) -> Option<Slot> {
        self.pass.as_ref().and_then(Pass::take_slot)
    }
}

impl Drop for WorkReport {
    fn drop(&mut self) {
        // A panic must not hold up its partition, and its message is found by the comparison. A task that is dropped
        // belongs to a process that ends: what it left is for other processes.
        let otherwise = if std::thread::panicking() { End::Done } else { End::Left };
        self.leave();
        self.send(Event::Ended(self.slot, self.end.unwrap_or(otherwise)));
    }
}
