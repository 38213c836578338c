//! WhatsApp through Evolution API v2.

mod answer;
mod connector;
mod credentials;
mod events;
mod groups;
mod inbound;
#[cfg(test)]
mod parsing_tests;
mod recipient;
mod report;
mod request;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::RequestBuilder;
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

pub use connector::EvolutionConnector;
pub use events::EvolutionEvents;
pub use groups::EvolutionGroups;

/// A 201 repeats the whole message, thumbnail included, and its id must not be missed: without it the message
/// would be sent again.
const ANSWER_LIMIT: usize = 1024 * 1024;

#[derive(Clone, Debug)]
pub struct EvolutionSettings {
    pub connect_timeout: Duration,
    /// For one message, from connecting to the last byte of the answer. A send that its caller gave up on is still made, so
    /// this is longer than what Evolution takes: Baileys waits 60 s for each of up to three queries.
    pub send_timeout: Duration,
    /// For asking about a group, when the answer to a message left open what is wrong with it.
    pub state_timeout: Duration,
    /// Which addresses are called.
    pub guard: Arc<AddressGuard>,
}

impl Default for EvolutionSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            send_timeout: Duration::from_secs(180),
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
        request: RequestBuilder,
        timeout: Duration,
        repeats: Repeats,
    ) -> Result<HttpAnswer, DeliveryError> {
        let request = request.header("apikey", credentials.api_key_header());
        let sent = self.client.send(request, timeout, repeats).await;
        let response = sent.map_err(|error| without_answer(PEER, error, credentials.redaction()))?;
        Ok(HttpAnswer::read(response, ANSWER_LIMIT, self.clock.now()).await)
    }

    /// What is wrong with a group to which a message was not sent.
    async fn ask_about(&self, group: &str, credentials: &EvolutionCredentials, reason: String) -> DeliveryError {
        if !recipient::is_group(group) {
            return DeliveryError::transient(reason);
        }
        let mut url = credentials.url(&["group", "findGroupInfos"]);
        url.query_pairs_mut().append_pair("groupJid", group);
        let request = self.client.requests().get(url);
        let timeout = self.settings.state_timeout;
        let answer = self.call(credentials, request, timeout, Repeats::OnceOnNewConnection).await;
        answer::group_verdict(answer.ok().as_ref(), reason)
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

    fn same_as<'a>(&self, recipient: &'a str) -> Cow<'a, str> {
        recipient::same_as(recipient).map_or(Cow::Borrowed(recipient), Cow::Owned)
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
        self.settings.send_timeout + self.settings.state_timeout
    }

    fn gives_receipts(&self) -> bool {
        true
    }

    /// WhatsApp shows a message as often as it is sent.
    fn retries_unknown(&self) -> bool {
        false
    }

    async fn send(&self, delivery: &Delivery) -> Result<Acceptance, DeliveryError> {
        let credentials = EvolutionCredentials::stored(&delivery.credentials, &delivery.channel_instance_id)?;
        let number = recipient::number(&delivery.recipient)
            .ok_or_else(|| DeliveryError::refused("The recipient is neither a phone number nor a WhatsApp JID"))?;
        let own_id = request::own_id(delivery.message_id, delivery.run);
        let EvolutionRequest { kind, body } = EvolutionRequest::of(&number, &delivery.content, &own_id)
            .ok_or_else(|| DeliveryError::refused("The message has neither a text nor a medium"))?;

        let known = |error: DeliveryError| if kind.takes_own_id() { error.known_as(&own_id) } else { error };
        let request = self.client.requests().post(credentials.url(&["message", kind.route()])).json(&body);
        // Evolution sends a message as often as it is asked to.
        let answer = self.call(&credentials, request, self.settings.send_timeout, Repeats::IfUnsent).await;
        let answer = answer.map_err(known)?;
        let verdict = match answer::judge(&answer, kind, credentials.redaction()) {
            Verdict::Clear(verdict) => verdict,
            Verdict::DependsOnGroup(reason) => Err(self.ask_about(&number, &credentials, reason).await),
        };
        verdict.map_err(|error| known(answer.stands_for(error)))
    }
}
