//! What the tests of a consumption begin with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use uuid::Uuid;

use super::{Admission, Consequence, Consumption, End, Job, Limits, Now};
use crate::application::delivery::pacing::Pacing;
use crate::application::ports::{Clock, DeliveryRequest, Paces, Partition, Record, RepositoryError, SlotsAsked, Tasks};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::pace::Reserved;
use crate::domain::message::MessageId;

pub const ONE: Partition = Partition(1);

pub fn record(partition: Partition, offset: i64) -> Record {
    record_of(0, partition, offset)
}

pub fn record_of(instance: u128, partition: Partition, offset: i64) -> Record {
    let call = DeliveryRequest {
        message_id: MessageId(Uuid::nil()),
        instance: InstanceId(Uuid::from_u128(instance)),
        channel: ChannelName::new("webhook"),
        omits_content: false,
    };
    Record { partition, offset, key: None, value: None, content: Ok(call) }
}

/// A consumption, and the time, which stands still.
pub struct Scene {
    pub consumption: Consumption,
    pub clock: Arc<StoppedClock>,
}

/// By both clocks: the monotonic one, and how far the wall clock was set since.
#[derive(Default)]
pub struct StoppedClock(Mutex<Duration>, Mutex<chrono::TimeDelta>);

#[async_trait]
impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.monotonic() + *self.1.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}

/// Where no instance has a pace.
struct NoPaces;

#[async_trait]
impl Paces for NoPaces {
    async fn reserve(&self, _: &SlotsAsked) -> Result<Reserved, RepositoryError> {
        Err(RepositoryError::Unavailable("there are none".to_owned()))
    }
}

#[async_trait]
impl Tasks for NoPaces {
    fn spawn(&self, _: BoxFuture<'static, ()>) {}

    fn spawn_service(&self, _: &'static str, _: BoxFuture<'static, ()>) {}

    fn under_way(&self) -> usize {
        0
    }

    async fn finished(&self) {}
}

impl Scene {
    /// One instance may have all places.
    pub fn new(limits: Limits) -> Self {
        Self::sharing(limits, usize::MAX)
    }

    pub fn sharing(limits: Limits, share: usize) -> Self {
        let clock = Arc::new(StoppedClock::default());
        Self {
            consumption: Consumption::new(
                limits,
                Admission::new(clock.clone(), share, Pacing::new(Arc::new(NoPaces), clock.clone(), Arc::new(NoPaces))),
            ),
            clock,
        }
    }

    pub fn now(&self) -> Now {
        Now { monotonic: self.clock.monotonic(), time: self.clock.now() }
    }

    /// So many seconds pass; what follows from that.
    pub fn pass(&mut self, seconds: u64) -> Vec<Consequence> {
        *self.clock.0.lock().unwrap() += Duration::from_secs(seconds);
        self.consumption.passed(self.now())
    }

    /// The wall clock is set.
    pub fn set_by(&mut self, seconds: i64) {
        *self.clock.1.lock().unwrap() += chrono::TimeDelta::seconds(seconds);
    }

    pub fn time(&self, seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + chrono::Duration::seconds(seconds)
    }

    pub fn assigned(&mut self, partitions: &[Partition]) {
        self.consumption.assigned(partitions, self.now());
    }

    pub fn give_up(&mut self, partitions: &[Partition]) {
        self.consumption.give_up(partitions, self.now());
    }

    pub fn is_drained(&self, partitions: &[Partition]) -> bool {
        self.consumption.is_drained(partitions)
    }

    pub fn arrived(&mut self, record: Record, lane: Option<Vec<u8>>) -> Option<Consequence> {
        self.consumption.arrived(record, lane, self.now())
    }

    pub fn begin(&mut self) -> Option<Job> {
        self.consumption.begin(self.now())
    }

    pub fn called(&mut self, job: &Job) {
        if let Some(pass) = &job.pass {
            pass.leave();
        }
        self.consumption.called(job.slot);
    }

    pub fn ended(&mut self, job: Job, end: End) -> Vec<Consequence> {
        let slot = job.slot;
        drop(job);
        self.consumption.ended(slot, end, self.now())
    }
}

pub fn offsets(jobs: &[Job]) -> Vec<i64> {
    jobs.iter().map(|job| job.record.offset).collect()
}

pub fn lane(key: &str) -> Option<Vec<u8>> {
    Some(key.as_bytes().to_vec())
}

pub fn with_one_partition(limits: Limits) -> Scene {
    let mut consumption = Scene::new(limits);
    consumption.assigned(&[ONE]);
    consumption
}

pub fn limits(concurrency: usize, records: usize) -> Limits {
    Limits { concurrency, records, bytes: usize::MAX }
}

pub fn begin_all(consumption: &mut Scene) -> Vec<Job> {
    std::iter::from_fn(|| consumption.begin()).collect()
}
