//! One process of the simulation: the real use cases, on adapters that the scheduler runs.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::Stop;
use correio::application::delivery::consumption::Limits;
use correio::application::gateway::{Brokered, Gateway, Ports, Settings, Transport};
use correio::application::life::Farewell;
use correio::application::node::answered_claims::AnsweredClaims;
use correio::application::node::node_identity::NodeIdentity;
use correio::application::node::this_node::ThisNode;
use correio::application::ports::*;
use correio::domain::Timestamp;
use correio::domain::message::MaxTries;
use correio::domain::message::retry::RetryPolicy;
use correio::domain::receipt::StuckAfter;
use correio::infrastructure::auth::XChaChaCredentialsCipher;
use correio::infrastructure::expressions::{BoundedExpressions, JsonSchemas};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::BoxFuture;
use uuid::Uuid;

use super::broker::{SimBroker, SimQueue, SimSource};
use super::channel::SimChannel;
use super::chronicle::Chronicle;
use super::named::Speaker;
use super::planted::{self, HastySource, Planted};
use super::receipts::SimEvents;
use super::scheduler::{ProcessId, Scheduler};
use super::weather::{Outage, SimWeather};
use crate::application::gateway::no_tokens;
use crate::support::given;
use crate::support::memory::MemoryDatabase;
use crate::support::no_sign_in::NoSignIn;

pub const NODE_TIMEOUT: Duration = Duration::from_secs(5);
pub const KEY: [u8; 32] = [7; 32];

/// Less than an outage of the database may last: some processes do not get to stop in good order.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Tasks that a stopping process waits for, and its services.
#[derive(Clone)]
pub struct SimTasks {
    scheduler: Scheduler,
    process: ProcessId,
    chronicle: Chronicle,
    under_way: Arc<AtomicUsize>,
}

#[async_trait]
impl Tasks for SimTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let counted = Counted::new(&self.under_way);
        self.scheduler.spawn(
            self.process,
            Box::pin(async move {
                let _counted = counted;
                task.await;
            }),
        );
    }

    fn spawn_service(&self, name: &'static str, service: BoxFuture<'static, ()>) {
        self.chronicle.runs(name);
        self.scheduler.spawn(self.process, service);
    }

    fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    async fn finished(&self) {
        while self.under_way() > 0 {
            self.scheduler.sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Counts until it is dropped, also by a panic.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Counted {
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
    pub retention: Option<Duration>,
    /// How long a process waits for an answer of the database.
    pub patience: Duration,
}

pub struct SimProcess {
    pub id: ProcessId,
    pub gateway: Arc<Gateway>,
    pub weather: Arc<SimWeather>,
    pub wall_clock: Arc<AtomicI64>,
    pub tasks: Arc<SimTasks>,
    stop: Option<oneshot::Sender<()>>,
}

impl SimProcess {
    /// Starts it, as `correio serve` does.
    pub fn start(around: &Surroundings, mode: Mode) -> Self {
        let id = ProcessId(u32::try_from(around.next_process.fetch_add(1, Ordering::Relaxed)).unwrap());
        let wall_clock = Arc::new(AtomicI64::new(0));
        let clock = Arc::new(SimClock { scheduler: around.scheduler.clone(), jumped: wall_clock.clone() });
        let weather = around.weather(id);
        let tasks = Arc::new(SimTasks {
            scheduler: around.scheduler.clone(),
            process: id,
            chronicle: around.chronicle.clone(),
            under_way: Arc::default(),
        });
        let mut node = ThisNode::new(clock.clone(), NODE_TIMEOUT);
        if around.planted.is_some_and(Planted::is_without_margin) {
            node.identity = NodeIdentity::new(clock.clone(), NODE_TIMEOUT + Duration::from_secs(1));
        }
        let transport = around.transport(id, mode, &node, clock.clone());
        let ports = around.ports(id, &node, clock.clone(), weather.clone(), tasks.clone());
        let nodes = ports.stores.nodes.clone();
        let gateway = Arc::new(Gateway::assemble(ports, transport, node, around.settings(mode)));
        let services = planted::services(around.planted, &gateway, nodes);
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped: Stop = stopped.map(|_| ()).boxed().shared();
        let (alive, around) = (gateway.clone(), around.clone());
        let live = async move {
            // A supervisor starts it again.
            while alive.start().await.is_err() {
                clock.sleep(Duration::from_millis(250)).await;
            }
            if alive.live_with(services, |stop| stop, stopped).await == Farewell::Interrupted {
                around.chronicle.cut_short(id);
            }
            around.chronicle.interrupted(Some(id), around.scheduler.now(), Duration::MAX);
            around.scheduler.kill(id);
        };
        tasks.scheduler.spawn(id, Box::pin(live));
        Self { id, gateway, weather, wall_clock, tasks, stop: Some(stop) }
    }

    /// Asks it to stop in good order.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }
}

impl Surroundings {
    fn weather(&self, process: ProcessId) -> Arc<SimWeather> {
        Arc::new(SimWeather {
            scheduler: self.scheduler.clone(),
            process,
            database: self.database.clone(),
            outage: self.outage.clone(),
            chronicle: self.chronicle.clone(),
            patience: self.patience,
            state: Mutex::default(),
        })
    }

    fn ports(
        &self,
        id: ProcessId,
        node: &ThisNode,
        clock: Arc<SimClock>,
        weather: Arc<SimWeather>,
        tasks: Arc<SimTasks>,
    ) -> Ports {
        let speaker = Speaker {
            process: id,
            identity: node.identity.clone(),
            scheduler: self.scheduler.clone(),
            chronicle: self.chronicle.clone(),
        };
        let stores = speaker.heard(self.database.under(weather).adapters().stores);
        let forgets = (self.planted == Some(Planted::PanicsForgetTries)).then(|| node.answered.clone());
        Ports {
            stores: planted::stores(self.planted, stores),
            channels: self.channels(id, forgets),
            cipher: Arc::new(XChaChaCredentialsCipher::new(&KEY, &[])),
            tokens: no_tokens(),
            token_issuer: Arc::new(NoSignIn),
            passwords: Arc::new(NoSignIn),
            expressions: Arc::new(BoundedExpressions::default()),
            schemas: Arc::new(JsonSchemas::default()),
            sources: Arc::new([]),
            ids: Arc::new(SimIds { clock: clock.clone(), process: id, last: Mutex::default() }),
            clock,
            randomness: Arc::new(SimRandomness(self.scheduler.clone())),
            tasks,
            receiver: None,
            topics: None,
            kafka_rest: None,
        }
    }

    fn channels(&self, id: ProcessId, forgets: Option<AnsweredClaims>) -> Channels {
        let mut channels = Channels::new([Arc::new(self.channel.of(id, forgets)) as Arc<dyn ChannelSender>]);
        channels.read_events_by(Arc::new(SimEvents));
        channels
    }

    fn transport(&self, id: ProcessId, mode: Mode, node: &ThisNode, clock: Arc<SimClock>) -> Transport {
        if mode == Mode::Direct {
            return Transport::Direct;
        }
        let source = SimSource::new(&self.broker, id);
        Transport::Brokered(Brokered {
            broker: Arc::new(self.broker.clone()),
            queue: SimQueue::new(&self.broker, id, clock, node.unreconciled.clone()),
            dead_letters: Arc::new(self.broker.clone()),
            source: Some(match self.planted {
                Some(Planted::OffsetBeforeOutcome) => Arc::new(HastySource(source)),
                _ => source,
            }),
        })
    }

    fn settings(&self, mode: Mode) -> Settings {
        Settings {
            max_tries: MaxTries::new(self.max_tries.into()).unwrap(),
            retry: RetryPolicy {
                backoff: [1, 4].map(Duration::from_secs).to_vec(),
                undeliverable_after: Duration::from_secs(60),
            },
            instance_concurrency: 3,
            limits: Limits { concurrency: if mode == Mode::Direct { 8 } else { 4 }, records: 40, bytes: 1 << 20 },
            requests: 4_096,
            shutdown_timeout: SHUTDOWN_TIMEOUT,
            retention: self.retention,
            is_alone: false,
            only_delivers: false,
            // Few, so that there are many chunks.
            broadcast_ahead: 16,
            public_url: None,
            direct_timeout: Duration::from_secs(30),
            max_open_per_tenant: None,
            providers_are_open: false,
            secret_overlap: Duration::from_secs(24 * 60 * 60),
            stuck_after: StuckAfter::default(),
            sign_in_ttl: Duration::from_secs(60 * 60),
            request_limits: None,
        }
    }
}
