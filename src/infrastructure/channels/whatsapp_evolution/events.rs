//! What Evolution's webhooks say, of every version and integration.
//!
//! Read of 2.3.6 to 2.4.0 and 1.8.6, and seen of 2.3.6: names, places and types of members differ between them.

use serde_json::Value;

use super::inbound::inbound;
use super::report::{each, time};
use crate::application::ports::{EventReader, ProviderEvent};
use crate::domain::Timestamp;
use crate::domain::inbound::InboundMessage;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{ConnectionStatus, InstanceId};
use crate::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus, ReportedSend};
use crate::infrastructure::channels::http::report::json;
use crate::infrastructure::channels::http::report_members::{id, text};

/// Its code is not in the report.
const REFUSED_LATER: &str = "WhatsApp took the message and refused it later; Evolution API does not say why. The account may not be allowed to open \
     new chats, or its session may be stale.";

pub struct EvolutionEvents;

impl EventReader for EvolutionEvents {
    fn channel(&self) -> ChannelName {
        ChannelName::new("whatsapp_evolution")
    }

    fn read(&self, instance: InstanceId, body: &[u8], now: Timestamp) -> Vec<ProviderEvent> {
        let Some(report) = json(body) else { return Vec::new() };
        // Subscribed to as MESSAGES_UPDATE, reported as messages.update.
        let event = report.get("event").and_then(Value::as_str).unwrap_or_default();
        let event = event.to_ascii_lowercase().replace(['_', '-'], ".");
        let data = report.get("data").unwrap_or(&Value::Null);
        match event.as_str() {
            "messages.update" => each(data).filter_map(|update| receipt(instance, update, now)).collect(),
            "connection.update" => connection(data).into_iter().collect(),
            "status.instance" if text(data, "status") == Some("closed") => vec![disconnected()],
            "logout.instance" | "remove.instance" => vec![disconnected()],
            "messages.upsert" => messages(instance, data, now),
            // The message is in the answer, too, unless that was lost: then this is how it is known that it was taken.
            "send.message" => each(data).flat_map(|sent| taken(instance, sent, now)).collect(),
            "qrcode.updated" if data.get("statusCode").is_some() => {
                vec![ProviderEvent::Connection(ConnectionStatus::Error)]
            }
            _ => Vec::new(),
        }
    }
}

/// A message can only have come, or been sent, through an instance that is connected.
fn messages(instance: InstanceId, data: &Value, now: Timestamp) -> Vec<ProviderEvent> {
    // Baileys itself has several of them in one report.
    let all = data.get("messages").unwrap_or(data);
    let messages = each(all).filter_map(|message| inbound(instance, message, now));
    let messages = messages.map(|message| ProviderEvent::Message(Box::new(message)));
    std::iter::once(ProviderEvent::Seen).chain(messages).collect()
}

fn disconnected() -> ProviderEvent {
    ProviderEvent::Connection(ConnectionStatus::Disconnected)
}

fn connection(data: &Value) -> Option<ProviderEvent> {
    let status = match text(data, "state").or_else(|| text(data, "status"))? {
        "open" => ConnectionStatus::Connected,
        "connecting" => ConnectionStatus::Connecting,
        "close" => ConnectionStatus::Disconnected,
        // As many codes were shown as are allowed, and none was scanned.
        "refused" => ConnectionStatus::Error,
        _ => return None,
    };
    Some(ProviderEvent::Connection(status))
}

/// Of `messages.update`. Never judged by the recipient: that may be another address of the same person.
fn receipt(instance: InstanceId, update: &Value, now: Timestamp) -> Option<ProviderEvent> {
    let status = status(update.get("status")?)?;
    // 2.x; then 1.x, and as a key of its own.
    let id = [update.get("keyId"), update.get("id"), update.pointer("/key/id")].into_iter().flatten().find_map(id)?;
    // Of others' messages, which we read. The business integration says so of ours, too, which have Meta's ids.
    let from_me = update.get("fromMe").or_else(|| update.pointer("/key/fromMe"));
    if from_me == Some(&Value::Bool(false)) && !id.starts_with("wamid.") {
        return None;
    }
    let of = ChannelMessage { instance, id };
    let reason = (status == ReceiptStatus::Failed).then(|| REFUSED_LATER.to_owned());
    let at = time(update.get("datetime"), now);
    Some(ProviderEvent::Receipt(Receipt { of, message: None, status, at, reason }))
}

/// The answer to a send, as an event: it can come before the answer, or in its place.
fn taken(instance: InstanceId, sent: &Value, now: Timestamp) -> Vec<ProviderEvent> {
    let Some(id) = sent.pointer("/key/id").and_then(id) else { return Vec::new() };
    let of = ChannelMessage { instance, id };
    let at = time(sent.get("messageTimestamp"), now);
    let receipt = Receipt { of: of.clone(), message: None, status: ReceiptStatus::Sent, at, reason: None };
    let mut events = vec![ProviderEvent::Receipt(receipt)];
    // Before 2.4.0 it has a name of Evolution's: what says whose it is, is what it says.
    let own = |sent: &Value| {
        let mut sent = sent.clone();
        if let Some(from_me) = sent.pointer_mut("/key/fromMe") {
            *from_me = Value::Bool(true);
        }
        inbound(instance, &sent, now)
    };
    if let Some(InboundMessage { chat, text: Some(text), .. }) = own(sent) {
        events.push(ProviderEvent::Sent(Box::new(ReportedSend { of, chat, text, at })));
    }
    events
}

/// None of what says nothing about us: accepted, revoked, or the words that stand in for an update without a status.
fn status(status: &Value) -> Option<ReceiptStatus> {
    if let Some(number) = status.as_i64() {
        return match number {
            0 => Some(ReceiptStatus::Failed),
            2 => Some(ReceiptStatus::Sent),
            3 => Some(ReceiptStatus::Delivered),
            4 | 5 => Some(ReceiptStatus::Read),
            _ => None,
        };
    }
    match status.as_str()?.to_ascii_uppercase().as_str() {
        "SERVER_ACK" | "SENT" => Some(ReceiptStatus::Sent),
        "DELIVERY_ACK" | "DELIVERED" => Some(ReceiptStatus::Delivered),
        "READ" | "PLAYED" => Some(ReceiptStatus::Read),
        "ERROR" | "FAILED" => Some(ReceiptStatus::Failed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-05-17T16:30:05Z".parse().unwrap()
    }

    fn read(event: &str, data: Value) -> Vec<ProviderEvent> {
        let report = json!({
            "event": event, "instance": "loja", "data": data, "destination": "https://ours.example/hook",
            "date_time": "2026-05-17T13:30:04.123Z", "server_url": "http://localhost:8080", "apikey": null
        });
        EvolutionEvents.read(InstanceId(uuid::Uuid::nil()), report.to_string().as_bytes(), now())
    }

    fn said(data: Value) -> Option<(String, &'static str)> {
        match read("messages.update", data).as_slice() {
            [ProviderEvent::Receipt(receipt)] => Some((receipt.of.id.clone(), receipt.status.as_str())),
            [] => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn receipts_of_every_version_and_integration() {
        let v2 = |status: Value| json!({"keyId": "3EB0", "remoteJid": "123@lid", "fromMe": true, "status": status, "messageId": "cm1"});
        let cases = [
            (json!("DELIVERY_ACK"), Some("delivered")),
            (json!("READ"), Some("read")),
            (json!("PLAYED"), Some("read")),
            (json!("SERVER_ACK"), Some("sent")),
            (json!("ERROR"), Some("failed")),
            (json!("PENDING"), None),
            (json!("DELETED"), None),
            (json!("WARNING"), None),
            (json!(0), Some("failed")),
            (json!(1), None),
            (json!(2), Some("sent")),
            (json!(3), Some("delivered")),
            (json!(4), Some("read")),
            (json!(5), Some("read")),
            (json!(6), None),
            (json!(null), None),
        ];
        for (status, expected) in cases {
            assert_eq!(said(v2(status.clone())), expected.map(|it| ("3EB0".to_owned(), it)), "{status}");
        }
        let without_status = json!({"keyId": "3EB0", "fromMe": true});
        assert_eq!(said(without_status), None);
        let v1 =
            json!({"remoteJid": "5511@s.whatsapp.net", "id": "3EB1", "fromMe": true, "status": "READ", "datetime": 1});
        assert_eq!(said(v1), Some(("3EB1".to_owned(), "read")));
        for id in ["A5", "3EB0C767D26A1B6C5E3F2A"] {
            for status in ["READ", "DELIVERY_ACK", "PLAYED"] {
                let anothers = json!({"keyId": id, "fromMe": false, "status": status});
                assert_eq!(said(anothers), None, "{id} {status} is of a message to us");
            }
        }
        let of_meta = json!({"keyId": "wamid.1", "fromMe": false, "status": "READ"});
        assert_eq!(said(of_meta), Some(("wamid.1".to_owned(), "read")), "the business integration has them so");
        let business = json!({"messageId": "cm", "keyId": "wamid.1", "fromMe": false, "status": "FAILED"});
        assert_eq!(said(business), Some(("wamid.1".to_owned(), "failed")));
        let several = read("MESSAGES_UPDATE", json!([v2(json!("READ")), v2(json!(3)), {"x": 1}]));
        assert_eq!(several.len(), 2);
    }

    #[test]
    fn a_receipt_has_the_time_that_it_names_if_that_can_be() {
        let at = |datetime: Value| {
            let update = json!({"id": "3EB0", "fromMe": true, "status": "READ", "datetime": datetime});
            let [ProviderEvent::Receipt(receipt)] = &read("messages.update", update)[..] else { panic!("no receipt") };
            receipt.at
        };
        let said: Timestamp = "2026-05-17T16:30:00Z".parse().unwrap();
        for datetime in [json!(said.timestamp()), json!(said.timestamp_millis()), json!(said.timestamp().to_string())] {
            assert_eq!(at(datetime), said);
        }
        for datetime in [json!(1), json!(i64::MAX), json!("x"), json!({}), json!(said.timestamp() + 60)] {
            assert_eq!(at(datetime), now());
        }
    }

    #[test]
    fn connections_follow_what_is_said_of_them() {
        use ConnectionStatus::{Connected, Connecting, Disconnected, Error};
        let cases = [
            ("connection.update", json!({"state": "open", "statusReason": 200}), Some(Connected)),
            ("connection.update", json!({"state": "connecting", "statusReason": 200}), Some(Connecting)),
            ("connection.update", json!({"state": "close", "statusReason": 401}), Some(Disconnected)),
            ("connection.update", json!({"state": "refused", "statusReason": 428}), Some(Error)),
            ("connection.update", json!({"status": "open"}), Some(Connected)),
            ("connection.update", json!({"state": "new"}), None),
            ("connection.update", json!(null), None),
            ("status.instance", json!({"instance": "loja", "status": "closed"}), Some(Disconnected)),
            ("status.instance", json!({"instance": "loja", "status": "removed"}), None),
            ("logout.instance", json!(null), Some(Disconnected)),
            ("remove.instance", json!(null), Some(Disconnected)),
            ("qrcode.updated", json!({"qrcode": {"code": "2@x", "base64": "data:…"}}), None),
            ("qrcode.updated", json!({"message": "QR code limit reached", "statusCode": 500}), Some(Error)),
            ("messages.delete", json!({"id": "3EB0", "fromMe": true, "status": "DELETED"}), None),
            ("presence.update", json!({}), None),
        ];
        for (event, data, expected) in cases {
            let expected: Vec<_> = expected.map(ProviderEvent::Connection).into_iter().collect();
            assert_eq!(read(event, data.clone()), expected, "{event} {data}");
        }
    }

    /// A message is no word of the provider's on the connection.
    #[test]
    fn a_message_shows_that_its_instance_is_connected() {
        let key = json!({"remoteJid": "5511@s.whatsapp.net", "id": "A5", "fromMe": false});
        let message = json!({"key": key, "message": {"conversation": "oi"}});
        for data in [message.clone(), json!([message]), json!({"messages": [message], "type": "notify"})] {
            let events = read("messages.upsert", data);
            assert!(matches!(events[..], [ProviderEvent::Seen, ProviderEvent::Message(_)]), "{events:?}");
        }
        assert_eq!(
            read("MESSAGES_UPSERT", json!({"key": {"id": "A5"}})),
            [ProviderEvent::Seen],
            "of a kind that is not kept"
        );
    }

    #[test]
    fn a_send_that_was_taken_is_reported_too() {
        let sent = json!({"key": {"remoteJid": "5511@s.whatsapp.net", "fromMe": true, "id": "3EB0"}, "status": "PENDING",
                          "messageTimestamp": "1779035400"});
        let [ProviderEvent::Receipt(receipt)] = &read("send.message", sent.clone())[..] else { panic!("no receipt") };
        assert_eq!((receipt.of.id.as_str(), receipt.status), ("3EB0", ReceiptStatus::Sent));
        let mut text = sent;
        text["message"] = json!({"conversation": "Olá"});
        let [ProviderEvent::Receipt(_), ProviderEvent::Sent(said)] = &read("send.message", text)[..] else {
            panic!("not what it says")
        };
        assert_eq!((said.of.id.as_str(), said.chat.as_str(), said.text.as_str()), ("3EB0", "5511", "Olá"));
        assert_eq!(read("send.message", json!({"key": {"fromMe": true}})), []);
    }

    #[test]
    fn what_is_no_report_is_passed_over() {
        for body in ["", "null", "[]", "{", "{\"event\": 5}", "\u{0}"] {
            assert_eq!(EvolutionEvents.read(InstanceId(uuid::Uuid::nil()), body.as_bytes(), now()), []);
        }
    }
}
