//! One process of the simulation: the real use cases, on adapters that the scheduler runs.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::Stop;
use correio::application::consume_messages::ConsumeMessages;
use correio::application::consumption::Limits;
use correio::application::held_messages::HeldMessages;
use correio::application::keep_node_alive::KeepNodeAlive;
use correio::application::lanes::Lanes;
use correio::application::node_identity::NodeIdentity;
use correio::application::ports::*;
use correio::application::process_message_queue::ProcessMessageQueue;
use correio::application::relay_due_messages::{RelayDueMessages, RelaySettings};
use correio::application::send_message::SendMessage;
use correio::application::settle_dead_letters::SettleDeadLetters;
use correio::application::tally::Tally;
use correio::application::unsettled::Unsettled;
use correio::domain::Timestamp;
use correio::domain::dead_letter::DeadLetterPolicy;
use correio::domain::message::{Message, MessageStatus};
use correio::domain::retry::RetryPolicy;
use correio::infrastructure::auth::XChaChaCredentialsCipher;
use correio::infrastructure::direct::DirectMessageQueue;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use uuid::Uuid;

use super::broker::{SimBroker, SimQueue, SimSource};
use super::scheduler::{ProcessId, Scheduler};
use super::weather::SimWeather;
use crate::contracts::given;
use crate::support::memory::MemoryDatabase;

pub const NODE_TIMEOUT: Duration = Duration::from_secs(5);
pub const KEY: [u8; 32] = [7; 32];

/// The simulation's time, as one process sees it: its wall clock may jump.
pub struct SimClock {
    pub scheduler: Scheduler,
    /// Milliseconds.
    pub jumped: Arc<AtomicI64>,
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let jumped = chrono::Duration::milliseconds(self.jumped.load(Ordering::Relaxed));
        let passed = i64::try_from(self.scheduler.now().as_millis()).unwrap();
        given::at(0) + chrono::Duration::milliseconds(passed) + jumped
    }

    fn monotonic(&self) -> Duration {
        self.scheduler.now()
    }

    async fn sleep(&self, duration: Duration) {
        self.scheduler.sleep(duration).await;
    }
}

/// UUIDv7s of the simulation's time.
pub struct SimIds {
    clock: Arc<SimClock>,
    process: ProcessId,
    last: Mutex<(u64, u64)>,
}

impl Ids for SimIds {
    fn next(&self) -> Uuid {
        let now = u64::try_from(self.clock.now().timestamp_millis()).unwrap();
        let mut last = self.last.lock().unwrap();
        *last = if now > last.0 { (now, 0) } else { (last.0, last.1 + 1) };
        let (milliseconds, count) = *last;
        let upper = (milliseconds << 16) | 0x7000 | (count & 0xfff);
        Uuid::from_u64_pair(upper, 0x8000_0000_0000_0000 | (u64::from(self.process.0) << 32) | count)
    }
}

struct SimRandomness(Scheduler);

impl Randomness for SimRandomness {
    fn chance(&self) -> f64 {
        self.0.draw(fastrand::Rng::f64)
    }
}

struct SimTasks(Scheduler, ProcessId);

impl Tasks for SimTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.spawn(self.1, task);
    }
}

/// Counts what the relay hands over.
struct Counted {
    queue: Arc<dyn MessageQueue>,
    handed_over: Arc<AtomicUsize>,
}

#[async_trait]
impl MessageQueue for Counted {
    fn waiting_status(&self) -> MessageStatus {
        self.queue.waiting_status()
    }

    fn keeping(&self) -> Keeping {
        self.queue.keeping()
    }

    fn room(&self) -> usize {
        self.queue.room()
    }

    async fn hand_over(&self, message: &Message) -> Result<Handover, QueueError> {
        self.handed_over.fetch_add(1, Ordering::Relaxed);
        self.queue.hand_over(message).await
    }

    fn lost_before(&self) -> Option<Timestamp> {
        self.queue.lost_before()
    }

    async fn close(&self) {
        self.queue.close().await;
    }
}

/// How a process is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Direct,
    Kafka,
}

/// What all processes share.
#[derive(Clone)]
pub struct Surroundings {
    pub scheduler: Scheduler,
    pub database: MemoryDatabase,
    pub broker: SimBroker,
    pub channels: Channels,
    pub max_retries: u32,
    /// Of all processes.
    pub handed_over_by_relay: Arc<AtomicUsize>,
    pub next_process: Arc<AtomicU64>,
}

pub struct SimProcess {
    pub id: ProcessId,
    pub send_message: Arc<SendMessage>,
    pub weather: Arc<SimWeather>,
    pub wall_clock: Arc<AtomicI64>,
    stop: Option<oneshot::Sender<()>>,
}

impl SimProcess {
    /// Starts it, as `correio serve` does.
    pub fn start(around: &Surroundings, mode: Mode) -> Self {
        let id = ProcessId(u32::try_from(around.next_process.fetch_add(1, Ordering::Relaxed)).unwrap());
        let scheduler = around.scheduler.clone();
        let wall_clock = Arc::new(AtomicI64::new(0));
        let sim_clock = Arc::new(SimClock { scheduler: scheduler.clone(), jumped: wall_clock.clone() });
        let clock: Arc<dyn Clock> = sim_clock.clone();
        let ids: Arc<dyn Ids> = Arc::new(SimIds { clock: sim_clock, process: id, last: Mutex::default() });
        let weather = Arc::new(SimWeather::new(scheduler.clone()));
        let database = around.database.under(weather.clone()).adapters();
        let identity = NodeIdentity::new(clock.clone(), NODE_TIMEOUT);
        let (held, unsettled, tally) = (HeldMessages::default(), Unsettled::default(), Tally::default());
        let tasks: Arc<dyn Tasks> = Arc::new(SimTasks(scheduler.clone(), id));
        let dead_letters = match mode {
            Mode::Direct => DeadLetterPolicy::Row,
            Mode::Kafka => DeadLetterPolicy::Topic,
        };
        let process = Arc::new(ProcessMessageQueue {
            messages: database.messages.clone(),
            instances: database.instances.clone(),
            channels: around.channels.clone(),
            cipher: Arc::new(XChaChaCredentialsCipher::new(&KEY, &[])),
            identity: identity.clone(),
            held: held.clone(),
            clock: clock.clone(),
            randomness: Arc::new(SimRandomness(scheduler.clone())),
            policy: RetryPolicy { backoff: [1, 4].map(Duration::from_secs).to_vec() },
            dead_letters,
            tally: tally.clone(),
        });
        let queue: Arc<dyn MessageQueue> = match mode {
            Mode::Direct => Arc::new(DirectMessageQueue::new(process.clone(), 8)),
            Mode::Kafka => SimQueue::new(&around.broker, id, clock.clone(), unsettled.clone()),
        };
        let is_brokered = mode == Mode::Kafka;
        let topic: Option<Arc<dyn DeadLetterTopic>> = is_brokered.then(|| Arc::new(around.broker.clone()) as _);
        let send_message = Arc::new(SendMessage {
            messages: database.messages.clone(),
            instances: database.instances.clone(),
            channels: around.channels.clone(),
            queue: queue.clone(),
            identity: identity.clone(),
            held: held.clone(),
            lanes: Lanes::default(),
            unsettled: unsettled.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            tally: tally.clone(),
            max_retries: around.max_retries,
        });
        let keep_node_alive = KeepNodeAlive {
            nodes: database.nodes.clone(),
            due: database.due.clone(),
            identity: identity.clone(),
            clock: clock.clone(),
            ids,
            unsettled: unsettled.clone(),
            duties: Duties { publishes: is_brokered, consumes: is_brokered },
        };
        let relay = RelayDueMessages {
            due: database.due.clone(),
            nodes: database.nodes.clone(),
            queue: Arc::new(Counted { queue: queue.clone(), handed_over: around.handed_over_by_relay.clone() }),
            identity: identity.clone(),
            held,
            unsettled,
            clock: clock.clone(),
            tasks: tasks.clone(),
            settings: RelaySettings::default(),
        };
        let settle = Arc::new(SettleDeadLetters {
            owed: database.owed_dead_letters.clone(),
            nodes: database.nodes.clone(),
            topic: topic.clone(),
            identity,
            clock: clock.clone(),
            tasks: tasks.clone(),
            tally,
        });
        let consume = is_brokered.then(|| {
            Arc::new(ConsumeMessages {
                source: SimSource::new(&around.broker, id),
                process,
                messages: database.messages.clone(),
                dead_letters: Arc::new(around.broker.clone()),
                channels: around.channels.clone(),
                clock: clock.clone(),
                tasks,
                limits: Limits { concurrency: 4, records: 40, bytes: 1 << 20 },
            })
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped: Stop = stopped.map(|_| ()).boxed().shared();
        let life = Life { keep_node_alive, relay, settle, consume, queue, clock, scheduler: scheduler.clone(), id };
        scheduler.spawn(id, Box::pin(life.live(stopped)));
        Self { id, send_message, weather, wall_clock, stop: Some(stop) }
    }

    /// Asks it to stop in good order.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }
}

struct Life {
    keep_node_alive: KeepNodeAlive,
    relay: RelayDueMessages,
    settle: Arc<SettleDeadLetters>,
    consume: Option<Arc<ConsumeMessages>>,
    queue: Arc<dyn MessageQueue>,
    clock: Arc<dyn Clock>,
    scheduler: Scheduler,
    id: ProcessId,
}

impl Life {
    async fn live(self, stopped: Stop) {
        while self.keep_node_alive.register().await.is_err() {
            self.clock.sleep(Duration::from_millis(250)).await;
        }
        let (stop_heart, heart_stopped) = oneshot::channel::<()>();
        let heart_stopped: Stop = heart_stopped.map(|_| ()).boxed().shared();
        let keep_node_alive = Arc::new(self.keep_node_alive);
        let heart = keep_node_alive.clone();
        let (beaten, stopped_beating) = oneshot::channel::<()>();
        self.scheduler.spawn(
            self.id,
            Box::pin(async move {
                heart.run(heart_stopped).await;
                let _ = beaten.send(());
            }),
        );
        let relay = self.relay.run(stopped.clone());
        let settle = self.settle.run(stopped.clone());
        let consume = self.consume.map(|consume| consume.run(stopped.clone()));
        futures::join!(relay, settle, futures::future::OptionFuture::from(consume));
        stopped.await;
        self.queue.close().await;
        drop(stop_heart);
        let _ = stopped_beating.await;
        keep_node_alive.leave(self.queue.keeping() == Keeping::Shared).await;
    }
}
