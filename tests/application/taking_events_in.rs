//! Webhooks are taken in while the database loses statements and answers, or does what it was asked too late, and while the
//! process is restarted: whatever was answered is stored in the end, and once. Decided by seeds, with two planted mistakes that
//! must be found.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::Stop;
use correio::application::events::bells::Bells;
use correio::application::events::receive_webhook::{Companies, ReceiverSettings};
use correio::application::events::receiver::{Receiver, ReceiverPorts};
use correio::application::ports::*;
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::event::{EventId, HistoryEntry};
use correio::infrastructure::sources::PipedriveReader;
use correio::infrastructure::spool::{FileSpool, FileSwitch};
use correio::infrastructure::system::SystemIds;
use futures::FutureExt;
use serde_json::json;
use tempfile::TempDir;

use crate::support::given::{at, id, tenant};
use crate::support::memory::{MemoryDatabase, Statement, Weather};

const SEEDS: u64 = 60;
const STEPS: usize = 120;

/// What is done wrong, to show that these tests notice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Planted {
    /// A portion is forgotten when it is read, not when it is stored.
    ForgetsWhatIsNotStored,
    /// An event that is stored again has another id, and no key.
    StoresUnderAnotherId,
}

/// What befalls the next statements.
#[derive(Clone, Copy)]
enum Sky {
    Clear,
    /// Nothing arrives.
    Away,
    /// It is done, and nobody hears of it.
    AnswersLost,
    /// It is done later.
    Late,
}

struct Storms {
    sky: Mutex<Sky>,
    late: Mutex<Vec<Statement>>,
}

impl Storms {
    fn do_what_is_late(&self) {
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        late.into_iter().for_each(|statement| statement());
    }
}

#[async_trait]
impl Weather for Storms {
    async fn carry(&self, _: &'static str, statement: Statement) -> Result<(), RepositoryError> {
        let sky = *self.sky.lock().unwrap();
        match sky {
            Sky::Clear => {
                statement();
                return Ok(());
            }
            Sky::Away => {}
            Sky::AnswersLost => statement(),
            Sky::Late => {
                self.late.lock().unwrap().push(statement);
                return std::future::pending().await;
            }
        }
        Err(RepositoryError::Unavailable("away".to_owned()))
    }
}

/// A clock whose waits are over as soon as everything else has had its turn.
struct Hasty;

#[async_trait]
impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        at(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {
        tokio::task::yield_now().await;
    }
}

struct ForgetfulSpool(Arc<dyn EventSpool>);

#[async_trait]
impl EventSpool for ForgetfulSpool {
    async fn append(&self, new: &NewEvent) -> Result<(), SpoolError> {
        self.0.append(new).await
    }

    async fn oldest(&self) -> Result<Option<Portion>, SpoolError> {
        let portion = self.0.oldest().await?;
        if let Some(portion) = &portion {
            self.0.discard(portion.number).await?;
        }
        Ok(portion)
    }

    async fn discard(&self, _: u64) -> Result<(), SpoolError> {
        Ok(())
    }

    async fn set_aside(&self, new: &NewEvent, reason: &str) -> Result<(), SpoolError> {
        self.0.set_aside(new, reason).await
    }

    fn standing(&self) -> SpoolStanding {
        self.0.standing()
    }
}

struct RenamingEvents(Arc<dyn EventRepository>);

#[async_trait]
impl EventRepository for RenamingEvents {
    async fn store(&self, new: &NewEvent) -> Result<StoredEvent, RepositoryError> {
        let mut new = new.clone();
        (new.event.id, new.event.key) = (EventId(id()), None);
        self.0.store(&new).await
    }

    async fn find(
        &self,
        tenant: &Tenant,
        name: &str,
    ) -> Result<Option<correio::domain::event::Event>, RepositoryError> {
        self.0.find(tenant, name).await
    }

    async fn history(&self, tenant: &Tenant, id: EventId) -> Result<Vec<HistoryEntry>, RepositoryError> {
        self.0.history(tenant, id).await
    }

    async fn list(
        &self,
        tenant: &Tenant,
        filter: &EventFilter,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<ListedEvents, SearchError> {
        self.0.list(tenant, filter, before, limit).await
    }

    async fn count(&self, tenant: &Tenant) -> Result<EventCounts, RepositoryError> {
        self.0.count(tenant).await
    }

    async fn retry(&self, tenant: &Tenant, name: &str, now: Timestamp) -> Result<Retry, RepositoryError> {
        self.0.retry(tenant, name, now).await
    }

    async fn sweep(&self, before: Option<Timestamp>, now: Timestamp) -> Result<bool, RepositoryError> {
        self.0.sweep(before, now).await
    }
}

struct World {
    database: MemoryDatabase,
    storms: Arc<Storms>,
    directory: TempDir,
    planted: Option<Planted>,
    /// Keys of what was answered, and how often.
    answered: BTreeMap<String, u32>,
}

impl World {
    fn new(planted: Option<Planted>) -> Self {
        let storms = Arc::new(Storms { sky: Mutex::new(Sky::Clear), late: Mutex::default() });
        let database = MemoryDatabase::default().under(storms.clone());
        Self { database, storms, directory: tempfile::tempdir().unwrap(), planted, answered: BTreeMap::new() }
    }

    fn stores(&self) -> Stores {
        let mut stores = self.database.adapters().stores;
        if self.planted == Some(Planted::StoresUnderAnotherId) {
            stores.events = Arc::new(RenamingEvents(stores.events.clone()));
        }
        stores
    }

    /// A process, as it is after a start.
    fn receiver(&self) -> Receiver {
        let root = self.directory.path().join("spool");
        let spool: Arc<dyn EventSpool> = Arc::new(FileSpool::open(&root, 1 << 30).unwrap());
        let spool = match self.planted {
            Some(Planted::ForgetsWhatIsNotStored) => Arc::new(ForgetfulSpool(spool)) as Arc<dyn EventSpool>,
            _ => spool,
        };
        let webhook = ReceiverSettings {
            tenant: tenant("acme"),
            source: "webhook".to_owned(),
            steps: Vec::new(),
            companies: Companies::default(),
        };
        let ports = ReceiverPorts {
            spool,
            emergency: Arc::new(FileSwitch::new(root, false)),
            reader: Arc::new(PipedriveReader),
            webhook: Some(webhook),
            publication: None,
            tables: None,
        };
        Receiver::new(ports, &self.stores(), Arc::new(Hasty), Arc::new(SystemIds::default()), &Bells::default())
    }

    async fn post(&mut self, receiver: &Receiver, key: u64) {
        let meta =
            json!({"entity": "deal", "action": "change", "id": key.to_string(), "webhook_id": "1", "version": "2.0"});
        let body = json!({"meta": meta, "data": {"id": 1}}).to_string();
        if receiver.webhook.as_ref().unwrap().execute(body.as_bytes()).await.is_ok() {
            *self.answered.entry(format!("v2/1/{key}")).or_default() += 1;
        }
    }

    async fn drain(&self, receiver: &Receiver) {
        let never: Stop = std::future::pending().boxed().shared();
        let mut stored = 0;
        let drain = receiver.drain_spool(&self.stores(), Bells::default());
        // What is late never comes to its end.
        let done = async { drain.drain(&never, &mut stored).await.is_ok() };
        let _ = tokio::time::timeout(Duration::from_millis(20), done).await;
    }

    /// What is wrong in the end.
    async fn wrong(&self) -> Option<String> {
        let everything = EventFilter::default();
        let listed = self.database.adapters().events.list(&tenant("acme"), &everything, None, 10_000).await.unwrap();
        let count = |key: &str| {
            let id = key.rsplit('/').next().unwrap_or_default().to_owned();
            let is_it = |data: &str| data.contains(&format!("\"id\":\"{id}\""));
            listed.events.iter().filter(|event| is_it(&event.data)).count()
        };
        let wrong = self.answered.keys().map(|key| (key, count(key))).find(|(_, count)| *count != 1);
        wrong.map(|(key, count)| format!("{key} is stored {count} times"))
    }
}

async fn run(seed: u64, planted: Option<Planted>) -> Option<String> {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut world = World::new(planted);
    let mut receiver = world.receiver();
    let mut next = 0;
    for _ in 0..STEPS {
        match dice.u32(0..100) {
            0..60 => {
                // One in five is a repeat.
                let key = if dice.u32(0..5) == 0 && next > 0 { dice.u64(0..next) } else { next };
                next = next.max(key + 1);
                world.post(&receiver, key).await;
            }
            60..75 => {
                let sky = [Sky::Clear, Sky::Away, Sky::AnswersLost, Sky::Late][dice.usize(0..4)];
                *world.storms.sky.lock().unwrap() = sky;
            }
            75..90 => world.drain(&receiver).await,
            90..95 => world.storms.do_what_is_late(),
            _ => {
                drop(receiver);
                receiver = world.receiver();
            }
        }
    }
    *world.storms.sky.lock().unwrap() = Sky::Clear;
    world.storms.do_what_is_late();
    while receiver.spool.standing().events > 0 {
        world.drain(&receiver).await;
        if world.planted == Some(Planted::ForgetsWhatIsNotStored) {
            break;
        }
    }
    world.wrong().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_answered_is_stored_once() {
    for seed in 0..SEEDS {
        assert_eq!(run(seed, None).await, None, "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_mistakes_are_found() {
    for planted in [Planted::ForgetsWhatIsNotStored, Planted::StoresUnderAnotherId] {
        let mut found = None;
        for seed in 0..SEEDS {
            found = run(seed, Some(planted)).await;
            if found.is_some() {
                break;
            }
        }
        assert!(found.is_some(), "no seed finds it");
    }
}
