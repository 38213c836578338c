//! What the provider reports, as a process reads it.

use correio::application::ports::{EventReader, ProviderEvent};
use correio::domain::Timestamp;
use correio::domain::instance::InstanceId;
use correio::domain::instance::channel::ChannelName;
use correio::domain::message::MessageId;
use correio::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus};
use serde_json::Value;
use uuid::Uuid;

pub struct SimEvents;

impl EventReader for SimEvents {
    fn channel(&self) -> ChannelName {
        ChannelName::new("webhook")
    }

    fn read(&self, instance: InstanceId, body: &[u8], now: Timestamp) -> Vec<ProviderEvent> {
        let report: Value = serde_json::from_slice(body).unwrap();
        let of = ChannelMessage { instance, id: report["id"].as_str().unwrap().to_owned() };
        let message = report["ours"].as_str().map(|id| MessageId(Uuid::parse_str(id).unwrap()));
        let status = ReceiptStatus::parse(report["status"].as_str().unwrap()).unwrap();
        vec![ProviderEvent::Receipt(Receipt { of, message, status, at: now, reason: None })]
    }
}
