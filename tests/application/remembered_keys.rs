//! API keys, found or not, that a process remembers for a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use correio::application::access::authenticate::{Authenticate, AuthenticateError, Presented};
use correio::application::ports::{ApiKeyRepository, RepositoryError};
use correio::domain::Timestamp;
use correio::domain::access::api_key::ApiKey;
use correio::domain::access::principal::Tenant;
use correio::infrastructure::storage::caching::CachedApiKeys;
use futures::future::join_all;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::gateway::no_tokens;
use super::scripted::ManualClock;
use crate::support::databases::memory;
use crate::support::eventually::{SOON, eventually};
use crate::support::given::{at, id, tenant};

/// Counts the lookups, and answers one a permit.
struct Counted {
    api_keys: Arc<dyn ApiKeyRepository>,
    asked: AtomicUsize,
    gate: Semaphore,
    is_away: bool,
}

#[async_trait]
impl ApiKeyRepository for Counted {
    async fn ensure_tenant(&self, tenant: &Tenant, now: Timestamp) -> Result<bool, RepositoryError> {
        self.api_keys.ensure_tenant(tenant, now).await
    }

    async fn has_tenant_beside(&self, name: &str) -> Result<bool, RepositoryError> {
        self.api_keys.has_tenant_beside(name).await
    }

    async fn insert(&self, key: &ApiKey) -> Result<(), RepositoryError> {
        self.api_keys.insert(key).await
    }

    async fn find_by_hash(&self, hash: &[u8; 32]) -> Result<Option<ApiKey>, RepositoryError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        if self.is_away {
            return Err(RepositoryError::Unavailable("away".to_owned()));
        }
        self.api_keys.find_by_hash(hash).await
    }

    async fn list(&self, tenant: Option<&Tenant>) -> Result<Vec<ApiKey>, RepositoryError> {
        self.api_keys.list(tenant).await
    }

    async fn revoke(&self, id: Uuid, now: Timestamp) -> Result<bool, RepositoryError> {
        self.api_keys.revoke(id, now).await
    }
}

struct Story {
    database: Arc<Counted>,
    remembered: CachedApiKeys,
}

impl Story {
    async fn begin(permits: usize, is_away: bool) -> Self {
        let api_keys = memory().await.unwrap().stores.api_keys;
        let gate = Semaphore::new(permits);
        let database = Arc::new(Counted { api_keys, asked: AtomicUsize::new(0), gate, is_away });
        Self { remembered: CachedApiKeys::new(database.clone()), database }
    }

    fn asked(&self) -> usize {
        self.database.asked.load(Ordering::SeqCst)
    }

    async fn is_known(&self, hash: u8) -> bool {
        self.remembered.find_by_hash(&[hash; 32]).await.unwrap().is_some()
    }
}

fn key(hash: u8) -> ApiKey {
    ApiKey {
        id: id(),
        tenant: tenant("acme"),
        name: "relatórios".to_owned(),
        prefix: "cor_1234".to_owned(),
        hash: [hash; 32],
        scopes: vec![],
        created_at: at(0),
        expires_at: None,
        revoked_at: None,
        requests_per_minute: None,
    }
}

#[tokio::test]
async fn a_key_that_is_unknown_is_looked_up_once_a_second() {
    let story = Story::begin(Semaphore::MAX_PERMITS, false).await;
    let (start, mut seconds) = (Instant::now(), 1);
    for _ in 0..1_000 {
        assert!(!story.is_known(7).await);
        seconds = 1 + usize::try_from(start.elapsed().as_secs()).unwrap();
    }
    assert!(story.asked() <= seconds, "{} lookups in {seconds} s", story.asked());
}

#[tokio::test]
async fn callers_with_the_same_key_share_a_lookup() {
    for is_there in [true, false] {
        let story = Story::begin(0, false).await;
        if is_there {
            story.database.insert(&key(7)).await.unwrap();
        }
        let callers = join_all((0..50).map(|_| story.is_known(7)));
        let opening = async {
            while story.asked() == 0 {
                tokio::task::yield_now().await;
            }
            story.database.gate.add_permits(100);
        };
        let (answers, ()) = futures::join!(callers, opening);
        assert_eq!(answers, [is_there; 50]);
        assert_eq!(story.asked(), 1);
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_asked_once_by_all_who_wait_and_again_by_the_next() {
    let story = Story::begin(Semaphore::MAX_PERMITS, true).await;
    let answers = join_all((0..50).map(|_| story.remembered.find_by_hash(&[7; 32]))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(RepositoryError::Unavailable(_)))));
    let asked = story.asked();
    assert!(story.remembered.find_by_hash(&[7; 32]).await.is_err());
    assert_eq!(story.asked(), asked + 1);
}

#[tokio::test]
async fn a_key_that_is_created_works_at_once_here_and_a_second_later_elsewhere() {
    let story = Story::begin(Semaphore::MAX_PERMITS, false).await;
    assert!(!story.is_known(7).await);
    story.remembered.insert(&key(7)).await.unwrap();
    assert!(story.is_known(7).await);

    assert!(!story.is_known(8).await);
    story.database.insert(&key(8)).await.unwrap();
    let created = Instant::now();
    eventually(SOON, "the key works", async || story.is_known(8).await.then_some(())).await;
    // The pauses of the one who asks included.
    assert!(created.elapsed() < Duration::from_millis(1_500), "{:?}", created.elapsed());
}

#[tokio::test]
async fn guesses_drive_out_no_key_that_is_used() {
    let story = Story::begin(Semaphore::MAX_PERMITS, false).await;
    story.database.insert(&key(7)).await.unwrap();
    let start = Instant::now();
    assert!(story.is_known(7).await);
    for guess in 0..20_000_u32 {
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&guess.to_be_bytes());
        assert!(story.remembered.find_by_hash(&hash).await.unwrap().is_none());
    }
    let asked = story.asked();
    assert!(story.is_known(7).await);
    assert!(story.asked() == asked || start.elapsed() > Duration::from_secs(3), "it is looked up again");
}

/// Some of a pool's connections stay free for everything else, and keys that were met before wait for no guesses.
#[tokio::test]
async fn few_keys_that_are_not_known_are_looked_up_at_the_same_time() {
    const GUESSES: u8 = 50;
    const AT_ONCE: usize = 4;

    let story = Story::begin(1, false).await;
    story.database.insert(&key(200)).await.unwrap();
    assert!(story.is_known(200).await);
    let guesses = join_all((0..GUESSES).map(|hash| story.is_known(hash)));
    let known = async {
        eventually(SOON, "guesses are looked up", async || (story.asked() == 1 + AT_ONCE).then_some(())).await;
        // Its lookup is forgotten: it is looked up again, beside them.
        story.remembered.revoke(id(), at(0)).await.unwrap();
        let again = story.is_known(200);
        let looked_up = async {
            eventually(SOON, "it is looked up", async || (story.asked() == 2 + AT_ONCE).then_some(())).await;
            story.database.gate.add_permits(1 + usize::from(GUESSES));
        };
        futures::join!(again, looked_up).0
    };
    let (guesses, is_known) = futures::join!(guesses, known);
    assert!(is_known && !guesses.contains(&true));
    assert_eq!(story.asked(), 2 + usize::from(GUESSES));
}

#[tokio::test]
async fn what_cannot_be_a_key_is_not_looked_up() {
    let Story { database, remembered } = Story::begin(Semaphore::MAX_PERMITS, false).await;
    let clock = Arc::new(ManualClock::new());
    let users = memory().await.unwrap().users.clone();
    let authenticate = Authenticate { api_keys: Arc::new(remembered), tokens: no_tokens(), users, clock };
    let asked = || database.asked.load(Ordering::SeqCst);
    for text in ["", "short", "thirty-one characters-----------", "chave de 32 caracteres ou mais, com espaços"] {
        let refused = authenticate.execute(Presented::ApiKey(text)).await;
        assert!(matches!(refused, Err(AuthenticateError::Invalid(_))), "{text}");
    }
    assert_eq!(asked(), 0);
    let unknown = authenticate.execute(Presented::Bearer("thirty-two-characters-----------")).await;
    assert!(matches!(unknown, Err(AuthenticateError::Invalid(_))));
    assert_eq!(asked(), 1);
}
