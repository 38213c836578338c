//! Evolution's instances: made, connected, logged out, deleted.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::answer::without_places;
use super::credentials::EvolutionCredentials;
use super::request::PEER;
use crate::application::ports::{Account, ChannelConnector, Clock, Code, Connection, EventAddress, SECRET_HEADER};
use crate::domain::instance::ConnectionStatus;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::delivery::DeliveryError;
use crate::infrastructure::channels::http::http_answer::{HttpAnswer, without_answer};
use crate::infrastructure::channels::http::redaction::Redaction;
use crate::infrastructure::http_client::{AddressGuard, ClientSetupError, GuardedClient, Repeats, client_builder};

/// A code is an image of some kilobytes.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// Evolution waits two seconds for a code itself, and five where it makes an instance.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What we are told of; anything else is noise.
const EVENTS: [&str; 9] = [
    "MESSAGES_UPSERT",
    "MESSAGES_UPDATE",
    "MESSAGES_DELETE",
    "SEND_MESSAGE",
    "CONNECTION_UPDATE",
    "QRCODE_UPDATED",
    "STATUS_INSTANCE",
    "LOGOUT_INSTANCE",
    "REMOVE_INSTANCE",
];

pub struct EvolutionConnector {
    client: GuardedClient,
    clock: Arc<dyn Clock>,
}

/// What Evolution answered, or why it did not.
enum Answered {
    Well(Value),
    /// The status, if there was one, and a sentence.
    Badly(Option<StatusCode>, String),
}

impl EvolutionConnector {
    /// # Errors
    /// When no HTTP client can be built on this machine.
    pub fn new(guard: Arc<AddressGuard>, clock: Arc<dyn Clock>) -> Result<Self, ClientSetupError> {
        let client = GuardedClient::new(guard, || client_builder(TIMEOUT / 3))?;
        Ok(Self { client, clock })
    }

    async fn ask(&self, credentials: &EvolutionCredentials, request: RequestBuilder) -> Answered {
        self.ask_hiding(credentials.redaction(), credentials, request).await
    }

    async fn ask_hiding(
        &self,
        hidden: &Redaction,
        credentials: &EvolutionCredentials,
        request: RequestBuilder,
    ) -> Answered {
        let request = request.header("apikey", credentials.api_key_header());
        let response = match self.client.send(request, TIMEOUT, Repeats::IfUnsent).await {
            Ok(response) => response,
            Err(error) => return Answered::Badly(None, without_answer(PEER, error, hidden).reason),
        };
        let answer = HttpAnswer::read(response, ANSWER_LIMIT, self.clock.now()).await;
        let body: Value = serde_json::from_str(&answer.text()).unwrap_or_default();
        // It fails with 200, too.
        if answer.status.is_success() && body.get("error") != Some(&Value::Bool(true)) {
            return Answered::Well(body);
        }
        let said = body.pointer("/response/message").or_else(|| body.get("message")).map(said);
        let said = said.unwrap_or_else(|| answer.text());
        let said = hidden.snippet(without_places(&said));
        let colon = if said.is_empty() { "" } else { ": " };
        Answered::Badly(Some(answer.status), format!("HTTP {} from {PEER}{colon}{said}", answer.status.as_u16()))
    }

    /// Made, or taken over when it is there. An instance's own key may not make one, but it may use its own.
    async fn make(&self, credentials: &EvolutionCredentials) -> Result<(), Connection> {
        let body = json!({
            "instanceName": credentials.instance_name(), "integration": "WHATSAPP-BAILEYS", "qrcode": false,
        });
        let request = self.client.requests().post(credentials.url_of(&["instance", "create"])).json(&body);
        match self.ask(credentials, request).await {
            Answered::Well(_) => Ok(()),
            Answered::Badly(Some(StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED), _) => Ok(()),
            Answered::Badly(status, problem) => Err(failed(status, problem)),
        }
    }

    async fn subscribe(&self, credentials: &EvolutionCredentials, events: &EventAddress) -> Result<(), String> {
        let webhook = json!({"webhook": {
            "enabled": true, "url": events.url, "events": EVENTS, "headers": {SECRET_HEADER: events.secret},
            "byEvents": false, "base64": false,
        }});
        let request = self.client.requests().post(credentials.url(&["webhook", "set"])).json(&webhook);
        // What is refused may be shown with all that was sent.
        let hidden = credentials.redaction().clone().and(&events.secret);
        match self.ask_hiding(&hidden, credentials, request).await {
            Answered::Well(_) => Ok(()),
            Answered::Badly(_, problem) => {
                Err(format!("The events of the instance could not be subscribed to: {problem}"))
            }
        }
    }

    async fn ask_for_code(&self, credentials: &EvolutionCredentials) -> Connection {
        let request = self.client.requests().get(credentials.url(&["instance", "connect"]));
        match self.ask(credentials, request).await {
            Answered::Well(body) => connection(&body, ConnectionStatus::Connecting),
            Answered::Badly(status, problem) => failed(status, problem),
        }
    }
}

/// What `response.message` says, in any of its shapes.
fn said(message: &Value) -> String {
    match message {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(said).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

/// The state that an answer names (2.x; 1.x), or the code that it holds.
fn connection(body: &Value, otherwise: ConnectionStatus) -> Connection {
    let state =
        ["/instance/state", "/instance/status", "/state"].iter().find_map(|place| body.pointer(place)?.as_str());
    let text = |place: &str| body.pointer(place).and_then(Value::as_str).map(str::to_owned);
    let code = Code {
        text: text("/code").or_else(|| text("/qrcode/code")),
        image: text("/base64").or_else(|| text("/qrcode/base64")).filter(|image| image.starts_with("data:image/")),
    };
    let status = match state {
        Some("open") => ConnectionStatus::Connected,
        Some("connecting") => ConnectionStatus::Connecting,
        Some("close") => ConnectionStatus::Disconnected,
        _ => otherwise,
    };
    let code = (status != ConnectionStatus::Connected && (code.text.is_some() || code.image.is_some())).then_some(code);
    Connection { status, code, problem: None, is_answered: true }
}

/// The status with which it was answered, if it was.
fn failed(status: Option<StatusCode>, problem: String) -> Connection {
    if status.is_some() { Connection::failed(problem) } else { Connection::unanswered(problem) }
}

/// Whether the row of an instance says that a person's phone stands behind it. Rows of 2.x have the integration; 1.x knew no
/// other, and has none in its rows.
fn is_of_a_phone(rows: &Value, name: &str) -> Option<bool> {
    let rows = rows.as_array().map_or(std::slice::from_ref(rows), Vec::as_slice);
    let row = rows.iter().find(|row| {
        ["/name", "/instance/instanceName"].iter().any(|place| row.pointer(place).and_then(Value::as_str) == Some(name))
    })?;
    let integration = ["/integration", "/instance/integration"].iter().find_map(|place| row.pointer(place)?.as_str());
    Some(integration.is_none_or(|integration| integration == "WHATSAPP-BAILEYS"))
}

fn opened(account: &Account) -> Result<EvolutionCredentials, DeliveryError> {
    EvolutionCredentials::stored(&account.credentials, &account.channel_instance_id)
}

#[async_trait]
impl ChannelConnector for EvolutionConnector {
    fn channel(&self) -> ChannelName {
        ChannelName::new("whatsapp_evolution")
    }

    fn longest_call(&self) -> Duration {
        TIMEOUT * 3
    }

    async fn connect(&self, account: &Account, events: Option<&EventAddress>) -> Connection {
        let credentials = match opened(account) {
            Ok(credentials) => credentials,
            Err(error) => return Connection::failed(error.reason),
        };
        if let Err(failed) = self.make(&credentials).await {
            return failed;
        }
        let subscribed = match events {
            Some(events) => self.subscribe(&credentials, events).await,
            None => Ok(()),
        };
        let connection = self.ask_for_code(&credentials).await;
        let problem = connection.problem.clone().or(subscribed.err());
        Connection { problem, ..connection }
    }

    async fn code(&self, account: &Account) -> Connection {
        match opened(account) {
            Ok(credentials) => self.ask_for_code(&credentials).await,
            Err(error) => Connection::failed(error.reason),
        }
    }

    async fn standing(&self, account: &Account) -> Connection {
        let credentials = match opened(account) {
            Ok(credentials) => credentials,
            Err(error) => return Connection::failed(error.reason),
        };
        let request = self.client.requests().get(credentials.url(&["instance", "connectionState"]));
        match self.ask(&credentials, request).await {
            Answered::Well(body) => connection(&body, ConnectionStatus::Disconnected),
            Answered::Badly(status, problem) => failed(status, problem),
        }
    }

    async fn takes_one_call(&self, account: &Account) -> Option<bool> {
        let credentials = opened(account).ok()?;
        let url = credentials.url_of(&["instance", "fetchInstances"]);
        let name = credentials.instance_name();
        let request = self.client.requests().get(url).query(&[("instanceName", name)]);
        match self.ask(&credentials, request).await {
            Answered::Well(rows) => is_of_a_phone(&rows, name),
            Answered::Badly(..) => None,
        }
    }

    /// A closed one is not restarted by 2.3.6, but connected.
    async fn restart(&self, account: &Account) -> Connection {
        let credentials = match opened(account) {
            Ok(credentials) => credentials,
            Err(error) => return Connection::failed(error.reason),
        };
        let request = self.client.requests().post(credentials.url(&["instance", "restart"]));
        match self.ask(&credentials, request).await {
            Answered::Well(body) => connection(&body, ConnectionStatus::Connecting),
            Answered::Badly(Some(StatusCode::OK), _) => self.ask_for_code(&credentials).await,
            Answered::Badly(status, problem) => failed(status, problem),
        }
    }

    async fn log_out(&self, account: &Account) -> Connection {
        let credentials = match opened(account) {
            Ok(credentials) => credentials,
            Err(error) => return Connection::failed(error.reason),
        };
        let request = self.client.requests().delete(credentials.url(&["instance", "logout"]));
        match self.ask(&credentials, request).await {
            // 400: it is not connected, as was wanted.
            Answered::Well(_) | Answered::Badly(Some(StatusCode::BAD_REQUEST), _) => {
                Connection::of(ConnectionStatus::Disconnected)
            }
            Answered::Badly(status, problem) => failed(status, problem),
        }
    }

    async fn remove(&self, account: &Account) -> Result<(), String> {
        let credentials = opened(account).map_err(|error| error.reason)?;
        let request = self.client.requests().delete(credentials.url(&["instance", "delete"]));
        match self.ask(&credentials, request).await {
            Answered::Well(_) | Answered::Badly(Some(StatusCode::NOT_FOUND), _) => Ok(()),
            Answered::Badly(_, problem) => Err(problem),
        }
    }
}
