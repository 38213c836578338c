use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::consumer_instance::{CreateConsumer, FetchBounds, Fetched, Format, InstanceError, InstanceName};
use crate::application::Stop;
use crate::application::ports::{
    Clock, CommittedOffset, ConsumerSettings, Ids, ReadBounds, RecordConsumer, RecordConsumers, RepositoryError,
    SeekTo, Subscription, TopicPartition,
};
use crate::application::service::Repeated;
use crate::domain::access::principal::Tenant;

/// Consumers that callers hold over HTTP. Each lives in this process, until it is closed or left alone for too long.
pub struct ConsumerInstances {
    consumers: Arc<dyn RecordConsumers>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    /// The group that messages are delivered by, if they travel through Kafka: none of a caller's.
    own_group: Option<String>,
    known: Mutex<HashMap<InstanceName, Arc<Instance>>>,
}

/// An instance without a call for so long is closed.
const IDLE: Duration = Duration::from_secs(300);

/// Each has threads and a few megabytes.
const MOST: usize = 128;

/// Of these, one tenant's.
const MOST_OF_A_TENANT: usize = 64;

struct Instance {
    consumer: Arc<dyn RecordConsumer>,
    format: Format,
    timeout: Duration,
    least_bytes: Option<usize>,
    /// Of what changes what is read, or reads it.
    turn: futures::lock::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    reads: Reads,
    used_at: Duration,
    /// Calls that are being answered.
    calls: usize,
}

/// What an instance was told to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    Nothing,
    Subscribed(Subscription),
    Assigned,
}

/// A call of an instance, which does not expire meanwhile.
struct Call {
    instance: Arc<Instance>,
    clock: Arc<dyn Clock>,
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.instance.state();
        state.calls -= 1;
        state.used_at = self.clock.monotonic();
    }
}

impl Instance {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConsumerInstances {
    pub fn new(
        consumers: Arc<dyn RecordConsumers>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        own_group: Option<String>,
    ) -> Self {
        Self { consumers, clock, ids, own_group, known: Mutex::default() }
    }

    /// Returns its name.
    pub fn create(&self, tenant: &Tenant, group: &str, command: CreateConsumer) -> Result<String, InstanceError> {
        if self.own_group.as_deref() == Some(group) {
            return Err(InstanceError::OwnGroup(group.to_owned()));
        }
        let name = command.name.unwrap_or_else(|| format!("rest-consumer-{}", self.ids.next()));
        let key = InstanceName { tenant: tenant.clone(), group: group.to_owned(), name: name.clone() };
        let mut known = self.known();
        if known.contains_key(&key) {
            return Err(InstanceError::Taken);
        }
        if known.len() >= MOST || known.keys().filter(|other| other.tenant == *tenant).count() >= MOST_OF_A_TENANT {
            return Err(InstanceError::TooMany);
        }
        let settings = ConsumerSettings {
            from_beginning: command.from_beginning,
            commits_itself: command.commits_itself,
            // The group goes on without it once it is forgotten here.
            longest_silence: IDLE + Duration::from_secs(60),
            tenant: Some(tenant.clone()),
        };
        let state = State { reads: Reads::Nothing, used_at: self.clock.monotonic(), calls: 0 };
        let instance = Instance {
            consumer: self.consumers.open(group, &settings)?,
            format: command.format,
            timeout: command.timeout,
            least_bytes: command.least_bytes,
            turn: futures::lock::Mutex::default(),
            state: Mutex::new(state),
        };
        known.insert(key, Arc::new(instance));
        Ok(name)
    }

    pub async fn delete(&self, name: &InstanceName) -> Result<(), InstanceError> {
        let removed = self.known().remove(name);
        removed.ok_or(InstanceError::Unknown)?.consumer.close().await;
        Ok(())
    }

    pub async fn subscribe(&self, name: &InstanceName, subscription: Subscription) -> Result<(), InstanceError> {
        let call = self.call(name)?;
        let _turn = call.instance.turn.lock().await;
        let is_possible = matches!(
            (&call.instance.state().reads, &subscription),
            (Reads::Nothing, _)
                | (Reads::Subscribed(Subscription::Topics(_)), Subscription::Topics(_))
                | (Reads::Subscribed(Subscription::Pattern(_)), Subscription::Pattern(_))
        );
        if !is_possible {
            return Err(InstanceError::Exclusive);
        }
        call.instance.consumer.subscribe(&subscription).await?;
        call.instance.state().reads = Reads::Subscribed(subscription);
        Ok(())
    }

    pub async fn unsubscribe(&self, name: &InstanceName) -> Result<(), InstanceError> {
        let call = self.call(name)?;
        let _turn = call.instance.turn.lock().await;
        call.instance.consumer.unsubscribe().await?;
        call.instance.state().reads = Reads::Nothing;
        Ok(())
    }

    /// The topics that it is subscribed to; of a pattern, those that it reads.
    pub async fn subscription(&self, name: &InstanceName) -> Result<Vec<String>, InstanceError> {
        let call = self.call(name)?;
        let reads = call.instance.state().reads.clone();
        match reads {
            Reads::Nothing | Reads::Assigned => Ok(Vec::new()),
            Reads::Subscribed(Subscription::Topics(topics)) => Ok(topics),
            Reads::Subscribed(Subscription::Pattern(_)) => {
                let mut topics: Vec<String> =
                    call.instance.consumer.assignment().await?.into_iter().map(|place| place.topic).collect();
                topics.sort_unstable();
                topics.dedup();
                Ok(topics)
            }
        }
    }

    pub async fn assign(&self, name: &InstanceName, partitions: &[TopicPartition]) -> Result<(), InstanceError> {
        let call = self.call(name)?;
        let _turn = call.instance.turn.lock().await;
        if matches!(call.instance.state().reads, Reads::Subscribed(_)) {
            return Err(InstanceError::Exclusive);
        }
        call.instance.consumer.assign(partitions).await?;
        call.instance.state().reads = if partitions.is_empty() { Reads::Nothing } else { Reads::Assigned };
        Ok(())
    }

    pub async fn assignment(&self, name: &InstanceName) -> Result<Vec<TopicPartition>, InstanceError> {
        let call = self.call(name)?;
        let mut assigned = call.instance.consumer.assignment().await?;
        assigned.sort_unstable();
        Ok(assigned)
    }

    /// Returns what `answer` makes of the records within `room`, which is only waited for once they are there: who waits for
    /// records holds none. The records count as given out once the answer exists, and come again without one.
    ///
    /// # Errors
    /// [`InstanceError::OtherFormat`] when the caller does not take what the instance was made for.
    pub async fn fetch<R, T, E: From<InstanceError>>(
        &self,
        name: &InstanceName,
        takes: impl FnOnce(Format) -> bool,
        bounds: FetchBounds,
        room: impl Future<Output = Result<R, E>>,
        answer: impl FnOnce(R, &Fetched) -> Result<T, E>,
    ) -> Result<T, E> {
        let call = self.call(name)?;
        let Instance { consumer, format, timeout: own, least_bytes, turn, .. } = &*call.instance;
        if !takes(*format) {
            return Err(InstanceError::OtherFormat.into());
        }
        let _turn = turn.lock().await;
        let FetchBounds { timeout, most_bytes } = bounds;
        if call.instance.state().reads != Reads::Nothing {
            let timeout = timeout.unwrap_or(*own).min(*own);
            let bounds = ReadBounds { timeout, least_bytes: *least_bytes, most_bytes };
            consumer.read_ahead(bounds).await.map_err(InstanceError::from)?;
        }
        let room = room.await?;
        let fetched = Fetched { format: *format, records: consumer.take(most_bytes) };
        match answer(room, &fetched) {
            Ok(answer) => {
                consumer.gave(&fetched.records);
                Ok(answer)
            }
            Err(error) => {
                consumer.take_back(fetched.records);
                Err(error)
            }
        }
    }

    /// None: all that was fetched.
    pub async fn commit(&self, name: &InstanceName, offsets: Option<&[CommittedOffset]>) -> Result<(), InstanceError> {
        Ok(self.call(name)?.instance.consumer.commit(offsets).await?)
    }

    pub async fn committed(
        &self,
        name: &InstanceName,
        partitions: &[TopicPartition],
    ) -> Result<Vec<CommittedOffset>, InstanceError> {
        Ok(self.call(name)?.instance.consumer.committed(partitions).await?)
    }

    pub async fn seek(&self, name: &InstanceName, places: &[(TopicPartition, SeekTo)]) -> Result<(), InstanceError> {
        let call = self.call(name)?;
        if places.is_empty() {
            return Ok(());
        }
        let _turn = call.instance.turn.lock().await;
        let assigned = call.instance.consumer.assignment().await?;
        if let Some((away, _)) = places.iter().find(|(place, _)| !assigned.contains(place)) {
            return Err(InstanceError::NotAssigned(away.clone()));
        }
        Ok(call.instance.consumer.seek(places).await?)
    }

    fn call(&self, name: &InstanceName) -> Result<Call, InstanceError> {
        let instance = self.known().get(name).cloned().ok_or(InstanceError::Unknown)?;
        instance.state().calls += 1;
        Ok(Call { instance, clock: self.clock.clone() })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<InstanceName, Arc<Instance>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was left alone for too long. What it gave out last and nobody asked for more after is not committed: its
    /// caller may never have got it.
    pub fn forget_idle(&self) {
        let now = self.clock.monotonic();
        self.known().retain(|_, instance| {
            let state = instance.state();
            state.calls > 0 || now.saturating_sub(state.used_at) < IDLE
        });
    }
}

/// Closes consumers that their callers have left.
#[async_trait]
impl Repeated for Arc<ConsumerInstances> {
    fn name(&self) -> &'static str {
        "consumer instances"
    }

    fn purpose(&self) -> &'static str {
        "close consumers that were left"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        self.forget_idle();
        Ok(())
    }
}
