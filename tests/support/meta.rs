//! Meta's Cloud API as `whatsapp-cloud-api.md` has it: sends, and the webhooks that it signs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::caller::Caller;

pub const ACCESS_TOKEN: &str = "EAAGm0PX4ZCpsBAJd3sF9kQ2";

#[derive(Default)]
struct Server {
    /// By the number that they were sent through.
    sent: HashMap<String, Vec<Value>>,
    /// The status and the error's code with which sends are refused.
    fails: Option<(u16, i64)>,
    /// A send that is taken, and answered with the failure of a server.
    loses_answers: bool,
    calls: usize,
}

type Shared = Arc<Mutex<Server>>;

pub struct FakeMeta {
    server: Shared,
    pub base_url: String,
    task: tokio::task::JoinHandle<()>,
}

impl FakeMeta {
    pub async fn start() -> Self {
        let server = Shared::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().route("/v26.0/{number}/messages", post(send)).with_state(server.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { server, base_url, task }
    }

    pub fn fails(&self, with: Option<(u16, i64)>) {
        self.server.lock().unwrap().fails = with;
    }

    pub fn loses_answers(&self, loses: bool) {
        self.server.lock().unwrap().loses_answers = loses;
    }

    /// The bodies of the sends that were taken through this number.
    pub fn sent(&self, number: &str) -> Vec<Value> {
        self.server.lock().unwrap().sent.get(number).cloned().unwrap_or_default()
    }

    /// How often it was asked to send, whatever came of it.
    pub fn calls(&self) -> usize {
        self.server.lock().unwrap().calls
    }
}

impl Drop for FakeMeta {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The name that the nth send through a number gets.
pub fn wamid(number: &str, nth: usize) -> String {
    format!("wamid.{number}.{nth}")
}

async fn send(
    State(server): State<Shared>,
    Path(number): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let mut server = server.lock().unwrap();
    server.calls += 1;
    if headers.get("authorization").is_none_or(|given| given != format!("Bearer {ACCESS_TOKEN}").as_str()) {
        return failed(401, 190);
    }
    if let Some((status, code)) = server.fails {
        return failed(status, code);
    }
    server.sent.entry(number.clone()).or_default().push(body.clone());
    if server.loses_answers {
        return failed(500, 131_000);
    }
    let id = wamid(&number, server.sent[&number].len());
    let contact = json!({"input": body["to"], "wa_id": body["to"]});
    Json(json!({"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": id}]})).into_response()
}

fn failed(status: u16, code: i64) -> Response {
    let error = json!({
        "message": format!("(#{code}) It is refused"), "type": "OAuthException", "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": "It is refused for a reason"}, "fbtrace_id": "Az8or2yh"
    });
    (StatusCode::from_u16(status).unwrap(), Json(json!({ "error": error }))).into_response()
}

/// What is said of a number's messages.
pub fn change(number: &str, statuses: &[Value]) -> Value {
    json!({"field": "messages", "value": {
        "messaging_product": "whatsapp", "statuses": statuses,
        "metadata": {"display_phone_number": "15550783881", "phone_number_id": number},
    }})
}

/// What people have written to a number.
pub fn written(number: &str, contacts: Value, messages: &[Value]) -> Value {
    let mut change = change(number, &[]);
    change["value"]["contacts"] = contacts;
    change["value"]["messages"] = json!(messages);
    change
}

/// One entry for each list of changes.
pub fn report(entries: &[&[Value]]) -> Value {
    let entries: Vec<Value> =
        entries.iter().map(|changes| json!({"id": "102290129340398", "changes": changes})).collect();
    json!({"object": "whatsapp_business_account", "entry": entries})
}

pub fn status(id: &str, status: &str) -> Value {
    json!({"id": id, "status": status, "timestamp": chrono::Utc::now().timestamp().to_string(), "recipient_id": "5585999999999"})
}

pub fn signature(secret: &str, body: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    let digits: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

/// Posts a report with its signature by this secret; returns how it was answered.
pub async fn post_signed(caller: &Caller, name: &str, secret: &str, report: &Value) -> u16 {
    let body = report.to_string();
    let path = format!("/api/messaging/webhook/{name}");
    let request = caller.nobody().request(reqwest::Method::POST, &path).header("content-type", "application/json");
    let request = request.header("x-hub-signature-256", signature(secret, body.as_bytes()));
    caller.call(request.body(body)).await.status
}
