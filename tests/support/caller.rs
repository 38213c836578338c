use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::answered::Answered;
use super::eventually::{SOON, eventually};
use super::installation::Mode;

/// Somebody who calls the API.
#[derive(Clone)]
pub struct Caller {
    http: reqwest::Client,
    base: String,
    credentials: Option<(&'static str, String)>,
    mode: Mode,
}

/// How a message fails, in either mode.
#[derive(Clone, Copy, Debug)]
pub struct Failure {
    /// What a caller who waited is answered with.
    pub status: u16,
    pub problem: &'static str,
    /// Of every try.
    pub outcome: &'static str,
    /// That nobody waits for; who waits, waits for one.
    pub tries: i64,
}

/// The channel may take it later.
pub const TRANSIENT: Failure = Failure { status: 502, problem: "channel-failed", outcome: "transient", tries: 3 };
/// Nobody knows whether the channel took it.
pub const UNKNOWN: Failure = Failure { outcome: "unknown", ..TRANSIENT };
/// This recipient, or this content, never.
pub const REFUSED: Failure = Failure { status: 422, problem: "recipient-refused", outcome: "permanent", tries: 1 };

impl Caller {
    pub fn new(address: &str, mode: &Mode) -> Self {
        // The program uses the same provider; the client of a story has no configuration of its own.
        let _already_there = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        Self { http, base: format!("http://{address}"), credentials: None, mode: mode.clone() }
    }

    pub fn waits(&self) -> bool {
        self.mode == Mode::Direct
    }

    /// The same, with an API key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { credentials: Some(("x-api-key", key.to_owned())), ..self.clone() }
    }

    /// The same, with a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { credentials: Some(("authorization", format!("Bearer {token}"))), ..self.clone() }
    }

    /// The same, with a name and a password.
    pub fn with_basic(&self, name: &str, password: &str) -> Self {
        let encoded = BASE64_STANDARD.encode(format!("{name}:{password}"));
        Self { credentials: Some(("authorization", format!("Basic {encoded}"))), ..self.clone() }
    }

    pub fn nobody(&self) -> Self {
        Self { credentials: None, ..self.clone() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.credentials {
            Some((name, value)) => request.header(*name, value),
            None => request,
        }
    }

    pub async fn call(&self, request: RequestBuilder) -> Answered {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("a whole answer").to_vec();
        Answered { status, headers, body }
    }

    pub async fn get(&self, path: &str) -> Answered {
        self.call(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answered {
        self.call(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answered {
        self.call(self.request(Method::POST, path).json(body)).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Answered {
        self.call(self.request(Method::PATCH, path).json(body)).await
    }

    /// A body as it stands, called whatever it is called; an empty name: not at all.
    pub async fn post_bytes(&self, path: &str, content_type: &str, body: Vec<u8>) -> Answered {
        let request = self.request(Method::POST, path).body(body);
        let named = if content_type.is_empty() { request } else { request.header("content-type", content_type) };
        self.call(named).await
    }

    /// A body as it stands, called JSON.
    pub async fn post_text(&self, path: &str, body: impl Into<String>) -> Answered {
        let request = self.request(Method::POST, path).header("content-type", "application/json");
        self.call(request.body(body.into())).await
    }

    pub async fn send(&self, body: &Value) -> Answered {
        self.post("/api/messaging/message/send", body).await
    }

    pub async fn send_once(&self, key: &str, body: &Value) -> Answered {
        let request = self.request(Method::POST, "/api/messaging/message/send").json(body);
        self.call(request.header("idempotency-key", key)).await
    }

    pub async fn message(&self, id: &str) -> Value {
        let answer = self.get(&format!("/api/messaging/messages/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.json());
        answer.data()
    }

    /// That the message was accepted, in the words of this mode; returns its id.
    pub fn accepted(&self, answer: &Answered) -> String {
        let (body, id) = (answer.json(), answer.message_id());
        assert_eq!((&body["success"], &body["message"]), (&json!(true), &json!("Mensagem enviada com sucesso")));
        if self.waits() {
            assert_eq!((answer.status, &body["data"]["status"]), (200, &json!("sent")), "{body}");
        } else {
            let data = json!({ "messageId": id, "status": "queued", "queued": true });
            assert_eq!((answer.status, &body["data"]), (202, &data), "{body}");
        }
        id
    }

    /// The message when it is `sent` or `failed`.
    pub async fn ended(&self, id: &str) -> Value {
        eventually(SOON, "the message ends", async || {
            let message = self.message(id).await;
            ["sent", "failed", "cancelled"].iter().any(|end| message["status"] == *end).then_some(message)
        })
        .await
    }

    /// Sends, and waits for the end, whichever; returns the message's id.
    pub async fn bring_to_its_end(&self, body: &Value) -> String {
        let id = self.send(body).await.message_id();
        self.ended(&id).await;
        id
    }

    /// Sends what shall be accepted and delivered; returns the message when it is.
    pub async fn sent(&self, body: &Value) -> Value {
        let id = self.accepted(&self.send(body).await);
        let message = self.ended(&id).await;
        assert_eq!(message["status"], "sent", "{message}");
        assert_eq!((&message["retries"], &message["error"]), (&json!(1), &json!(null)), "{message}");
        message
    }

    /// Sends what shall fail so, and be told to whom it concerns: to a caller who waits in the answer, to everybody in the
    /// message. Returns the message.
    pub async fn fails(&self, body: &Value, failure: Failure) -> Value {
        let answer = self.send(body).await;
        if self.waits() {
            let told = (answer.status, answer.problem());
            assert_eq!(told, (failure.status, failure.problem.to_owned()), "{}", answer.json());
            assert_eq!(answer.data()["status"], "failed");
        } else {
            self.accepted(&answer);
        }
        let message = self.ended(&answer.message_id()).await;
        let tries = self.tries(failure);
        assert_eq!((&message["status"], &message["retries"]), (&json!("failed"), &json!(tries)), "{message}");
        if self.waits() {
            assert_eq!(message["error"], answer.json()["error"]);
        }
        let attempts = message["attempts"].as_array().unwrap();
        assert_eq!(attempts.len() as i64, tries, "{message}");
        assert!(attempts.iter().all(|attempt| attempt["outcome"] == failure.outcome), "{message}");
        assert_eq!(message["error"], attempts.last().unwrap()["error"], "{message}");
        message
    }

    /// How often a message is tried that fails so.
    pub fn tries(&self, failure: Failure) -> i64 {
        if self.waits() { 1 } else { failure.tries }
    }

    /// Its id.
    pub async fn create_instance(&self, body: &Value) -> String {
        let answer = self.post("/api/messaging/instances", body).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
        answer.data()["instanceId"].as_str().unwrap().to_owned()
    }
}

/// A message to the sandbox, whose recipient says what becomes of it.
pub fn to_sandbox(recipient: &str) -> Value {
    json!({ "channel": "sandbox", "channelInstanceId": "sandbox", "remoteJid": recipient, "message": "Olá!" })
}
