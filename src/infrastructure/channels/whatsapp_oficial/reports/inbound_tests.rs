use serde_json::json;

use super::*;
use crate::domain::inbound::Longest;

fn now() -> Timestamp {
    "2026-05-17T16:30:05Z".parse().unwrap()
}

fn read(message: Value, contacts: Value) -> Option<InboundMessage> {
    let value = json!({"messaging_product": "whatsapp", "contacts": contacts, "messages": [message]});
    inbound(InstanceId(uuid::Uuid::nil()), &value, &value["messages"][0], now())
}

fn jose() -> Value {
    json!([{"profile": {"name": "José"}, "wa_id": "558599999999", "user_id": "BR.1349"}])
}

fn said(kind: &str, part: Value) -> InboundMessage {
    let message = json!({"from": "558599999999", "id": "wamid.1", "timestamp": "1779035400", "type": kind, kind: part});
    read(message, jose()).expect("a message")
}

#[test]
fn a_text_is_read_with_who_wrote_it_and_what_it_answers() {
    let message = json!({
        "from": "558599999999", "from_user_id": "BR.1349", "id": "wamid.1", "timestamp": "1779035400", "type": "text",
        "text": {"body": "Olá!"}, "context": {"from": "15550783881", "id": "wamid.0"},
    });
    let expected = InboundMessage {
        of: ChannelMessage { instance: InstanceId(uuid::Uuid::nil()), id: "wamid.1".to_owned() },
        author: Author::Another,
        chat: "558599999999".to_owned(),
        sender: Sender {
            address: Some("558599999999".to_owned()),
            alias: Some("BR.1349".to_owned()),
            name: Some("José".to_owned()),
        },
        text: Some("Olá!".to_owned()),
        media: None,
        quoted: Some("wamid.0".to_owned()),
        deed: None,
        kind: Some("text".to_owned()),
        rest: None,
        at: "2026-05-17T16:30:00Z".parse().unwrap(),
    };
    assert_eq!(read(message, jose()), Some(expected));
}

#[test]
fn who_hides_a_number_is_called_by_an_id() {
    let text = |from: Value| {
        let mut message = json!({"id": "wamid.1", "type": "text", "text": {"body": "Olá!"}});
        message.as_object_mut().unwrap().extend(from.as_object().unwrap().clone());
        message
    };
    let hidden = json!([{"profile": {"name": "José"}, "user_id": "BR.1349"}]);
    for from in [json!({}), json!({"from_user_id": "BR.1349"}), json!({"from": "", "user_id": "BR.1349"})] {
        let read = read(text(from.clone()), hidden.clone()).expect("a message");
        let sender = (read.sender.address.as_deref(), read.sender.alias.as_deref(), read.sender.name.as_deref());
        assert_eq!(
            (read.chat.as_str(), sender),
            ("BR.1349", (Some("BR.1349"), Some("BR.1349"), Some("José"))),
            "{from}"
        );
    }
    assert_eq!(read(text(json!({})), json!([])), None, "nobody has written it");
    // Of several people's messages each has its own name.
    let several = json!([{"profile": {"name": "Ana"}, "wa_id": "551"}, {"profile": {"name": "José"}, "wa_id": "552"}]);
    let of_jose = read(text(json!({"from": "552"})), several.clone()).unwrap();
    assert_eq!((of_jose.sender.name.as_deref(), of_jose.sender.alias), (Some("José"), None));
    assert_eq!(read(text(json!({"from": "553"})), several).unwrap().sender.name, None);
}

#[test]
fn a_group_is_the_chat_and_its_member_the_sender() {
    let message = json!({"from": "558599999999", "group_id": "Y2FwaV9ncm91cDox", "id": "wamid.1", "type": "text", "text": {"body": "Oi"}});
    let read = read(message, jose()).unwrap();
    assert_eq!((read.chat.as_str(), read.sender.address.as_deref()), ("Y2FwaV9ncm91cDox", Some("558599999999")));
}

#[test]
fn a_medium_is_named_and_stays_where_it_is() {
    for (kind, expected) in [
        ("image", MediaType::Image),
        ("sticker", MediaType::Image),
        ("video", MediaType::Video),
        ("audio", MediaType::Audio),
        ("document", MediaType::Document),
    ] {
        let part =
            json!({"id": "1234567890", "mime_type": "x/y", "sha256": "…", "filename": "a.pdf", "caption": "Legenda"});
        let read = said(kind, part);
        let media = InboundMedia {
            media_type: expected,
            url: None,
            id: Some("1234567890".to_owned()),
            mime_type: Some("x/y".to_owned()),
            file_name: Some("a.pdf".to_owned()),
        };
        assert_eq!((read.media, read.text.as_deref(), read.rest), (Some(media), Some("Legenda"), None));
    }
}

#[test]
fn what_else_people_send_is_kept() {
    let cases = [
        ("button", json!({"text": "Sim", "payload": "yes"}), Some("Sim"), true),
        (
            "interactive",
            json!({"type": "button_reply", "button_reply": {"id": "1", "title": "Sim"}}),
            Some("Sim"),
            true,
        ),
        ("interactive", json!({"type": "list_reply", "list_reply": {"id": "1", "title": "Azul"}}), Some("Azul"), true),
        ("location", json!({"latitude": -3.7, "longitude": -38.5, "name": "Fortaleza"}), None, true),
        ("contacts", json!([{"name": {"formatted_name": "Ana"}}]), None, true),
        ("order", json!({"catalog_id": "1", "product_items": []}), None, true),
        (
            "system",
            json!({"body": "José changed to 5585", "type": "user_changed_number"}),
            Some("José changed to 5585"),
            true,
        ),
        ("unsupported", json!(null), None, false),
    ];
    for (kind, part, text, has_rest) in cases {
        let read = said(kind, part.clone());
        assert_eq!((read.text.as_deref(), read.kind.as_deref(), read.rest.is_some()), (text, Some(kind), has_rest));
        assert!(read.rest.is_none_or(|rest| serde_json::from_str::<Value>(&rest).unwrap() == part));
    }
    let reaction = said("reaction", json!({"message_id": "wamid.0", "emoji": "👍"}));
    assert_eq!((reaction.text.as_deref(), reaction.deed), (Some("👍"), Some(Deed::ReactsTo("wamid.0".to_owned()))));
    let taken_back = said("reaction", json!({"message_id": "wamid.0"}));
    assert_eq!((taken_back.text, taken_back.deed), (None, Some(Deed::ReactsTo("wamid.0".to_owned()))));
    assert_eq!(said("location", json!({"name": "\u{0}a\\u0000"})).rest.as_deref(), Some("{\"name\":\"a\\\\u0000\"}"));
    assert_eq!(said("order", json!({"text": "x".repeat(Longest::REST)})).rest, None);
}

#[test]
fn what_has_no_name_is_passed_over() {
    for odd in [
        json!(null),
        json!({}),
        json!({"from": "5585"}),
        json!({"from": "5585", "id": ""}),
        json!({"from": 5, "id": 5}),
    ] {
        assert_eq!(read(odd.clone(), json!([])), None, "{odd}");
    }
    let bare = read(json!({"from": "+5585", "id": "wamid.1"}), json!(null)).unwrap();
    assert_eq!((bare.chat.as_str(), bare.kind.as_deref(), bare.at), ("5585", Some("unknown"), now()));
}
