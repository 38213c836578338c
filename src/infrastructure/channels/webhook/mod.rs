//! Posts a message to a URL, signed as Standard Webhooks says.

mod address;
mod body;
#[cfg(test)]
mod parsing_tests;
mod signing_secret;
mod stored_secrets;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};

use super::http::credentials_object::CredentialsObject;
use super::http::http_answer::{HttpAnswer, may_have_been_taken, may_work_later, without_answer};
use super::http::redaction::Redaction;
use crate::application::ports::{ChannelSender, Clock, Delivery, NewCredentials};
use crate::domain::instance::ConnectionStatus;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::Credentials;
use crate::domain::message::Content;
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::problem::FieldProblem;
use crate::infrastructure::http_client::{AddressGuard, ClientSetupError, GuardedClient, Repeats, client_builder};
use address::parse_address;
use stored_secrets::stored_secrets;

pub use signing_secret::{InvalidSecret, SigningSecret};

/// More of an answer is not needed: only its status counts, and a snippet of it is kept.
const ANSWER_LIMIT: usize = 64 * 1024;

const PEER: &str = "the webhook";

#[derive(Clone, Debug)]
pub struct WebhookSettings {
    /// For one try, from connecting to the last byte of the answer. A third of it may go into connecting.
    pub timeout: Duration,
    /// Which addresses are called.
    pub guard: Arc<AddressGuard>,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(15), guard: Arc::default() }
    }
}

pub struct WebhookSender {
    client: GuardedClient,
    settings: WebhookSettings,
    clock: Arc<dyn Clock>,
}

impl WebhookSender {
    /// # Errors
    /// When no HTTP client can be built on this machine.
    pub fn new(settings: WebhookSettings, clock: Arc<dyn Clock>) -> Result<Self, ClientSetupError> {
        let timeout = settings.timeout;
        let client = GuardedClient::new(settings.guard.clone(), move || client_builder(timeout / 3))?;
        Ok(Self { client, settings, clock })
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
        let checked = parse_address(address).and_then(|url| self.client.guard().check(&url));
        checked.map_err(|problem| vec![FieldProblem::new("/channelPhoneOrId", problem)])
    }

    fn check_credentials(&self, given: Option<&Value>) -> Result<NewCredentials, Vec<FieldProblem>> {
        let mut object = CredentialsObject::read(given, &["secret"]);
        let given = object.optional_text("secret").map(SigningSecret::parse);
        let is_given = given.is_some();
        let secret = match given.unwrap_or_else(SigningSecret::generate) {
            Ok(secret) => secret,
            Err(problem) => {
                object.problem("secret", &problem.to_string());
                return Err(object.problems());
            }
        };
        object.finish()?;
        let credentials = json!({ "secret": secret.expose() });
        let reveal = (!is_given).then(|| credentials.clone());
        Ok(NewCredentials { credentials: Credentials::new(credentials.to_string()), reveal })
    }

    /// The recipient is the client's own label, and a webhook takes whatever a message can say.
    fn check_message(&self, _recipient: &str, _content: &Content) -> Result<(), Vec<FieldProblem>> {
        Ok(())
    }

    fn longest_try(&self) -> Duration {
        self.settings.timeout
    }

    async fn send(&self, delivery: &Delivery) -> Result<Acceptance, DeliveryError> {
        let now = self.clock.now();
        let secrets = stored_secrets(&delivery.credentials, now)?;
        let url = parse_address(&delivery.address)
            .map_err(|problem| DeliveryError::misconfigured(format!("The webhook's URL {problem}")))?;
        // Made only when something went wrong.
        let redaction = || {
            let forms = secrets.iter().flat_map(SigningSecret::forms);
            forms.fold(Redaction::default(), |redaction, form| redaction.and(&form)).and_query_of(&url)
        };

        let message_id = delivery.message_id.to_string();
        let timestamp = now.timestamp();
        let body = body::of(delivery);
        // Whoever knows one of them finds its own.
        let signatures = secrets.iter().map(|secret| secret.sign(&message_id, timestamp, body.as_bytes()));
        let signature = signatures.collect::<Vec<_>>().join(" ");
        let request = self
            .client
            .requests()
            .post(url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("webhook-id", &message_id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body);
        // A receiver knows a message that it has seen by its id.
        let sent = self.client.send(request, self.settings.timeout, Repeats::OnceOnNewConnection).await;
        let response = sent.map_err(|error| without_answer(PEER, error, &redaction()))?;
        let answer = HttpAnswer::read(response, ANSWER_LIMIT, self.clock.now()).await;
        let http_status = answer.status.as_u16();
        if answer.status.is_success() {
            return Ok(Acceptance { channel_message_id: Some(message_id), http_status: Some(http_status) });
        }
        Err(answer.stands_for(refusal(&answer, &redaction())))
    }
}

fn refusal(answer: &HttpAnswer, redaction: &Redaction) -> DeliveryError {
    let status = answer.status.as_u16();
    let reason = match redaction.snippet(&answer.text()) {
        said if said.is_empty() => format!("HTTP {status} from {PEER}"),
        said => format!("HTTP {status} from {PEER}: {said}"),
    };
    if may_have_been_taken(answer.status) {
        DeliveryError::unknown(reason)
    } else if answer.status.is_redirection() || !may_work_later(answer.status) {
        DeliveryError::refused(reason)
    } else {
        DeliveryError::transient(reason)
    }
}
