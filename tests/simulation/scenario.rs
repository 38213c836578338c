//! One run: processes, clients, faults as the seed draws them, then peace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use correio::application::ports::CredentialsCipher;
use correio::domain::Timestamp;
use correio::domain::broadcast::Broadcast;
use correio::domain::instance::credentials::Credentials;
use correio::domain::instance::{Instance, InstanceId};
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::infrastructure::auth::XChaChaCredentialsCipher;

use super::broker::SimBroker;
use super::channel::{Call, FIRST_ID, Provider, SECOND, SECOND_ID, SimChannel};
use super::chronicle::{Chronicle, Told};
use super::clients::Clients;
use super::healing::{Heal, Healing};
use super::planted::Planted;
use super::process::{KEY, Mode, SimProcess, Surroundings};
use super::receipts::{Said, SimProvider};
use super::scheduler::{OUTSIDE, ProcessId, Scheduler};
use super::subscriber;
use super::weather::{self, Outage};
use crate::support::given;
use crate::support::memory::{Bug, Change, MemoryDatabase, Payment, Refusal};

/// How long faults happen, and how long everybody may take afterwards.
const STORM: Duration = Duration::from_secs(40);
const PEACE: Duration = Duration::from_secs(240);

/// A sweep takes no longer, even if the one under way began too early.
const SWEPT: Duration = Duration::from_secs(25);

pub const MAX_RETRIES: u32 = 3;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// Nothing.
    None,
    /// Requests to the database and its answers are lost, and a channel refuses some for now.
    LostAnswers,
    /// Every process loses its name while most messages wait in the topic.
    NamesLost,
    /// The clock of the machine that all processes run on is set, ahead and back, and the database is away now and then.
    ClockSet,
    /// The second instance hangs most of the time.
    Hangs,
    /// Some processes lose requests to the database, and others get its answers late.
    SlowLooks,
    /// Statements and answers are lost or late, and processes stop in good order.
    Sluggish,
    All,
}

#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub faults: Faults,
    /// Of all processes; none: each draws its own, so that a restart may flip the flag.
    pub mode: Option<Mode>,
    pub planted: Option<Planted>,
    /// How many messages clients send.
    pub messages: u32,
    /// How likely a client takes back what is queued.
    pub taken_back: f64,
    /// How old messages get. None: they are kept.
    pub retention: Option<Duration>,
    /// The second instance is deleted some time.
    pub deletes: bool,
    /// The channel gives receipts.
    pub receipts: bool,
    /// The tenant is told of every state.
    pub subscribes: bool,
    /// A client sends to many, and may take it back.
    pub broadcasts: bool,
    /// So many of its messages a minute.
    pub broadcast_rate: Option<u32>,
    /// What becomes of statements in bad weather, and how long a process waits for their answers.
    pub weather: weather::State,
    pub patience: Duration,
    /// How often a message is put off without a claim. None: as often as in earnest.
    pub max_deferrals: Option<u32>,
    /// Calls a minute of the first instance.
    pub rate: Option<u32>,
}

/// All that there is to know of a run.
pub struct Ended {
    /// Those that were deleted are as they were then.
    pub rows: Vec<Message>,
    pub deleted: BTreeSet<MessageId>,
    pub broadcasts: Vec<Broadcast>,
    /// The times that messages of broadcasts were made for.
    pub slots: BTreeMap<MessageId, Timestamp>,
    pub history: Vec<Change>,
    pub calls: Vec<Call>,
    pub told: Told,
    pub letters: BTreeSet<(MessageId, u32)>,
    pub set_aside: Vec<String>,
    pub disordered: BTreeSet<MessageId>,
    /// Clients that were never answered.
    pub unanswered: usize,
    /// Processes that were asked to stop, and never did.
    pub unstopped: Vec<ProcessId>,
    pub panics: Vec<String>,
    pub payments: Vec<Payment>,
    pub refusals: Vec<Refusal>,
    /// What the channel said later.
    pub said: Vec<Said>,
    /// How many processes were killed while they delivered, how often a partition moved while somebody did, and how many
    /// crashes of the database took back a claim of somebody who lived.
    pub kills_in_delivery: usize,
    pub moves_in_delivery: usize,
    pub crashes_in_delivery: usize,
    /// How many messages waited under a former name of a process that lives.
    pub waited_under_former_names: usize,
    /// How many messages waited for a time when the clock was set.
    pub waited_for_a_time: usize,
    /// What a process has in its registry, by name.
    pub services: BTreeSet<&'static str>,
}

pub struct World {
    pub scheduler: Scheduler,
    pub around: Surroundings,
    pub channel: SimChannel,
    pub clients: Clients,
    pub provider: SimProvider,
    /// Asked to stop, and perhaps not yet at the end of it.
    pub stopping: Vec<SimProcess>,
    pub options: Options,
    pub kills_in_delivery: usize,
    pub moves_in_delivery: usize,
    pub crashes_in_delivery: usize,
    pub waited_under_former_names: usize,
    pub waited_for_a_time: usize,
}

pub fn run(seed: u64, options: Options) -> Ended {
    let mut world = World::new(seed, options);
    world.play();
    let (database, broker) = (&world.around.database, &world.around.broker);
    let deleted = database.deleted();
    Ended {
        deleted: deleted.iter().map(|message| message.id).collect(),
        rows: database.rows().into_iter().chain(deleted).collect(),
        broadcasts: database.broadcasts(),
        slots: database.slots(),
        history: database.history(),
        calls: world.channel.calls(),
        told: world.around.chronicle.told(),
        letters: broker.letters(),
        set_aside: broker.set_aside(),
        disordered: broker.disordered(),
        unanswered: world.clients.open.load(Ordering::Relaxed),
        unstopped: world.stopping.iter().map(|process| process.id).filter(|id| world.scheduler.lives(*id)).collect(),
        panics: world.scheduler.panics(),
        payments: database.payments(),
        refusals: database.refusals(),
        said: world.provider.said.lock().unwrap().clone(),
        kills_in_delivery: world.kills_in_delivery,
        moves_in_delivery: world.moves_in_delivery,
        crashes_in_delivery: world.crashes_in_delivery,
        waited_under_former_names: world.waited_under_former_names,
        waited_for_a_time: world.waited_for_a_time,
        services: world.services(),
    }
}

impl World {
    fn new(seed: u64, options: Options) -> Self {
        let (scheduler, chronicle, database) = (Scheduler::new(seed), Chronicle::default(), MemoryDatabase::default());
        match options.planted {
            Some(Planted::InTables(bug)) => database.plant(bug),
            // It is asked twice: when it is decided on, and in the statement.
            Some(Planted::WritesOffAtOnce) => database.plant(Bug::WritesOffWhoeverPublishes),
            _ => {}
        }
        if let Some(most) = options.max_deferrals {
            database.put_off_at_most(most);
        }
        let processes: Arc<Mutex<Vec<SimProcess>>> = Arc::default();
        let provider = SimProvider::new(scheduler.clone(), processes.clone());
        let channel = SimChannel::new(
            scheduler.clone(),
            options.receipts.then(|| Arc::new(provider.clone()) as Arc<dyn Provider>),
        );
        let instance = an_instance(&scheduler, &database, FIRST_ID, "hook", options.rate);
        let second = an_instance(&scheduler, &database, SECOND_ID, SECOND, None);
        if options.subscribes {
            subscriber::subscribe(&scheduler, &database);
        }
        let around = Surroundings {
            scheduler: scheduler.clone(),
            chronicle: chronicle.clone(),
            database,
            outage: Outage::default(),
            broker: SimBroker::new(scheduler.clone(), chronicle.clone()),
            channel: channel.clone(),
            max_tries: MAX_RETRIES,
            next_process: Arc::new(AtomicU64::new(1)),
            planted: options.planted,
            retention: options.retention,
            patience: options.patience,
        };
        let clients = Clients {
            scheduler: scheduler.clone(),
            chronicle,
            processes,
            instance,
            second,
            taken_back: options.taken_back,
            deletes: options.deletes,
            open: Arc::default(),
        };
        Self {
            scheduler,
            around,
            channel,
            clients,
            provider,
            stopping: Vec::new(),
            options,
            kills_in_delivery: 0,
            moves_in_delivery: 0,
            crashes_in_delivery: 0,
            waited_under_former_names: 0,
            waited_for_a_time: 0,
        }
    }

    fn services(&self) -> BTreeSet<&'static str> {
        let processes = self.clients.processes.lock().unwrap();
        processes.iter().flat_map(|process| process.gateway.services()).map(|service| service.name()).collect()
    }

    fn play(&mut self) {
        let mut healing = Healing::default();
        if self.options.faults == Faults::NamesLost {
            self.all_names_are_lost(&mut healing);
        } else {
            self.storm(&mut healing);
        }
        self.make_peace(&mut healing);
        self.wait_until_all_has_ended();
        if self.options.receipts {
            // What was left is swept; and what is refused thereby owes a dead letter.
            self.scheduler.run_until(self.scheduler.now() + SWEPT);
            self.wait_until_all_has_ended();
        }
    }

    fn storm(&mut self, healing: &mut Healing) {
        let is_calm = self.options.faults == Faults::None;
        let count = match self.options.faults {
            Faults::None => 2,
            Faults::Sluggish => 3,
            // Each watches each.
            Faults::SlowLooks => 5,
            _ => self.scheduler.draw(|rng| rng.usize(1..=3)),
        };
        for _ in 0..count {
            self.start_process();
        }
        self.clients.start(self.options.messages, STORM, !is_calm);
        if self.options.deletes {
            self.clients.delete_second(STORM);
        }
        if self.options.broadcasts {
            self.clients.broadcast(STORM, self.options.broadcast_rate);
        }
        while self.scheduler.now() < STORM {
            let pause = self.scheduler.between(Duration::from_millis(100), Duration::from_secs(4));
            self.scheduler.run_until(self.scheduler.now() + pause);
            for heal in healing.due(self.scheduler.now()) {
                self.heal(heal);
            }
            match self.options.faults {
                Faults::None => self.calm_event(healing),
                Faults::Hangs => self.hang(healing),
                Faults::ClockSet => {
                    self.run_into_the_middle();
                    self.clock_event(healing);
                }
                _ => {
                    self.run_into_the_middle();
                    self.fault(healing);
                }
            }
        }
    }

    /// Faults shall befall somebody who is at something: most often they wait until somebody is, and come at whatever await.
    fn run_into_the_middle(&self) {
        if self.scheduler.chance(0.7) {
            let (database, end) = (self.around.database.clone(), self.scheduler.now() + Duration::from_secs(2));
            self.scheduler.run_while(end, || database.is_delivering());
        }
        self.scheduler.run_steps(self.scheduler.draw(|rng| rng.usize(0..40)));
    }

    fn make_peace(&mut self, healing: &mut Healing) {
        self.say("peace");
        for heal in healing.due(Duration::MAX / 2).chain([Heal::Broker, Heal::Channel, Heal::Weather, Heal::Database]) {
            self.heal(heal);
        }
        if self.options.faults == Faults::ClockSet {
            self.set_the_clock(Duration::ZERO, false);
        }
        if self.clients.processes.lock().unwrap().is_empty() {
            self.start_process();
        }
    }

    /// Everybody has been answered, and no row is open or owes a dead letter.
    fn wait_until_all_has_ended(&self) {
        // What was on its way before arrives first, and has to end as well.
        self.scheduler.run_until(self.scheduler.now() + weather::LATEST + Duration::from_secs(1));
        let end = self.scheduler.now() + PEACE;
        let (database, open) = (self.around.database.clone(), self.clients.open.clone());
        let untold = self.provider.open.clone();
        let mut next_look = Duration::ZERO;
        let scheduler = self.scheduler.clone();
        let stopping: Vec<ProcessId> = self.stopping.iter().map(|process| process.id).collect();
        self.scheduler.run_while(end, move || {
            if scheduler.now() < next_look {
                return false;
            }
            next_look = scheduler.now() + Duration::from_millis(500);
            let have_stopped = !stopping.iter().any(|process| scheduler.lives(*process));
            let all_is_told = open.load(Ordering::Relaxed) == 0 && untold.load(Ordering::Relaxed) == 0;
            have_stopped
                && all_is_told
                && database.has_told_all()
                && database.rows().iter().all(has_ended)
                && database.broadcasts().iter().all(|it| it.status.is_at_its_end())
        });
    }
}

fn an_instance(
    scheduler: &Scheduler,
    database: &MemoryDatabase,
    id: InstanceId,
    name: &str,
    rate: Option<u32>,
) -> Instance {
    let mut instance = given::instance("acme", name);
    instance.id = id;
    instance.max_tries = None;
    instance.rate_limit_per_minute = rate;
    let cipher = XChaChaCredentialsCipher::new(&KEY, &[]);
    instance.credentials = cipher.seal(instance.id, &Credentials::new("{}")).unwrap();
    let (adapters, stored) = (database.adapters(), instance.clone());
    scheduler.spawn(OUTSIDE, Box::pin(async move { adapters.instances.insert(&stored).await.unwrap() }));
    scheduler.run_until(scheduler.now() + Duration::from_millis(1));
    instance
}

/// It is sent, or failed and has paid its dead letter.
pub fn has_ended(row: &Message) -> bool {
    !row.status.is_open() && (row.status != MessageStatus::Failed || row.dead_lettered_at.is_some())
}
