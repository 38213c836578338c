use serde_json::json;
use uuid::Uuid;

use super::*;

const OURS: InstanceId = InstanceId(Uuid::from_u128(1));
const THEIRS: InstanceId = InstanceId(Uuid::from_u128(2));

fn now() -> Timestamp {
    "2026-05-17T16:30:05Z".parse().unwrap()
}

/// A change of this number.
fn change(number: &str, value: Value) -> Value {
    let mut value = value;
    value["metadata"] = json!({"display_phone_number": "15550783881", "phone_number_id": number});
    json!({"field": "messages", "value": value})
}

fn report(entries: &[&[Value]]) -> Vec<u8> {
    let entries: Vec<Value> =
        entries.iter().map(|changes| json!({"id": "102290129340398", "changes": changes})).collect();
    json!({"object": "whatsapp_business_account", "entry": entries}).to_string().into_bytes()
}

fn read(body: &[u8]) -> Vec<(InstanceId, Receipt)> {
    let instances = BTreeMap::from([("106".to_owned(), vec![OURS, THEIRS]), ("107".to_owned(), vec![OURS])]);
    let receipts = MetaEvents.read(&instances, body, now()).into_iter().map(|(instance, event)| match event {
        ProviderEvent::Receipt(receipt) => (instance, receipt),
        other => panic!("{other:?}"),
    });
    receipts.collect()
}

fn one(status: Value) -> Option<Receipt> {
    let read = read(&report(&[&[change("107", json!({"statuses": [status]}))]]));
    assert!(read.len() <= 1);
    read.into_iter().next().map(|(_, receipt)| receipt)
}

#[test]
fn every_status_is_the_state_that_it_means() {
    for (status, expected) in [
        ("sent", Some(ReceiptStatus::Sent)),
        ("delivered", Some(ReceiptStatus::Delivered)),
        ("read", Some(ReceiptStatus::Read)),
        ("played", Some(ReceiptStatus::Read)),
        ("failed", Some(ReceiptStatus::Failed)),
        ("deleted", None),
        ("accepted", None),
        ("SENT", None),
        ("", None),
    ] {
        let said = json!({"id": "wamid.1", "status": status, "timestamp": "1779035400", "recipient_id": "16505551234"});
        assert_eq!(one(said).map(|receipt| receipt.status), expected, "{status}");
    }
    for odd in [
        json!({"status": "sent"}),
        json!({"id": "", "status": "sent"}),
        json!({"id": 5, "status": "sent"}),
        json!(null),
    ] {
        assert_eq!(one(odd), None);
    }
}

#[test]
fn a_receipt_has_its_time_and_our_id() {
    let ours = Uuid::from_u128(7);
    let said = |timestamp: Value, data: Value| {
        one(json!({"id": "wamid.1", "status": "read", "timestamp": timestamp, "biz_opaque_callback_data": data}))
            .unwrap()
    };
    let at: Timestamp = "2026-05-17T16:30:00Z".parse().unwrap();
    let text = at.timestamp().to_string();
    let receipt = said(json!(text), json!(ours.to_string()));
    assert_eq!((receipt.at, receipt.message), (at, Some(MessageId(ours))));
    assert_eq!(said(json!(at.timestamp()), json!("not ours")).message, None);
    for odd in [
        json!("x"),
        json!("1"),
        json!(i64::MAX),
        json!("99999999999999999999"),
        json!({}),
        json!((at.timestamp() + 60).to_string()),
    ] {
        assert_eq!(said(odd.clone(), json!(5)).at, now(), "{odd}");
    }
}

#[test]
fn a_failure_says_why_in_a_sentence() {
    let reason =
        |errors: Value| one(json!({"id": "wamid.1", "status": "failed", "errors": errors})).unwrap().reason.unwrap();
    let title = "This message was not delivered to maintain healthy ecosystem engagement.";
    let details = "In order to maintain a healthy ecosystem engagement, the message failed to be delivered.";
    assert_eq!(
        reason(
            json!([{"code": 131_049, "title": title, "message": title, "error_data": {"details": details}, "href": "https://x"}])
        ),
        "Meta took the message and refused it later. Meta's error 131049: This message was not delivered to maintain healthy \
         ecosystem engagement: In order to maintain a healthy ecosystem engagement, the message failed to be delivered. \
         Meta limits marketing: try another day."
    );
    assert_eq!(
        reason(json!([{"code": "131047", "title": "Re-engagement message"}])),
        "Meta took the message and refused it later. Meta's error 131047: Re-engagement message. Its 24 hours are over: only a \
         template reaches this recipient."
    );
    assert_eq!(reason(json!([])), "Meta took the message and refused it later, and does not say why.");
    assert_eq!(reason(json!([{"code": 5}])), "Meta took the message and refused it later. Meta's error 5.");
    let of_one_member = json!({"id": "wamid.1", "status": "failed", "recipient_id": "Y2FwaV9ncm91cDo", "recipient_type": "group",
                               "recipient_participant_id": "16505551234"});
    assert_eq!(one(of_one_member), None, "the others may have it");
}

#[test]
fn a_batch_is_read_whole_and_each_number_goes_to_its_instances() {
    let status = |id: &str| json!({"id": id, "status": "delivered", "timestamp": "1779035400"});
    let templates = json!({"field": "message_template_status_update", "value": {"metadata": {"phone_number_id": "107"}, "statuses": [status("x")]}});
    let body = report(&[
        &[change("107", json!({"statuses": [status("a"), status("b")]})), templates],
        &[change("999", json!({"statuses": [status("c")]})), change("106", json!({"statuses": [status("d")]}))],
        &[change("no number", json!({"statuses": [status("e")]})), change("107", json!({"errors": [{"code": 1}]}))],
    ]);
    assert_eq!(MetaEvents.addresses(&body), ["107", "999", "106"]);
    let found: Vec<_> = read(&body).into_iter().map(|(instance, receipt)| (instance, receipt.of.id)).collect();
    let expected = [(OURS, "a"), (OURS, "b"), (OURS, "d"), (THEIRS, "d")];
    assert_eq!(found, expected.map(|(instance, id)| (instance, id.to_owned())));
}

#[test]
fn what_is_no_report_is_passed_over() {
    for body in
        ["", "null", "[]", "{", r#"{"entry": 5}"#, r#"{"entry": [{"changes": [{"field": "messages"}]}]}"#, "\u{0}"]
    {
        assert!(read(body.as_bytes()).is_empty() && MetaEvents.addresses(body.as_bytes()).is_empty(), "{body}");
    }
}

#[test]
fn the_token_is_the_one_among_the_credentials() {
    let of = |credentials: &str| MetaEvents.token(&Credentials::new(credentials));
    assert_eq!(of(r#"{"accessToken":"EAAG","appSecret":"5e1f","verifyToken":"olá"}"#).as_deref(), Some("olá"));
    for none in [r#"{"appSecret":"5e1f","verifyToken":""}"#, r#"{"appSecret":"5e1f"}"#, "", "[]"] {
        assert_eq!(of(none), None, "{none}");
    }
}
