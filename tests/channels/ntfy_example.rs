//! Publishes a message to a topic of an ntfy server.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Url;
use serde_json::{Value, json};

use super::http::credentials_object::CredentialsObject;
use super::http::http_answer::{HttpAnswer, may_have_been_taken, may_work_later, without_answer};
use super::http::redaction::Redaction;
use correio::application::ports::{ChannelSender, Clock, Delivery, NewCredentials};
use correio::domain::instance::ConnectionStatus;
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::credentials::Credentials;
use correio::domain::message::Content;
use correio::domain::message::delivery::{Acceptance, DeliveryError};
use correio::domain::problem::FieldProblem;
use correio::infrastructure::http_client::{AddressGuard, ClientSetupError, GuardedClient, Repeats, client_builder};

pub struct NtfySender {
    client: GuardedClient,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl NtfySender {
    /// A try is given up after `timeout`; a third of it may go into connecting. `guard` says which addresses are called.
    ///
    /// # Errors
    /// When no HTTP client can be built on this machine.
    pub fn new(timeout: Duration, guard: Arc<AddressGuard>, clock: Arc<dyn Clock>) -> Result<Self, ClientSetupError> {
        let client = GuardedClient::new(guard, move || client_builder(timeout / 3))?;
        Ok(Self { client, timeout, clock })
    }
}

#[async_trait]
impl ChannelSender for NtfySender {
    fn channel(&self) -> ChannelName {
        ChannelName::new("ntfy")
    }

    fn initial_status(&self) -> ConnectionStatus {
        ConnectionStatus::Connected
    }

    /// `channelPhoneOrId`: the server's URL.
    fn check_address(&self, address: &str) -> Result<(), Vec<FieldProblem>> {
        let url = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let checked = url.ok_or("must be an http or https URL").and_then(|url| self.client.guard().check(&url));
        checked.map_err(|problem| vec![FieldProblem::new("/channelPhoneOrId", problem)])
    }

    fn check_credentials(&self, given: Option<&Value>) -> Result<NewCredentials, Vec<FieldProblem>> {
        let mut object = CredentialsObject::read(given, &["token"]);
        let token = object.required_text("token").unwrap_or_default();
        object.finish()?;
        Ok(NewCredentials { credentials: Credentials::new(json!({ "token": token }).to_string()), reveal: None })
    }

    /// `remoteJid`: the topic.
    fn check_message(&self, recipient: &str, content: &Content) -> Result<(), Vec<FieldProblem>> {
        let mut problems = Vec::new();
        if recipient.is_empty() || !recipient.chars().all(|it| it.is_ascii_alphanumeric() || "-_".contains(it)) {
            problems.push(FieldProblem::new("/remoteJid", "must be a topic: letters, digits, - and _"));
        }
        if content.text.is_none() {
            problems.push(FieldProblem::new("/message", "is required"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn longest_try(&self) -> Duration {
        self.timeout
    }

    async fn send(&self, delivery: &Delivery) -> Result<Acceptance, DeliveryError> {
        let stored: Value = serde_json::from_str(delivery.credentials.expose()).unwrap_or_default();
        let Some(token) = stored["token"].as_str() else {
            return Err(DeliveryError::misconfigured("The stored token cannot be read"));
        };
        let redaction = Redaction::of(token);
        let url = format!("{}/{}", delivery.address.trim_end_matches('/'), delivery.recipient);
        let text = delivery.content.text.clone().unwrap_or_default();
        let request = self.client.requests().post(url).bearer_auth(token).body(text);
        // ntfy does not know a message that comes twice.
        let sent = self.client.send(request, self.timeout, Repeats::IfUnsent).await;
        let response = sent.map_err(|error| without_answer("ntfy", error, &redaction))?;
        let answer = HttpAnswer::read(response, 64 * 1024, self.clock.now()).await;
        let status = answer.status.as_u16();
        if answer.status.is_success() {
            let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let channel_message_id = said["id"].as_str().map(str::to_owned);
            return Ok(Acceptance { channel_message_id, http_status: Some(status) });
        }
        let reason = format!("HTTP {status} from ntfy: {}", redaction.snippet(&answer.text()));
        let error = match status {
            401 | 403 => DeliveryError::misconfigured(reason),
            _ if may_have_been_taken(answer.status) => DeliveryError::unknown(reason),
            _ if may_work_later(answer.status) => DeliveryError::transient(reason),
            _ => DeliveryError::refused(reason),
        };
        Err(answer.stands_for(error))
    }
}
