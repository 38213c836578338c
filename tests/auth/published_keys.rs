//! Tokens whose keys an issuer publishes, over a real socket.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use correio::application::ports::{Clock, TokenError, TokenVerifier};
use correio::domain::Timestamp;
use correio::infrastructure::auth::JwtVerifier;
use correio::infrastructure::config::JwtConfig;
use futures::future::join_all;
use tokio::net::TcpListener;

const RSA: (&str, &str) = (include_str!("keys/rsa.jwk.json"), include_str!("keys/rsa.jwt"));
const EC: (&str, &str) = (include_str!("keys/ec.jwk.json"), include_str!("keys/ec.jwt"));
const ED: (&str, &str) = (include_str!("keys/ed.jwk.json"), include_str!("keys/ed.jwt"));
const ED_NEXT: (&str, &str) = (include_str!("keys/ed-next.jwk.json"), include_str!("keys/ed-next.jwt"));
/// The key has a name, and the token does not say it.
const ED_UNNAMED: (&str, &str) = (include_str!("keys/ed-unnamed.jwk.json"), include_str!("keys/ed-unnamed.jwt"));

/// Half-way through the hour of the tokens; what passes is what the test says.
#[derive(Default)]
struct TestClock(AtomicU64);

impl TestClock {
    fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        "2026-01-18T12:30:00Z".parse().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, _: Duration) {}
}

/// An issuer that answers with what the test tells it to, and counts how often it is asked.
#[derive(Clone)]
struct Issuer {
    answer: Arc<Mutex<(StatusCode, String)>>,
    asked: Arc<AtomicUsize>,
    url: String,
}

impl Issuer {
    async fn publishing(keys: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let issuer = Self { answer: Arc::default(), asked: Arc::default(), url };
        issuer.publish(keys);
        let (answer, asked) = (issuer.answer.clone(), issuer.asked.clone());
        let answer = move || {
            asked.fetch_add(1, Ordering::SeqCst);
            std::future::ready(answer.lock().unwrap().clone())
        };
        tokio::spawn(async { axum::serve(listener, Router::new().route("/jwks.json", get(answer))).await });
        issuer
    }

    fn publish(&self, keys: &[&str]) {
        self.say(StatusCode::OK, format!(r#"{{"keys": [{}]}}"#, keys.join(",")));
    }

    fn say(&self, status: StatusCode, body: impl Into<String>) {
        *self.answer.lock().unwrap() = (status, body.into());
    }

    fn go_away(&self) {
        self.say(StatusCode::SERVICE_UNAVAILABLE, "");
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn verifier(&self) -> (JwtVerifier, Arc<TestClock>) {
        verifier(&self.url)
    }
}

fn verifier(url: &str) -> (JwtVerifier, Arc<TestClock>) {
    let clock = Arc::new(TestClock::default());
    let config = JwtConfig {
        secret: None,
        public_key: None,
        jwks_url: Some(url.parse().unwrap()),
        issuer: None,
        audience: None,
        tenant_claim: "tenant".to_owned(),
        user_claim: "sub".to_owned(),
    };
    (JwtVerifier::new(&config, clock.clone()).unwrap(), clock)
}

async fn accepts(verifier: &JwtVerifier, token: &str) -> bool {
    match verifier.verify(token).await {
        Ok(principal) => principal.tenant.as_str() == "acme",
        Err(TokenError::Invalid(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn is_unavailable(verifier: &JwtVerifier, token: &str) -> bool {
    matches!(verifier.verify(token).await, Err(TokenError::Unavailable(_)))
}

#[tokio::test]
async fn published_keys_of_every_type_verify_tokens_and_are_fetched_once() {
    let issuer = Issuer::publishing(&[RSA.0, EC.0, ED.0]).await;
    let (verifier, _) = issuer.verifier();
    let answers = join_all([RSA.1, EC.1, ED.1, RSA.1, ED.1].map(|token| accepts(&verifier, token))).await;
    assert!(answers.iter().all(|accepted| *accepted));
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn keys_that_cannot_be_used_are_skipped() {
    let strange = [r#"{"kty": "oct", "k": "aHVzaA", "kid": "ed"}"#, r#"{"kid": "ed"}"#, "7", ED.0];
    let (verifier, _) = Issuer::publishing(&strange).await.verifier();
    assert!(accepts(&verifier, ED.1).await);
}

#[tokio::test]
async fn a_rotation_is_noticed_by_the_new_kid() {
    let issuer = Issuer::publishing(&[ED.0]).await;
    let (verifier, clock) = issuer.verifier();
    assert!(accepts(&verifier, ED.1).await);

    issuer.publish(&[ED.0, ED_NEXT.0]);
    clock.advance(10);
    assert!(accepts(&verifier, ED_NEXT.1).await);
    assert!(accepts(&verifier, ED.1).await);
    assert_eq!(issuer.asked(), 2);
}

/// A key as another one's name.
fn renamed(key: &str, kid: &str) -> String {
    let mut key: serde_json::Value = serde_json::from_str(key).unwrap();
    key["kid"] = kid.into();
    key.to_string()
}

#[tokio::test]
async fn a_key_that_is_replaced_under_its_name_is_noticed_by_the_first_token() {
    let old = renamed(ED_NEXT.0, "ed");
    let issuer = Issuer::publishing(&[&old]).await;
    let (verifier, clock) = issuer.verifier();
    assert!(!accepts(&verifier, ED.1).await);
    issuer.publish(&[ED.0]);
    for _ in 0..20 {
        assert!(!accepts(&verifier, ED.1).await, "the issuer is not asked again at once");
    }
    assert_eq!(issuer.asked(), 1);
    clock.advance(10);
    assert!(accepts(&verifier, ED.1).await);
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn of_several_keys_that_bear_the_name_each_is_tried() {
    let twin = renamed(ED_NEXT.0, "ed");
    let (verifier, _) = Issuer::publishing(&[&twin, ED.0]).await.verifier();
    assert!(accepts(&verifier, ED.1).await);
}

#[tokio::test]
async fn made_up_kids_do_not_bother_the_issuer() {
    let issuer = Issuer::publishing(&[ED.0]).await;
    let (verifier, clock) = issuer.verifier();
    for _ in 0..20 {
        assert!(!accepts(&verifier, ED_NEXT.1).await);
    }
    assert_eq!(issuer.asked(), 1);
    clock.advance(10);
    let answers = join_all((0..20).map(|_| accepts(&verifier, ED_NEXT.1))).await;
    assert!(answers.iter().all(|accepted| !*accepted));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn a_key_that_is_no_longer_published_is_forgotten_after_five_minutes() {
    let issuer = Issuer::publishing(&[ED.0]).await;
    let (verifier, clock) = issuer.verifier();
    assert!(accepts(&verifier, ED.1).await);
    issuer.publish(&[ED_NEXT.0]);
    clock.advance(299);
    assert!(accepts(&verifier, ED.1).await);
    clock.advance(1);
    assert!(!accepts(&verifier, ED.1).await);
}

#[tokio::test]
async fn while_the_issuer_is_away_the_last_set_stays_in_use() {
    let issuer = Issuer::publishing(&[ED.0]).await;
    let (verifier, clock) = issuer.verifier();
    assert!(accepts(&verifier, ED.1).await);
    let for_something_else = r#"{"keys": [{"kty": "RSA", "use": "enc", "kid": "e", "n": "AQAB", "e": "AQAB"}]}"#;
    for (status, body) in [
        (503, ""),
        (304, ""),
        (200, "<html>"),
        (200, &" ".repeat(1024 * 1024 + 1)),
        (200, r#"{"keys": []}"#),
        (200, for_something_else),
    ] {
        issuer.say(StatusCode::from_u16(status).unwrap(), body);
        clock.advance(3600);
        assert!(accepts(&verifier, ED.1).await);
        assert!(accepts(&verifier, ED.1).await);
        assert!(!accepts(&verifier, ED_NEXT.1).await);
    }
    assert_eq!(issuer.asked(), 7);
}

#[tokio::test]
async fn without_any_set_tokens_cannot_be_verified_until_the_issuer_returns() {
    let issuer = Issuer::publishing(&[]).await;
    issuer.go_away();
    let (verifier, clock) = issuer.verifier();
    let answers = join_all((0..20).map(|_| is_unavailable(&verifier, ED.1))).await;
    assert!(answers.iter().all(|unavailable| *unavailable));
    assert_eq!(issuer.asked(), 1);

    issuer.publish(&[ED.0]);
    clock.advance(1);
    assert!(accepts(&verifier, ED.1).await);
}

#[tokio::test]
async fn an_issuer_without_keys_is_one_that_has_not_begun() {
    let issuer = Issuer::publishing(&[]).await;
    let (verifier, clock) = issuer.verifier();
    assert!(is_unavailable(&verifier, ED.1).await);
    issuer.publish(&[ED.0]);
    clock.advance(1);
    assert!(accepts(&verifier, ED.1).await);
}

#[tokio::test]
async fn a_key_without_a_name_is_tried_last() {
    let mut unnamed: serde_json::Value = serde_json::from_str(ED.0).unwrap();
    unnamed.as_object_mut().unwrap().remove("kid");
    let (verifier, _) = Issuer::publishing(&[&renamed(ED_NEXT.0, "ed"), &unnamed.to_string()]).await.verifier();
    assert!(accepts(&verifier, ED.1).await);
}

#[tokio::test]
async fn a_set_may_begin_with_a_byte_order_mark() {
    let issuer = Issuer::publishing(&[]).await;
    issuer.say(StatusCode::OK, format!("\u{feff}{{\"keys\": [{}]}}", ED.0));
    let (verifier, _) = issuer.verifier();
    assert!(accepts(&verifier, ED.1).await);
}

#[tokio::test]
async fn an_issuer_that_nobody_answers_for_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (verifier, _) = verifier(&format!("http://{address}/jwks.json"));
    assert!(is_unavailable(&verifier, ED.1).await);
}

#[tokio::test]
async fn a_token_without_a_kid_is_verified_with_each_key_of_its_type() {
    let told = |keys: Vec<&'static str>| async move {
        let (verifier, _) = Issuer::publishing(&keys).await.verifier();
        verifier.verify(ED_UNNAMED.1).await.map(|principal| principal.tenant.as_str().to_owned())
    };
    assert_eq!(told(vec![RSA.0, ED_UNNAMED.0]).await.unwrap(), "acme");
    assert_eq!(told(vec![ED.0, ED_NEXT.0, ED_UNNAMED.0]).await.unwrap(), "acme");
    assert!(told(vec![ED.0, ED_NEXT.0]).await.unwrap_err().to_string().contains("signature"));
    assert!(told(vec![RSA.0]).await.unwrap_err().to_string().contains("does not publish"));
}

#[tokio::test]
async fn the_issuer_learns_who_asks_and_may_send_us_elsewhere() {
    let issuer = Issuer::publishing(&[ED.0]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let (asked, there) = (Arc::new(Mutex::new(None)), issuer.url.clone());
    let heard = asked.clone();
    let redirect = move |headers: axum::http::HeaderMap| {
        *heard.lock().unwrap() = headers.get("user-agent").and_then(|it| it.to_str().ok()).map(str::to_owned);
        std::future::ready(axum::response::Redirect::temporary(&there))
    };
    tokio::spawn(async { axum::serve(listener, Router::new().route("/keys", get(redirect))).await });
    let (verifier, _) = verifier(&url);
    assert!(accepts(&verifier, ED.1).await);
    assert_eq!(asked.lock().unwrap().as_deref(), Some(concat!("Correio/", env!("CARGO_PKG_VERSION"))));
}
