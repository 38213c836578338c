//! What Meta's webhooks say.
//!
//! Source: Meta, "Status messages webhook reference" (2026-05-21).

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::inbound::inbound;
use super::report::{changes, id, items, parsed, time};
use super::signature::is_signed;
use crate::application::ports::{ProviderEvent, SignedEventReader};
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::Credentials;
use crate::domain::message::MessageId;
use crate::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus};
use crate::infrastructure::channels::http::redaction::Redaction;
use crate::infrastructure::channels::http::report_members::text;
use crate::infrastructure::channels::whatsapp_oficial::CHANNEL;
use crate::infrastructure::channels::whatsapp_oficial::credentials::MetaSecrets;
use crate::infrastructure::channels::whatsapp_oficial::meta_error::MetaError;

pub struct MetaEvents;

impl SignedEventReader for MetaEvents {
    fn channel(&self) -> ChannelName {
        ChannelName::new(CHANNEL)
    }

    fn addresses(&self, body: &[u8]) -> Vec<String> {
        let (mut known, mut addresses) = (HashSet::new(), Vec::new());
        for (number, _) in changes(&parsed(body)) {
            if known.insert(number.to_owned()) {
                addresses.push(number.to_owned());
            }
        }
        addresses
    }

    fn is_signed(&self, credentials: &Credentials, signature: &str, body: &[u8]) -> bool {
        MetaSecrets::read(credentials).is_some_and(|secrets| is_signed(&secrets.app_secret, signature, body))
    }

    fn token(&self, credentials: &Credentials) -> Option<String> {
        MetaSecrets::read(credentials).map(|secrets| secrets.verify_token)
    }

    fn read(
        &self,
        instances: &BTreeMap<String, Vec<InstanceId>>,
        body: &[u8],
        now: Timestamp,
    ) -> Vec<(InstanceId, ProviderEvent)> {
        let report = parsed(body);
        let mut events = Vec::new();
        for (number, value) in changes(&report) {
            for &instance in instances.get(number).into_iter().flatten() {
                let receipts = items(value, "statuses").filter_map(|status| receipt(instance, status, now));
                events.extend(receipts.map(|receipt| (instance, ProviderEvent::Receipt(receipt))));
                let messages = items(value, "messages").filter_map(|message| inbound(instance, value, message, now));
                events.extend(messages.map(|message| (instance, ProviderEvent::Message(Box::new(message)))));
            }
        }
        events
    }
}

fn receipt(instance: InstanceId, said: &Value, now: Timestamp) -> Option<Receipt> {
    let status = match text(said, "status")? {
        "sent" => ReceiptStatus::Sent,
        "delivered" => ReceiptStatus::Delivered,
        "read" | "played" => ReceiptStatus::Read,
        // Of one member of a group: the others may have it.
        "failed" if said.get("recipient_participant_id").is_some() => return None,
        "failed" => ReceiptStatus::Failed,
        _ => return None,
    };
    let id = id(said, "id")?;
    let message = text(said, "biz_opaque_callback_data").and_then(|data| data.parse().ok()).map(MessageId);
    let reason = (status == ReceiptStatus::Failed).then(|| refused_later(said));
    let of = ChannelMessage { instance, id };
    Some(Receipt { of, message, status, at: time(said.get("timestamp"), now), reason })
}

fn refused_later(said: &Value) -> String {
    const REFUSED_LATER: &str = "Meta took the message and refused it later";
    match items(said, "errors").find_map(MetaError::read) {
        Some(error) => format!("{REFUSED_LATER}. {}", error.sentence(&Redaction::default())),
        None => format!("{REFUSED_LATER}, and does not say why."),
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
