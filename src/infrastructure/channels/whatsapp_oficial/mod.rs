//! WhatsApp through Meta's Cloud API.

mod answer;
mod credentials;
mod meta_error;
#[cfg(test)]
mod parsing_tests;
mod recipient;
mod reports;
mod request;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::AUTHORIZATION;
use serde_json::Value;

use super::http::http_answer::{HttpAnswer, without_answer};
use crate::application::ports::{ChannelSender, Clock, Delivery, NewCredentials};
use crate::domain::instance::ConnectionStatus;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::Content;
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::problem::FieldProblem;
use crate::infrastructure::http_client::{AddressGuard, ClientSetupError, GuardedClient, Repeats, client_builder};
use answer::PEER;
use credentials::MetaCredentials;
use recipient::MetaRecipient;
use request::MetaRequest;

pub use reports::MetaEvents;

const CHANNEL: &str = "whatsapp_oficial";

/// An answer is some hundred bytes.
const ANSWER_LIMIT: usize = 256 * 1024;

/// Digits of a phone number id at most; there are 15 or 16.
const LONGEST_NUMBER_ID: usize = 32;

#[derive(Clone, Debug)]
pub struct MetaSettings {
    pub connect_timeout: Duration,
    /// For one message, from connecting to the last byte of the answer.
    pub send_timeout: Duration,
    /// Which addresses are called.
    pub guard: Arc<AddressGuard>,
}

impl Default for MetaSettings {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), send_timeout: Duration::from_secs(30), guard: Arc::default() }
    }
}

pub struct WhatsappOficialSender {
    client: GuardedClient,
    settings: MetaSettings,
    clock: Arc<dyn Clock>,
}

impl WhatsappOficialSender {
    /// # Errors
    /// When no HTTP client can be built on this machine.
    pub fn new(settings: MetaSettings, clock: Arc<dyn Clock>) -> Result<Self, ClientSetupError> {
        let connect_timeout = settings.connect_timeout;
        let client = GuardedClient::new(settings.guard.clone(), move || client_builder(connect_timeout))?;
        Ok(Self { client, settings, clock })
    }
}

#[async_trait]
impl ChannelSender for WhatsappOficialSender {
    fn channel(&self) -> ChannelName {
        ChannelName::new(CHANNEL)
    }

    /// A number is registered with Meta, not here.
    fn initial_status(&self) -> ConnectionStatus {
        ConnectionStatus::Connected
    }

    fn check_address(&self, address: &str) -> Result<(), Vec<FieldProblem>> {
        if is_number_id(address) {
            return Ok(());
        }
        let detail = "must be the phone number id that Meta shows: digits, without +, and not the number itself";
        Err(vec![FieldProblem::new("/channelPhoneOrId", detail)])
    }

    fn check_credentials(&self, given: Option<&Value>) -> Result<NewCredentials, Vec<FieldProblem>> {
        credentials::check(given, self.client.guard())
    }

    fn same_as<'a>(&self, recipient: &'a str) -> Cow<'a, str> {
        MetaRecipient::parse(recipient).map_or(Cow::Borrowed(recipient), |parsed| Cow::Owned(parsed.into_string()))
    }

    fn check_message(&self, recipient: &str, content: &Content) -> Result<(), Vec<FieldProblem>> {
        let mut problems = Vec::new();
        if MetaRecipient::parse(recipient).is_none() {
            let detail = "must be a phone number, a user id such as BR.1349120865530274, or a group's id";
            problems.push(FieldProblem::new("/remoteJid", detail));
        }
        if content.payload.is_some() {
            let detail = "cannot be sent through whatsapp_oficial: give a message, a mediaUrl or a template";
            problems.push(FieldProblem::new("/payload", detail));
        }
        let says_something = content.text.as_deref().is_some_and(|text| !text.trim().is_empty());
        match (&content.template, &content.media) {
            (Some(_), Some(_)) => {
                let detail = "cannot be sent beside a template: a medium of a template is in its components";
                problems.push(FieldProblem::new("/mediaUrl", detail));
            }
            (None, None) if !says_something && content.payload.is_none() => {
                let detail = "must say something, or come with a mediaUrl or a template";
                problems.push(FieldProblem::new("/message", detail));
            }
            _ => {}
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn longest_try(&self) -> Duration {
        self.settings.send_timeout
    }

    fn takes_templates(&self) -> bool {
        true
    }

    fn gives_receipts(&self) -> bool {
        true
    }

    /// Meta knows no key of ours by which a second message would be the same one.
    fn retries_unknown(&self) -> bool {
        false
    }

    async fn send(&self, delivery: &Delivery) -> Result<Acceptance, DeliveryError> {
        let credentials = MetaCredentials::stored(&delivery.credentials)?;
        if !is_number_id(&delivery.address) {
            return Err(DeliveryError::misconfigured("The instance's channelPhoneOrId is not a phone number id"));
        }
        let recipient = MetaRecipient::parse(&delivery.recipient)
            .ok_or_else(|| DeliveryError::refused("The recipient is no phone number, user id or group"))?;
        let body = MetaRequest::of(&recipient, &delivery.content, delivery.message_id)
            .ok_or_else(|| DeliveryError::refused("The message has no text, medium or template"))?;

        // By this id a status names the message whose answer was lost.
        let own_id = delivery.message_id.to_string();
        let known = |error: DeliveryError| error.known_as(&own_id);
        let url = credentials.url(&[&delivery.address, "messages"]);
        let request = self.client.requests().post(url).header(AUTHORIZATION, credentials.bearer()).json(&body);
        let sent = self.client.send(request, self.settings.send_timeout, Repeats::IfUnsent).await;
        let response = sent.map_err(|error| known(without_answer(PEER, error, credentials.redaction())))?;
        let answer = HttpAnswer::read(response, ANSWER_LIMIT, self.clock.now()).await;
        let verdict = answer::judge(&answer, credentials.redaction());
        verdict.map_err(|error| known(answer.stands_for(error)))
    }
}

/// What Meta calls a number: digits.
fn is_number_id(text: &str) -> bool {
    (1..=LONGEST_NUMBER_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}
