//! Keys that an issuer publishes as a JSON Web Key Set.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_compression::tokio::bufread::GzipDecoder;
use jsonwebtoken::Algorithm;
use reqwest::Client;
use reqwest::redirect::Policy;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;
use tokio::sync::{Mutex, MutexGuard};
use tracing::{info, warn};
use url::Url;

use super::claims::{forged, invalid};
use super::verifying_key::{UnusableKey, VerifyingKey, kid};
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
/// How many skipped keys a process says something about.
const MOST_SAID: usize = 100;
/// How much of a `kid` is said.
const KID_SHOWN: usize = 100;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const GZIP: &[u8] = b"\x1f\x8b";

/// The issuer's keys: fetched when they are first needed and now and then, by one caller at a time. While the issuer is
/// away, the last set stays in use.
pub(super) struct PublishedKeys {
    url: Url,
    client: Client,
    clock: Arc<dyn Clock>,
    set: RwLock<Option<Arc<KeySet>>>,
    /// When a fetch last began or ended. The holder of the lock may fetch.
    attempted_at: Mutex<Option<Duration>>,
    /// What was said about keys that are skipped.
    said: std::sync::Mutex<HashSet<Skipped>>,
}

type NamedKey = (Option<String>, VerifyingKey);

struct KeySet {
    fetched_at: Duration,
    keys: Vec<NamedKey>,
}

/// A key that is not used: how it is called, and why.
type Skipped = (Option<String>, UnusableKey);

#[derive(Deserialize)]
struct PublishedSet {
    keys: Vec<Value>,
}

impl PublishedKeys {
    pub(super) fn new(url: Url, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        let client = client_builder(TIMEOUT).timeout(TIMEOUT).redirect(Policy::limited(MOST_REDIRECTS)).build();
        let client = client.map_err(|error| ConfigError::new("JWT_JWKS_URL", format!("cannot be fetched: {error}")))?;
        Ok(Self {
            url,
            client,
            clock,
            set: RwLock::new(None),
            attempted_at: Mutex::new(None),
            said: Default::default(),
        })
    }

    /// What a token says that is signed with one of the keys: with the one that it names by its `kid` or one that has none,
    /// else with any of its algorithm. Where none fits, the keys may have been replaced, under their old names too: the set is fetched once more.
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

    /// A set without a key that can be used is none: it would turn every token away for good, most often for an issuer that is
    /// just starting.
    async fn download(&self) -> Result<Vec<NamedKey>, String> {
        // Without the URL, which may hold a password.
        let explain = |error: reqwest::Error| format!("{:#}", Chain(&error.without_url()));
        let response = self.client.get(self.url.clone()).send().await.map_err(explain)?;
        let mut response = response.error_for_status().map_err(explain)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(explain)? {
            if body.len() + chunk.len() > LARGEST_SET {
                return Err(TOO_LARGE.to_owned());
            }
            body.extend_from_slice(&chunk);
        }
        // Unasked: by a server that has nothing else.
        if body.starts_with(GZIP) {
            body = unpacked(&body).await?;
        }
        let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&body);
        let set: PublishedSet = serde_json::from_slice(text).map_err(|error| format!("no key set: {error}"))?;
        let (keys, skipped) = usable(&set.keys);
        self.say(skipped);
        if keys.is_empty() {
            return Err(format!("none of the {} keys that it publishes can be used", set.keys.len()));
        }
        Ok(keys)
    }

    /// Once a key: a set is fetched every few minutes.
    fn say(&self, skipped: Vec<Skipped>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        for (kid, reason) in skipped {
            if said.len() >= MOST_SAID || !said.insert((kid.clone(), reason)) {
                continue;
            }
            match reason {
                UnusableKey::ForSomethingElse(_) => info!(kid, %reason, "a key that the issuer publishes is not used"),
                UnusableKey::Broken(_) => warn!(kid, %reason, "a key that the issuer publishes cannot be used"),
            }
        }
    }
}

const TOO_LARGE: &str = "the set is larger than 1 MiB";

async fn unpacked(body: &[u8]) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let mut decoder = GzipDecoder::new(body).take(LARGEST_SET as u64 + 1);
    decoder.read_to_end(&mut unpacked).await.map_err(|error| format!("no gzip, as it begins: {error}"))?;
    if unpacked.len() > LARGEST_SET { Err(TOO_LARGE.to_owned()) } else { Ok(unpacked) }
}

/// The keys of a set that can be used, and those that are skipped: an issuer may publish keys for other purposes beside ours.
pub(super) fn usable(published: &[Value]) -> (Vec<NamedKey>, Vec<Skipped>) {
    let (mut keys, mut skipped) = (Vec::new(), Vec::new());
    for jwk in published {
        match VerifyingKey::from_jwk(jwk) {
            Ok(key) => keys.push(key),
            Err(reason) => {
                let kid = jwk.get("kid").and_then(kid).map(|kid| kid.chars().take(KID_SHOWN).collect());
                skipped.push((kid, reason));
            }
        }
    }
    (keys, skipped)
}

impl KeySet {
    /// The keys that may have signed a token.
    fn fitting(&self, kid: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &VerifyingKey> {
        let of_algorithm = move |(_, key): &&NamedKey| key.algorithm() == algorithm;
        let named = self.keys.iter().filter(move |(id, _)| kid.is_none() || id.as_deref() == kid);
        // A key without a name may be any.
        let unnamed = self.keys.iter().filter(move |(id, _)| kid.is_some() && id.is_none());
        named.chain(unnamed).filter(of_algorithm).map(|(_, key)| key).take(MOST_TRIED)
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

#[cfg(test)]
mod tests {
    use async_compression::tokio::bufread::GzipEncoder;
    use serde_json::json;

    use super::*;
    use crate::infrastructure::system::SystemClock;
    use crate::log_lines::written;

    #[tokio::test]
    async fn a_set_that_is_packed_unasked_is_unpacked() {
        let mut packed = Vec::new();
        GzipEncoder::new(&b"{\"keys\": []}"[..]).read_to_end(&mut packed).await.unwrap();
        assert!(packed.starts_with(GZIP));
        assert_eq!(unpacked(&packed).await.unwrap(), b"{\"keys\": []}");
        assert!(unpacked(&packed[..packed.len() - 9]).await.is_err());

        let mut packed = Vec::new();
        GzipEncoder::new(&vec![b' '; LARGEST_SET + 1][..]).read_to_end(&mut packed).await.unwrap();
        assert_eq!(unpacked(&packed).await, Err(TOO_LARGE.to_owned()));
    }

    #[test]
    fn a_key_that_is_skipped_is_said_once() {
        let url = "https://id.example/".parse().unwrap();
        let keys = PublishedKeys::new(url, Arc::new(SystemClock::new())).unwrap();
        let published =
            [json!({"kty": "RSA", "use": "enc", "kid": "e"}), json!({"kty": "EC", "crv": "P-256", "kid": 7})];
        let lines = written(|| {
            keys.say(usable(&published).1);
            keys.say(usable(&published).1);
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].contains("INFO") && lines[0].contains("\"e\"") && lines[0].contains("not for signatures"),
            "{lines:?}"
        );
        assert!(
            lines[1].contains("WARN") && lines[1].contains("\"7\"") && lines[1].contains("lacks a part"),
            "{lines:?}"
        );
    }
}
