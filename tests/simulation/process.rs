//! One process of the simulation: the real use cases, on adapters that the scheduler runs.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::Stop;
use correio::application::delivery::consume_messages::ConsumeMessages;
use correio::application::delivery::consumption::Limits;
use correio::application::delivery::deliver_message::DeliverMessage;
use correio::application::delivery::direct_message_queue::DirectMessageQueue;
use correio::application::messages::lanes::Lanes;
use correio::application::messages::replay_messages::ReplayMessages;
use correio::application::messages::send_message::SendMessage;
use correio::application::node::held_messages::HeldMessages;
use correio::application::node::keep_node_alive::KeepNodeAlive;
use correio::application::node::node_identity::NodeIdentity;
use correio::application::node::tally::Tally;
use correio::application::node::unreconciled::Unreconciled;
use correio::application::ports::*;
use correio::application::recovery::give_back_forgotten::GiveBackForgotten;
use correio::application::recovery::pay_dead_letters::PayDeadLetters;
use correio::application::recovery::relay_due_messages::{RelayDueMessages, RelaySettings};
use correio::domain::Timestamp;
use correio::domain::message::dead_letter::DeadLetterPolicy;
use correio::domain::message::retry::RetryPolicy;
use correio::domain::node::NodeId;
use correio::infrastructure::auth::XChaChaCredentialsCipher;
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use uuid::Uuid;

use super::broker::{SimBroker, SimQueue, SimSource};
use super::channel::SimChannel;
use super::chronicle::Chronicle;
use super::planted::{CompareMemoryFirst, HastySource, NoNodes, Planted};
use super::scheduler::{ProcessId, Scheduler};
use super::weather::{Outage, SimWeather};
use crate::support::given;
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

/// The names of a process, told to the chronicle.
struct NodeNames {
    ids: Arc<SimIds>,
    chronicle: Chronicle,
}

impl Ids for NodeNames {
    fn next(&self) -> Uuid {
        let id = self.ids.next();
        self.chronicle.named(NodeId(id), self.ids.process);
        id
    }
}

struct SimRandomness(Scheduler);

impl Randomness for SimRandomness {
    fn chance(&self) -> f64 {
        self.0.draw(fastrand::Rng::f64)
    }
}

/// Tasks that a stopping process waits for.
#[derive(Clone)]
pub struct SimTasks {
    scheduler: Scheduler,
    process: ProcessId,
    under_way: Arc<AtomicUsize>,
}

impl Tasks for SimTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let place = TaskPlace::enter(&self.under_way);
        self.scheduler.spawn(
            self.process,
            Box::pin(async move {
                let _place = place;
                task.await;
            }),
        );
    }
}

/// Counts until it is dropped, also by a panic.
struct TaskPlace(Arc<AtomicUsize>);

impl TaskPlace {
    fn enter(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for TaskPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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
    pub chronicle: Chronicle,
    pub database: MemoryDatabase,
    pub outage: Outage,
    pub broker: SimBroker,
    pub channel: SimChannel,
    pub max_tries: u32,
    pub next_process: Arc<AtomicU64>,
    pub planted: Option<Planted>,
}

pub struct SimProcess {
    pub id: ProcessId,
    pub send_message: Arc<SendMessage>,
    pub replay_messages: Arc<ReplayMessages>,
    pub weather: Arc<SimWeather>,
    pub wall_clock: Arc<AtomicI64>,
    pub tasks: Arc<SimTasks>,
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
        let sim_ids = Arc::new(SimIds { clock: sim_clock, process: id, last: Mutex::default() });
        let ids: Arc<dyn Ids> = sim_ids.clone();
        let weather = Arc::new(SimWeather {
            scheduler: scheduler.clone(),
            process: id,
            database: around.database.clone(),
            outage: around.outage.clone(),
            chronicle: around.chronicle.clone(),
            state: Mutex::default(),
        });
        let database = around.database.under(weather.clone()).adapters();
        let channels = Channels::new([Arc::new(around.channel.of(id)) as Arc<dyn ChannelSender>]);
        let identity = NodeIdentity::new(clock.clone(), NODE_TIMEOUT);
        let (held, unreconciled, tally) = (HeldMessages::default(), Unreconciled::default(), Tally::default());
        let sim_tasks = Arc::new(SimTasks { scheduler: scheduler.clone(), process: id, under_way: Arc::default() });
        let tasks: Arc<dyn Tasks> = sim_tasks.clone();
        let dead_letters = match mode {
            Mode::Direct => DeadLetterPolicy::Row,
            Mode::Kafka => DeadLetterPolicy::Topic,
        };
        let process = Arc::new(DeliverMessage {
            messages: database.messages.clone(),
            instances: database.instances.clone(),
            channels: channels.clone(),
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
            Mode::Kafka => SimQueue::new(&around.broker, id, clock.clone(), unreconciled.clone()),
        };
        let is_brokered = mode == Mode::Kafka;
        let topic: Option<Arc<dyn DeadLetterTopic>> = is_brokered.then(|| Arc::new(around.broker.clone()) as _);
        let send_message = Arc::new(SendMessage {
            messages: database.messages.clone(),
            instances: database.instances.clone(),
            channels: channels.clone(),
            queue: queue.clone(),
            identity: identity.clone(),
            held: held.clone(),
            lanes: Lanes::default(),
            unreconciled: unreconciled.clone(),
            clock: clock.clone(),
            ids,
            tally: tally.clone(),
            max_tries: around.max_tries,
        });
        let keep_node_alive = KeepNodeAlive {
            nodes: database.nodes.clone(),
            due: database.due.clone(),
            identity: identity.clone(),
            clock: clock.clone(),
            ids: Arc::new(NodeNames { ids: sim_ids, chronicle: around.chronicle.clone() }),
            unreconciled: unreconciled.clone(),
            duties: Duties { publishes: is_brokered, consumes: is_brokered },
        };
        let give_back = GiveBackForgotten {
            due: database.due.clone(),
            identity: identity.clone(),
            held: held.clone(),
            clock: clock.clone(),
        };
        let compare: Box<dyn FnOnce(Stop) -> BoxFuture<'static, ()> + Send> = match around.planted {
            Some(Planted::NoComparison) => Box::new(|_| Box::pin(async {})),
            Some(Planted::MemoryBeforeRows) => Box::new(|stop| Box::pin(CompareMemoryFirst(give_back).run(stop))),
            _ => Box::new(|stop| Box::pin(async move { give_back.run(stop).await })),
        };
        let relay = RelayDueMessages {
            due: database.due.clone(),
            nodes: database.nodes.clone(),
            queue: queue.clone(),
            identity: identity.clone(),
            held,
            unreconciled,
            clock: clock.clone(),
            tasks: tasks.clone(),
            settings: RelaySettings::default(),
        };
        let settle = Arc::new(PayDeadLetters {
            owed: database.owed_dead_letters.clone(),
            nodes: match around.planted {
                Some(Planted::WritesOffAtOnce) => Arc::new(NoNodes(database.nodes.clone())),
                _ => database.nodes.clone(),
            },
            topic: topic.clone(),
            identity,
            clock: clock.clone(),
            tasks: tasks.clone(),
            tally,
        });
        let consume = is_brokered.then(|| {
            let source = SimSource::new(&around.broker, id);
            Arc::new(ConsumeMessages {
                source: match around.planted {
                    Some(Planted::OffsetBeforeOutcome) => Arc::new(HastySource(source)),
                    _ => source,
                },
                process,
                messages: database.messages.clone(),
                dead_letters: Arc::new(around.broker.clone()),
                channels,
                clock: clock.clone(),
                tasks,
                limits: Limits { concurrency: 4, records: 40, bytes: 1 << 20 },
            })
        });
        let replay_messages = Arc::new(ReplayMessages { failed: database.failed.clone(), clock: clock.clone() });
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped: Stop = stopped.map(|_| ()).boxed().shared();
        let life = Life {
            keep_node_alive,
            relay,
            compare,
            settle,
            consume,
            queue,
            clock,
            scheduler: scheduler.clone(),
            tasks: sim_tasks.clone(),
            chronicle: around.chronicle.clone(),
            id,
        };
        scheduler.spawn(id, Box::pin(life.live(stopped)));
        Self { id, send_message, replay_messages, weather, wall_clock, tasks: sim_tasks, stop: Some(stop) }
    }

    /// Asks it to stop in good order.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }
}

struct Life {
    keep_node_alive: KeepNodeAlive,
    relay: RelayDueMessages,
    compare: Box<dyn FnOnce(Stop) -> BoxFuture<'static, ()> + Send>,
    settle: Arc<PayDeadLetters>,
    consume: Option<Arc<ConsumeMessages>>,
    queue: Arc<dyn MessageQueue>,
    clock: Arc<dyn Clock>,
    scheduler: Scheduler,
    tasks: Arc<SimTasks>,
    chronicle: Chronicle,
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
        let stopped_beating = beside(&self.scheduler, self.id, async move { heart.run(heart_stopped).await });
        let (relay, stop) = (self.relay, stopped.clone());
        let loops = [
            beside(&self.scheduler, self.id, async move { relay.run(stop).await }),
            beside(&self.scheduler, self.id, (self.compare)(stopped.clone())),
            beside(&self.scheduler, self.id, self.settle.run(stopped.clone())),
        ];
        if let Some(consume) = self.consume {
            consume.run(stopped.clone()).await;
        }
        stopped.await;
        for one in loops {
            one.await;
        }
        while self.tasks.under_way.load(Ordering::Relaxed) > 0 {
            self.clock.sleep(Duration::from_millis(50)).await;
        }
        self.queue.close().await;
        drop(stop_heart);
        stopped_beating.await;
        keep_node_alive.leave(self.queue.scope() == QueueScope::Shared).await;
        self.chronicle.interrupted(Some(self.id), self.scheduler.now(), Duration::MAX);
        self.scheduler.kill(self.id);
    }
}

/// Runs in a task of its own, so that a statement of one loop holds up no other; what it returns waits for the end.
fn beside(
    scheduler: &Scheduler,
    process: ProcessId,
    task: impl Future<Output = ()> + Send + 'static,
) -> BoxFuture<'static, ()> {
    let (ended, end) = oneshot::channel::<()>();
    scheduler.spawn(
        process,
        Box::pin(async move {
            task.await;
            let _ = ended.send(());
        }),
    );
    end.map(|_| ()).boxed()
}
