//! One run: processes, clients, faults as the seed draws them, then peace, then the question whether the promises were kept.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use correio::application::ports::{ChannelSender, Channels, CredentialsCipher};
use correio::application::send_message::{SendMessageCommand, SendMessageError};
use correio::domain::idempotency::{IdempotencyKey, IdempotentRequest};
use correio::domain::instance::Instance;
use correio::domain::message::{Content, Draft, Message, MessageId, MessageStatus};
use correio::domain::principal::{Principal, Scope};
use correio::domain::secret::Credentials;
use correio::infrastructure::auth::XChaChaCredentialsCipher;
use futures::channel::oneshot;

use super::broker::{SimBroker, Trouble};
use super::channel::{Mood, SimChannel};
use super::process::{KEY, Mode, NODE_TIMEOUT, SimProcess, Surroundings};
use super::scheduler::{OUTSIDE, Scheduler};
use crate::contracts::given;
use crate::support::memory::{Bug, MemoryDatabase};

/// How long faults happen, and how long everybody may take afterwards.
const STORM: Duration = Duration::from_secs(40);
const PEACE: Duration = Duration::from_secs(240);

/// What a client was told of a message it sent.
#[derive(Clone, Debug)]
pub struct Told {
    pub key: Option<String>,
    pub id: MessageId,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub faults: bool,
    pub bug: Option<Bug>,
    /// How many messages clients send.
    pub messages: u32,
}

pub struct Ended {
    pub database: MemoryDatabase,
    pub channel: SimChannel,
    pub told: Vec<Told>,
    pub faults: Vec<String>,
    pub handed_over_by_relay: usize,
    /// Crashes, freezes and lost answers: each may cost every message under way a call.
    pub interruptions: u32,
}

struct World {
    scheduler: Scheduler,
    around: Surroundings,
    channel: SimChannel,
    processes: Arc<Mutex<Vec<SimProcess>>>,
    /// Asked to stop, and perhaps not yet at the end of it.
    stopping: Vec<SimProcess>,
    instance: Instance,
    told: Arc<Mutex<Vec<Told>>>,
    clients: Arc<AtomicUsize>,
    faults: Vec<String>,
    interruptions: u32,
}

pub fn run(seed: u64, options: Options) -> Ended {
    let scheduler = Scheduler::new(seed);
    let database = MemoryDatabase::default();
    if let Some(bug) = options.bug {
        database.plant(bug);
    }
    let channel = SimChannel::new(scheduler.clone());
    let around = Surroundings {
        scheduler: scheduler.clone(),
        database,
        broker: SimBroker::new(scheduler.clone()),
        channels: Channels::new([Arc::new(channel.clone()) as Arc<dyn ChannelSender>]),
        max_retries: 3,
        handed_over_by_relay: Arc::default(),
        next_process: Arc::new(AtomicU64::new(1)),
    };
    let mut instance = given::instance("acme", "hook");
    instance.id.0 = uuid::Uuid::from_u128(1);
    instance.max_retries = None;
    let cipher = XChaChaCredentialsCipher::new(&KEY, &[]);
    instance.credentials = cipher.seal(instance.id, &Credentials::new("{}")).unwrap();
    let adapters = around.database.adapters();
    let stored = instance.clone();
    scheduler.spawn(OUTSIDE, Box::pin(async move { adapters.instances.insert(&stored).await.unwrap() }));
    scheduler.run_until(Duration::from_millis(1));
    let mut world = World {
        scheduler,
        around,
        channel,
        processes: Arc::default(),
        stopping: Vec::new(),
        instance,
        told: Arc::default(),
        clients: Arc::default(),
        faults: Vec::new(),
        interruptions: 0,
    };
    world.play(options);
    Ended {
        database: world.around.database,
        channel: world.channel,
        told: world.told.lock().unwrap().clone(),
        faults: world.faults,
        handed_over_by_relay: world.around.handed_over_by_relay.load(Ordering::Relaxed),
        interruptions: world.interruptions,
    }
}

impl World {
    fn play(&mut self, options: Options) {
        let count = if options.faults { self.scheduler.draw(|rng| rng.usize(1..=3)) } else { 2 };
        for _ in 0..count {
            self.start_process();
        }
        self.start_clients(options);
        let mut healing: BTreeMap<Duration, Vec<Heal>> = BTreeMap::new();
        while self.scheduler.now() < STORM {
            let pause = self.scheduler.between(Duration::from_millis(100), Duration::from_secs(4));
            let end = self.scheduler.now() + pause;
            self.scheduler.run_until(end);
            let over = healing.split_off(&(self.scheduler.now() + Duration::from_nanos(1)));
            for heal in std::mem::replace(&mut healing, over).into_values().flatten() {
                self.heal(heal);
            }
            if options.faults
                && let Some((after, heal)) = self.fault()
            {
                healing.entry(self.scheduler.now() + after).or_default().push(heal);
            }
        }
        for heal in healing.into_values().flatten() {
            self.heal(heal);
        }
        self.calm();
        if self.processes.lock().unwrap().is_empty() {
            self.start_process();
        }
        let database = self.around.database.clone();
        let clients = self.clients.clone();
        let end = self.scheduler.now() + PEACE;
        // Everybody has been answered, and everything has ended.
        let is_quiet = move || clients.load(Ordering::Relaxed) == 0 && database.rows().iter().all(has_ended);
        let mut next_look = Duration::ZERO;
        let scheduler = self.scheduler.clone();
        self.scheduler.run_while(end, move || {
            if scheduler.now() < next_look {
                return false;
            }
            next_look = scheduler.now() + Duration::from_millis(500);
            is_quiet()
        });
    }

    fn start_process(&mut self) {
        let mode = if self.scheduler.chance(0.75) { Mode::Kafka } else { Mode::Direct };
        let process = SimProcess::start(&self.around, mode);
        self.faults.push(format!("{:?} start of {:?}, {mode:?}", self.scheduler.now(), process.id));
        self.processes.lock().unwrap().push(process);
    }

    fn start_clients(&self, options: Options) {
        for number in 0..options.messages {
            let client = Client {
                scheduler: self.scheduler.clone(),
                processes: self.processes.clone(),
                instance: self.instance.clone(),
                told: self.told.clone(),
                faulty: options.faults,
            };
            let open = self.clients.clone();
            open.fetch_add(1, Ordering::Relaxed);
            self.scheduler.spawn(
                OUTSIDE,
                Box::pin(async move {
                    client.send(number).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                }),
            );
        }
    }

    /// Something goes wrong. Returns when and how it is over.
    fn fault(&mut self) -> Option<(Duration, Heal)> {
        let kind = self.scheduler.draw(|rng| rng.u32(0..14));
        let now = self.scheduler.now();
        let which = self.any_process();
        let over = self.scheduler.between(Duration::from_secs(1), Duration::from_secs(12));
        let mut say = |what: String| self.faults.push(format!("{now:?} {what}"));
        match (kind, which) {
            (0..=2, Some(index)) => {
                let process = self.processes.lock().unwrap().remove(index);
                say(format!("{:?} is killed", process.id));
                self.scheduler.kill(process.id);
                self.around.broker.forget(process.id);
                self.interruptions += 1;
                Some((self.scheduler.between(Duration::ZERO, Duration::from_secs(6)), Heal::Start))
            }
            (3, Some(index)) => {
                let mut process = self.processes.lock().unwrap().remove(index);
                say(format!("{:?} is stopped in good order", process.id));
                process.stop();
                self.stopping.push(process);
                Some((Duration::from_secs(1), Heal::Start))
            }
            (4..=5, Some(index)) => {
                let id = self.processes.lock().unwrap()[index].id;
                let over = self.scheduler.between(NODE_TIMEOUT / 2, NODE_TIMEOUT * 4);
                say(format!("{id:?} freezes for {over:?}"));
                self.scheduler.freeze(id);
                self.interruptions += 1;
                Some((over, Heal::Thaw(id)))
            }
            (6, Some(index)) => {
                say("the wall clock of a process jumps".to_owned());
                let jump = self.scheduler.draw(|rng| rng.i64(-5_000..60_000));
                self.processes.lock().unwrap()[index].wall_clock.store(jump, Ordering::Relaxed);
                None
            }
            (7, Some(index)) => {
                say("a process loses requests and answers of the database".to_owned());
                self.interruptions += 5;
                let processes = self.processes.lock().unwrap();
                processes[index].weather.change(|state| {
                    state.lost = 0.1;
                    state.unanswered = 0.1;
                    state.slow = 0.1;
                });
                Some((over, Heal::Weather))
            }
            (8, _) => {
                say(format!("the database goes away for {over:?}"));
                self.interruptions += 1;
                for process in self.processes.lock().unwrap().iter() {
                    process.weather.change(|state| state.is_away = true);
                }
                Some((over, Heal::Weather))
            }
            (9, _) => {
                say(format!("Kafka goes away for {over:?}"));
                self.around.broker.go_away(true);
                Some((over, Heal::Broker))
            }
            (10, _) => {
                say("Kafka refuses, repeats and reorders".to_owned());
                self.around.broker.trouble(Trouble {
                    refused: 0.1,
                    report_is_error: 0.1,
                    error_although_appended: 0.1,
                    repeated: 0.1,
                    reordered: 0.2,
                });
                Some((over, Heal::Broker))
            }
            (11, _) => {
                say("the topic is lost".to_owned());
                self.around.broker.lose_topic();
                None
            }
            (12, _) => {
                say("a partition moves".to_owned());
                self.around.broker.rebalance();
                None
            }
            (13, _) => {
                say("the channel has a bad day".to_owned());
                self.channel.mood(Mood { transient: 0.2, permanent: 0.05, answer_lost: 0.1, slow: 0.3, panics: 0.05 });
                self.interruptions += 2;
                Some((over, Heal::Channel))
            }
            _ => None,
        }
    }

    fn any_process(&self) -> Option<usize> {
        let count = self.processes.lock().unwrap().len();
        (count > 0).then(|| self.scheduler.draw(|rng| rng.usize(0..count)))
    }

    fn heal(&mut self, heal: Heal) {
        match heal {
            Heal::Start => self.start_process(),
            Heal::Thaw(id) => self.scheduler.thaw(id),
            Heal::Weather => self.good_weather(),
            Heal::Broker => {
                self.around.broker.go_away(false);
                self.around.broker.trouble(Trouble::default());
            }
            Heal::Channel => self.channel.mood(Mood::default()),
        }
    }

    fn good_weather(&self) {
        for process in self.processes.lock().unwrap().iter().chain(&self.stopping) {
            process.weather.change(|state| *state = super::weather::State::default());
        }
    }

    fn calm(&mut self) {
        self.heal(Heal::Broker);
        self.heal(Heal::Channel);
        self.good_weather();
    }
}

enum Heal {
    Start,
    Thaw(super::scheduler::ProcessId),
    Weather,
    Broker,
    Channel,
}

/// It is sent, or failed and has paid its dead letter.
fn has_ended(row: &Message) -> bool {
    !row.status.is_open() && (row.status != MessageStatus::Failed || row.dead_lettered_at.is_some())
}

/// Sends one message, again and again until it is told what became of it.
struct Client {
    scheduler: Scheduler,
    processes: Arc<Mutex<Vec<SimProcess>>>,
    instance: Instance,
    told: Arc<Mutex<Vec<Told>>>,
    faulty: bool,
}

impl Client {
    async fn send(self, number: u32) {
        let wait = self.scheduler.between(Duration::from_millis(10), STORM);
        self.scheduler.sleep(wait).await;
        // Several clients may share a key: it makes one message.
        let key = (!number.is_multiple_of(3)).then(|| format!("key-{}", if self.faulty { number / 2 } else { number }));
        let recipient = format!("r{}", self.scheduler.draw(|rng| rng.u32(0..4)));
        for _ in 0..200 {
            if let Some(told) = self.once(key.as_deref(), &recipient).await {
                self.told.lock().unwrap().push(told);
                return;
            }
            // Without a key, asking again would be another message.
            if key.is_none() {
                return;
            }
            let pause = self.scheduler.between(Duration::from_millis(100), Duration::from_secs(2));
            self.scheduler.sleep(pause).await;
        }
    }

    /// One request; nothing when its answer did not come, or said to come again.
    async fn once(&self, key: Option<&str>, recipient: &str) -> Option<Told> {
        let (id, send_message) = {
            let processes = self.processes.lock().unwrap();
            let index = (!processes.is_empty()).then(|| self.scheduler.draw(|rng| rng.usize(0..processes.len())))?;
            (processes[index].id, processes[index].send_message.clone())
        };
        let content = Content { text: Some("Olá".to_owned()), ..Content::default() };
        let command = SendMessageCommand {
            channel: self.instance.channel.clone(),
            channel_instance_id: self.instance.channel_instance_id.clone(),
            draft: Draft { recipient: recipient.to_owned(), content, max_retries: None },
            request: key.map(|key| IdempotentRequest {
                key: IdempotencyKey::parse(key.as_bytes()).unwrap(),
                fingerprint: [1; 32],
            }),
        };
        let tenant = self.instance.tenant.clone();
        let caller = Principal { tenant, subject: "user".to_owned(), scopes: Scope::ALL.to_vec() };
        let (answer, answered) = oneshot::channel();
        self.scheduler.spawn(
            id,
            Box::pin(async move {
                let outcome = send_message.execute(&caller, command).await;
                let _ = answer.send(outcome);
            }),
        );
        match answered.await {
            Ok(Ok(receipt)) => Some(Told { key: key.map(str::to_owned), id: receipt.message.id }),
            Ok(Err(SendMessageError::Repository(_) | SendMessageError::InFlight)) | Err(_) => None,
            Ok(Err(other)) => panic!("a client was told {other}"),
        }
    }
}
