//! WhatsApp through Evolution API v2.

mod answer;
mod credentials;
#[cfg(test)]
mod parsing_tests;
mod recipient;
mod request;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use serde_json::Value;

use super::http::http_answer::{HttpAnswer, without_answer};
use crate::application::ports::{ChannelSender, Clock, Delivery, NewCredentials};
use crate::domain::instance::ConnectionStatus;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::Content;
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::problem::FieldProblem;
use crate::infrastructure::http_client::{AddressGuard, ClientSetupError, GuardedClient, Repeats, client_builder};
use answer::Verdict;
use credentials::EvolutionCredentials;
use request::{EvolutionRequest, PEER};

/// A 201 repeats the whole message, thumbnail included, and its id must not be missed: without it the message
/// would be sent again.
const ANSWER_LIMIT: usize = 1024 * 1024;

#[derive(Clone, Debug)]
pub struct EvolutionSettings {
    pub connect_timeout: Duration,
    /// For one text, from connecting to the last byte of the answer.
    pub text_timeout: Duration,
    /// For one medium, which Evolution fetches before it answers.
    pub media_timeout: Duration,
    /// For asking whether the instance is connected, when the answer to a message left that open.
    pub state_timeout: Duration,
    /// Which addresses are called.
    pub guard: Arc<AddressGuard>,
}

impl Default for EvolutionSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            text_timeout: Duration::from_secs(30),
            media_timeout: Duration::from_secs(60),
            state_timeout: Duration::from_secs(10),
            guard: Arc::default(),
        }
    }
}

pub struct WhatsappEvolutionSender {
    client: GuardedClient,
    settings: EvolutionSettings,
    clock: Arc<dyn Clock>,
}

impl WhatsappEvolutionSender {
    /// # Errors
    /// When no HTTP client can be built on this machine.
    pub fn new(settings: EvolutionSettings, clock: Arc<dyn Clock>) -> Result<Self, ClientSetupError> {
        let connect_timeout = settings.connect_timeout;
        let client = GuardedClient::new(settings.guard.clone(), move || client_builder(connect_timeout))?;
        Ok(Self { client, settings, clock })
    }

    async fn call(
        &self,
        credentials: &EvolutionCredentials,
        method: Method,
        route: &[&str],
        body: Option<&Value>,
        timeout: Duration,
    ) -> Result<HttpAnswer, DeliveryError> {
        // Evolution sends a message as often as it is asked to.
        let repeats = if method == Method::GET { Repeats::OnceOnNewConnection } else { Repeats::IfUnsent };
        let request = self.client.requests().request(method, credentials.url(route));
        let request = request.header("apikey", credentials.api_key_header());
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let sent = self.client.send(request, timeout, repeats).await;
        let response = sent.map_err(|error| without_answer(PEER, error, credentials.redaction()))?;
        Ok(HttpAnswer::read(response, ANSWER_LIMIT, self.clock.now()).await)
    }

    /// Whether the instance is connected to WhatsApp; without an answer, it is not.
    async fn is_open(&self, credentials: &EvolutionCredentials) -> bool {
        let route = ["instance", "connectionState"];
        match self.call(credentials, Method::GET, &route, None, self.settings.state_timeout).await {
            Ok(state) => answer::says_open(&state),
            Err(_) => false,
        }
    }
}

#[async_trait]
impl ChannelSender for WhatsappEvolutionSender {
    fn channel(&self) -> ChannelName {
        ChannelName::new("whatsapp_evolution")
    }

    /// Whether its phone is paired is not known yet.
    fn initial_status(&self) -> ConnectionStatus {
        ConnectionStatus::Pending
    }

    fn check_address(&self, address: &str) -> Result<(), Vec<FieldProblem>> {
        if address.trim().is_empty() {
            return Err(vec![FieldProblem::new("/channelPhoneOrId", "must be the sender's number")]);
        }
        Ok(())
    }

    fn check_credentials(&self, given: Option<&Value>) -> Result<NewCredentials, Vec<FieldProblem>> {
        credentials::check(given, self.client.guard())
    }

    fn check_message(&self, recipient: &str, content: &Content) -> Result<(), Vec<FieldProblem>> {
        let mut problems = Vec::new();
        if recipient::number(recipient).is_none() {
            problems.push(FieldProblem::new("/remoteJid", "must be a phone number or a WhatsApp JID"));
        }
        // Evolution refuses a text of spaces, too.
        let says_something = content.text.as_deref().is_some_and(|text| !text.trim().is_empty());
        if !says_something && content.media.is_none() {
            problems.push(match content.payload {
                Some(_) => {
                    FieldProblem::new("/payload", "cannot be sent through WhatsApp: give a message or a mediaUrl")
                }
                None => FieldProblem::new("/message", "must say something, or come with a mediaUrl"),
            });
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn longest_try(&self) -> Duration {
        let EvolutionSettings { text_timeout, media_timeout, state_timeout, .. } = self.settings;
        text_timeout.max(media_timeout) + state_timeout
    }

    async fn send(&self, delivery: &Delivery) -> Result<Acceptance, DeliveryError> {
        let credentials = EvolutionCredentials::stored(&delivery.credentials, &delivery.channel_instance_id)?;
        let number = recipient::number(&delivery.recipient)
            .ok_or_else(|| DeliveryError::refused("The recipient is neither a phone number nor a WhatsApp JID"))?;
        let EvolutionRequest { kind, body } = EvolutionRequest::of(&number, &delivery.content)
            .ok_or_else(|| DeliveryError::refused("The message has neither a text nor a medium"))?;
        let timeout = if kind.fetches_media() { self.settings.media_timeout } else { self.settings.text_timeout };

        let answer = self.call(&credentials, Method::POST, &["message", kind.route()], Some(&body), timeout).await?;
        let verdict = match answer::judge(&answer, kind, credentials.redaction()) {
            Verdict::Clear(verdict) => verdict,
            Verdict::DependsOnConnection(reason) if self.is_open(&credentials).await => {
                Err(DeliveryError::refused(reason))
            }
            Verdict::DependsOnConnection(reason) => Err(DeliveryError::transient(reason)),
        };
        verdict.map_err(|error| answer.stands_for(error))
    }
}
