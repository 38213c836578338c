//! Keys that an issuer publishes as a JSON Web Key Set.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jsonwebtoken::Algorithm;
use reqwest::Client;
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::{Mutex, MutexGuard};
use tracing::warn;
use url::Url;

use super::claims::{forged, invalid};
use super::verifying_key::VerifyingKey;
use crate::application::ports::{Clock, TokenError};
use crate::infrastructure::config::ConfigError;
use crate::infrastructure::http_client::client_builder;

/// How long a set is believed before it is fetched again.
const FRESH: Duration = Duration::from_secs(5 * 60);
/// Minimum pause between fetches: any caller can invent a `kid`, and must not be able to make us flood the issuer.
const PAUSE: Duration = Duration::from_secs(10);
/// The same while there is no set at all: no token is accepted, so that trying soon is worth more.
const PAUSE_WITHOUT_SET: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);
const LARGEST_SET: usize = 1024 * 1024;
const MOST_REDIRECTS: usize = 3;
/// How many keys of one set are tried for a token that names none, or that several bear the name of.
const MOST_TRIED: usize = 8;

/// The issuer's keys: fetched when they are first needed and now and then, by one caller at a time. While the issuer is
/// away, the last set stays in use.
pub(super) struct PublishedKeys {
    url: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    set: RwLock<Option<Arc<KeySet>>>,
    /// When a fetch last began or ended. The holder of the lock may fetch.
    attempted_at: Mutex<Option<Duration>>,
}

struct KeySet {
    fetched_at: Duration,
    keys: Vec<(Option<String>, VerifyingKey)>,
}

#[derive(Deserialize)]
struct PublishedSet {
    keys: Vec<Value>,
}

impl PublishedKeys {
    pub(super) fn new(url: Url, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        let client = client_builder(TIMEOUT).timeout(TIMEOUT).redirect(Policy::limited(MOST_REDIRECTS)).build();
        let client = client.map_err(|error| ConfigError::new("JWT_JWKS_URL", format!("cannot be fetched: {error}")))?;
        Ok(Self { url, client, clock, set: RwLock::new(None), attempted_at: Mutex::new(None) })
    }

    /// What a token says that is signed with one of the keys: with the one that it names by its `kid`, else with any of its
    /// algorithm. Where none fits, the keys may have been replaced, under their old names too: the set is fetched once more.
    pub(super) async fn open(
        &self,
        token: &str,
        kid: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Map<String, Value>, TokenError> {
        // One caller refreshes an old set, and those who find their key need not wait for it.
        if self.is_old(self.current().as_ref())
            && let Ok(turn) = self.attempted_at.try_lock()
        {
            self.fetch(turn).await;
        }
        let known = self.current();
        if let Some(claims) = known.as_ref().and_then(|set| set.open(token, kid, algorithm)) {
            return Ok(claims);
        }
        let turn = self.attempted_at.lock().await;
        // Another caller may have fetched it while we waited for our turn.
        if is_same(known.as_ref(), self.current().as_ref()) {
            self.fetch(turn).await;
        } else {
            drop(turn);
        }
        let Some(set) = self.current() else {
            return Err(TokenError::Unavailable("the issuer's keys cannot be fetched".to_owned()));
        };
        let claims = if is_same(known.as_ref(), Some(&set)) { None } else { set.open(token, kid, algorithm) };
        claims.ok_or_else(|| if set.fitting(kid, algorithm).next().is_some() { forged() } else { unknown() })
    }

    fn current(&self) -> Option<Arc<KeySet>> {
        self.set.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_old(&self, set: Option<&Arc<KeySet>>) -> bool {
        set.is_none_or(|set| self.clock.monotonic().saturating_sub(set.fetched_at) >= FRESH)
    }

    /// Fetches the set, unless that was tried a moment ago; a failure leaves the one we have.
    async fn fetch(&self, mut attempted_at: MutexGuard<'_, Option<Duration>>) {
        let pause = if self.current().is_some() { PAUSE } else { PAUSE_WITHOUT_SET };
        let began = self.clock.monotonic();
        if attempted_at.is_some_and(|last| began.saturating_sub(last) < pause) {
            return;
        }
        // Noted at the beginning for callers that hang up, and at the end for those that queue behind a slow fetch.
        *attempted_at = Some(began);
        let fetched = self.download().await;
        let ended = self.clock.monotonic();
        *attempted_at = Some(ended);
        match fetched {
            Ok(keys) => {
                let set = Some(Arc::new(KeySet { fetched_at: ended, keys }));
                *self.set.write().unwrap_or_else(PoisonError::into_inner) = set;
            }
            Err(error) => warn!(%error, kept = self.current().is_some(), "the issuer's keys cannot be fetched"),
        }
    }

    async fn download(&self) -> Result<Vec<(Option<String>, VerifyingKey)>, String> {
        // Without the URL, which may hold a password.
        let explain = |error: reqwest::Error| format!("{:#}", Chain(&error.without_url()));
        let response = self.client.get(self.url.clone()).send().await.map_err(explain)?;
        let mut response = response.error_for_status().map_err(explain)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(explain)? {
            if body.len() + chunk.len() > LARGEST_SET {
                return Err("the set is larger than 1 MiB".to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        let set: PublishedSet = serde_json::from_slice(&body).map_err(|error| format!("no key set: {error}"))?;
        Ok(usable(&set.keys))
    }
}

/// The keys of a set that can be used. Others are skipped: an issuer may publish keys for other purposes beside ours.
pub(super) fn usable(published: &[Value]) -> Vec<(Option<String>, VerifyingKey)> {
    let keys: Vec<_> = published.iter().filter_map(|jwk| VerifyingKey::from_jwk(jwk).ok()).collect();
    if keys.is_empty() {
        warn!(published = published.len(), "the issuer publishes no key that can be used");
    }
    keys
}

impl KeySet {
    /// The keys that may have signed a token.
    fn fitting(&self, kid: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &VerifyingKey> {
        let is_named = move |id: &Option<String>| kid.is_none() || id.as_deref() == kid;
        let fitting = self.keys.iter().filter(move |(id, key)| is_named(id) && key.algorithm() == algorithm);
        fitting.map(|(_, key)| key).take(MOST_TRIED)
    }

    fn open(&self, token: &str, kid: Option<&str>, algorithm: Algorithm) -> Option<Map<String, Value>> {
        self.fitting(kid, algorithm).find_map(|key| key.open(token))
    }
}

fn is_same(one: Option<&Arc<KeySet>>, other: Option<&Arc<KeySet>>) -> bool {
    one.map(Arc::as_ptr) == other.map(Arc::as_ptr)
}

fn unknown() -> TokenError {
    invalid("the token is signed with a key that its issuer does not publish")
}

/// An error with its causes: reqwest's own text rarely says what happened.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
