//! Posts a message to a URL, signed as Standard Webhooks says.

mod address;
mod body;
#[cfg(test)]
mod parsing_tests;
mod signing_secret;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::http::credentials_object::CredentialsObject;
use super::http::http_answer::{ChannelSetupError, HttpAnswer, client_builder, may_work_later, without_answer};
use super::http::public_address::PublicAddressesOnly;
use super::http::redaction::Redaction;
use crate::application::ports::{ChannelSender, Clock, Delivery, NewCredentials};
use crate::domain::instance::ConnectionStatus;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::Credentials;
use crate::domain::message::Content;
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::problem::FieldProblem;
use address::parse_address;

pub use signing_secret::{InvalidSecret, SigningSecret};

/// More of an answer is not needed: only its status counts, and a snippet of it is kept.
const ANSWER_LIMIT: usize = 64 * 1024;

const PEER: &str = "the webhook";

#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// For one try, from connecting to the last byte of the answer. A third of it may go into connecting.
    pub timeout: Duration,
    /// Whether addresses of private networks, and of this machine, are refused (`WEBHOOK_BLOCK_PRIVATE`).
    pub block_private: bool,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(15), block_private: false }
    }
}

pub struct WebhookSender {
    client: Client,
    settings: WebhookSettings,
    clock: Arc<dyn Clock>,
}

impl WebhookSender {
    /// # Errors
    /// When no HTTP client can be built on this machine.
    pub fn new(settings: WebhookSettings, clock: Arc<dyn Clock>) -> Result<Self, ChannelSetupError> {
        let mut builder = client_builder(settings.timeout / 3).timeout(settings.timeout);
        if settings.block_private {
            // A proxy would resolve the name itself, and reach for us what we refuse to.
            builder = builder.no_proxy().dns_resolver(PublicAddressesOnly);
        }
        Ok(Self { client: builder.build()?, settings, clock })
    }
}

#[async_trait]
impl ChannelSender for WebhookSender {
    fn channel(&self) -> ChannelName {
        ChannelName::new("webhook")
    }

    fn initial_status(&self) -> ConnectionStatus {
        ConnectionStatus::Connected
    }

    fn check_address(&self, address: &str) -> Result<(), Vec<FieldProblem>> {
        match parse_address(address, self.settings.block_private) {
            Ok(_) => Ok(()),
            Err(problem) => Err(vec![FieldProblem::new("/channelPhoneOrId", problem)]),
        }
    }

    fn check_credentials(&self, given: Option<&Value>) -> Result<NewCredentials, Vec<FieldProblem>> {
        let mut object = CredentialsObject::read(given, &["secret"]);
        let secret = object.optional_text("secret");
        if secret.is_some_and(|secret| SigningSecret::parse(secret).is_err()) {
            object.problem("secret", "must be `whsec_` and 24 to 64 bytes in base64");
        }
        object.finish()?;
        if let Some(secret) = secret {
            let credentials = Credentials::new(json!({ "secret": secret }).to_string());
            return Ok(NewCredentials { credentials, reveal: None });
        }
        let Ok(generated) = SigningSecret::generate() else {
            return Err(vec![FieldProblem::new("/credentials/secret", "could not be generated: give one")]);
        };
        let credentials = json!({ "secret": generated.expose() });
        Ok(NewCredentials { credentials: Credentials::new(credentials.to_string()), reveal: Some(credentials) })
    }

    /// The recipient is the client's own label, and a webhook takes whatever a message can say.
    fn check_message(&self, _recipient: &str, _content: &Content) -> Result<(), Vec<FieldProblem>> {
        Ok(())
    }

    fn longest_try(&self) -> Duration {
        self.settings.timeout
    }

    async fn send(&self, delivery: &Delivery) -> Result<Acceptance, DeliveryError> {
        let secret = stored_secret(&delivery.credentials)?;
        let url = parse_address(&delivery.address, self.settings.block_private)
            .map_err(|problem| DeliveryError::misconfigured(format!("The webhook's URL {problem}")))?;
        // Made only when something went wrong.
        let redaction = || Redaction::of(secret.expose()).and(secret.encoded_key()).and_query_of(&url);

        let message_id = delivery.message_id.to_string();
        let timestamp = self.clock.now().timestamp();
        let body = body::of(delivery);
        let signature = secret.sign(&message_id, timestamp, body.as_bytes());
        let request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("webhook-id", &message_id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);

        let response = request.send().await.map_err(|error| without_answer(PEER, error, &redaction()))?;
        let answer = HttpAnswer::read(response, ANSWER_LIMIT, self.clock.now()).await;
        let http_status = answer.status.as_u16();
        if answer.status.is_success() {
            return Ok(Acceptance { channel_message_id: Some(message_id), http_status: Some(http_status) });
        }
        Err(refusal(&answer, &redaction()).with_http_status(http_status))
    }
}

fn refusal(answer: &HttpAnswer, redaction: &Redaction) -> DeliveryError {
    let status = answer.status.as_u16();
    let reason = match redaction.snippet(&answer.text()) {
        said if said.is_empty() => format!("HTTP {status} from {PEER}"),
        said => format!("HTTP {status} from {PEER}: {said}"),
    };
    if answer.status.is_redirection() || !may_work_later(answer.status) {
        DeliveryError::refused(reason)
    } else {
        DeliveryError::transient(reason).with_retry_after(answer.retry_after)
    }
}

fn stored_secret(credentials: &Credentials) -> Result<SigningSecret, DeliveryError> {
    let stored: Option<Value> = serde_json::from_str(credentials.expose()).ok();
    stored
        .as_ref()
        .and_then(|stored| stored.get("secret")?.as_str())
        .and_then(|secret| SigningSecret::parse(secret).ok())
        .ok_or_else(|| DeliveryError::misconfigured("The webhook's stored secret cannot be read"))
}
