use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-05-17T16:30:05Z".parse().unwrap()
}

fn read(data: Value) -> Option<InboundMessage> {
    inbound(InstanceId(uuid::Uuid::nil()), &data, now())
}

/// In this key, somebody says hello.
fn hello(key: Value) -> InboundMessage {
    read(json!({"key": key, "pushName": "Maria", "message": {"conversation": "oi"}, "messageTimestamp": 1_779_035_400}))
        .unwrap()
}

/// The chat, the sender's address and its other one.
fn addressed(key: Value) -> (String, Option<String>, Option<String>) {
    let InboundMessage { chat, sender, .. } = hello(key);
    (chat, sender.address, sender.alias)
}

fn said(message: Value) -> InboundMessage {
    read(json!({"key": {"remoteJid": "5511@s.whatsapp.net", "fromMe": false, "id": "A5"}, "message": message})).unwrap()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_person_is_its_number_in_every_version_that_has_it() {
    let number = "5511999999999";
    let jid = format!("{number}@s.whatsapp.net");
    let with_lid = (number.to_owned(), text(number), text("123@lid"));
    let cases = [
        // 2.3.6
        json!({"remoteJid": "123@lid", "remoteJidAlt": jid, "fromMe": false, "id": "A", "participant": ""}),
        // 2.4.0
        json!({"remoteJid": jid, "remoteJidAlt": "123@lid", "addressingMode": "pn", "fromMe": false, "id": "A"}),
        // Up to 2.3.2
        json!({"remoteJid": jid, "senderPn": jid, "senderLid": "123@lid", "fromMe": false, "id": "A"}),
        json!({"remoteJid": jid, "previousRemoteJid": "123@lid", "fromMe": false, "id": "A"}),
        json!({"remoteJid": "123@lid", "senderPn": jid, "fromMe": false, "id": "A"}),
        json!({"remoteJid": "123:7@lid", "remoteJidAlt": format!("{number}:12@s.whatsapp.net"), "fromMe": false, "id": "A"}),
    ];
    for key in cases {
        assert_eq!(addressed(key.clone()), with_lid, "{key}");
    }
    let alone = (number.to_owned(), text(number), None);
    // 2.3.7, 1.x; and the other integrations.
    for jid in [jid.as_str(), "5511999999999@c.us", number] {
        assert_eq!(addressed(json!({"remoteJid": jid, "fromMe": false, "id": "A"})), alone);
    }
    let hidden = addressed(json!({"remoteJid": "123@lid", "fromMe": false, "id": "A"}));
    assert_eq!(hidden, ("123@lid".to_owned(), text("123@lid"), text("123@lid")));
}

#[test]
fn a_group_is_the_chat_and_its_member_the_sender() {
    let group = "120363000000000000@g.us";
    let member = (group.to_owned(), text("5511999999999"), text("123@lid"));
    let jid = "5511999999999@s.whatsapp.net";
    for key in [
        json!({"remoteJid": group, "participant": "123@lid", "participantAlt": jid, "fromMe": false, "id": "A"}),
        json!({"remoteJid": group, "participant": jid, "participantAlt": "123@lid", "fromMe": false, "id": "A"}),
        json!({"remoteJid": group, "participant": "123@lid", "participantPn": jid, "fromMe": false, "id": "A"}),
    ] {
        assert_eq!(addressed(key), member);
    }
    let own = hello(json!({"remoteJid": group, "participant": jid, "fromMe": true, "id": "3A0000000000000000FF"}));
    assert_eq!((own.author, own.sender), (Author::Phone, Sender::default()));
}

#[test]
fn what_may_have_been_sent_by_us_is_told_from_what_a_phone_has_sent() {
    let author = |id: &str| hello(json!({"remoteJid": "5511@s.whatsapp.net", "fromMe": true, "id": id})).author;
    for id in ["3A0000000000000000FF", "AC0123456789ABCDEF0123456789ABCD"] {
        assert_eq!(author(id), Author::Phone, "{id}");
    }
    let ours = ["3EB0C767D26A1B6C5E3F2A", "BAE5F5A632EAE722", "wamid.HBgM", "0191f0b0-0000-7000-8000-000000000000"];
    for id in ours {
        assert_eq!(author(id), Author::PhoneOrUs, "{id}");
    }
    let to =
        json!({"remoteJid": "5511@s.whatsapp.net", "senderPn": "5522@s.whatsapp.net", "fromMe": true, "id": "3EB0"});
    assert_eq!(addressed(to), ("5511".to_owned(), None, None), "senderPn is our own number there");
}

#[test]
fn what_a_person_reads_is_the_text() {
    let texts = [
        (json!({"conversation": "oi"}), "oi"),
        (json!({"messageContextInfo": {}, "extendedTextMessage": {"text": "oi"}}), "oi"),
        (json!({"ephemeralMessage": {"message": {"extendedTextMessage": {"text": "oi"}}}}), "oi"),
        (json!({"buttonsResponseMessage": {"selectedButtonId": "1", "selectedDisplayText": "Sim"}}), "Sim"),
        (json!({"templateButtonReplyMessage": {"selectedId": "1", "selectedDisplayText": "Sim"}}), "Sim"),
        (json!({"listResponseMessage": {"title": "Azul", "singleSelectReply": {"selectedRowId": "b"}}}), "Azul"),
        (json!({"interactiveResponseMessage": {"body": {"text": "Sim"}}}), "Sim"),
        (json!({"conversation": "a\u{0}b"}), "ab"),
    ];
    for (message, expected) in texts {
        assert_eq!(said(message.clone()).text.as_deref(), Some(expected), "{message}");
    }
    let quoting = said(json!({"extendedTextMessage": {"text": "sim", "contextInfo": {"stanzaId": "3EB0Q"}}}));
    assert_eq!(quoting.quoted.as_deref(), Some("3EB0Q"));
    let quoting = read(json!({
        "key": {"remoteJid": "5511@s.whatsapp.net", "fromMe": false, "id": "A5"}, "message": {"conversation": "sim"},
        "contextInfo": {"stanzaId": "3EB0Q"}
    }));
    assert_eq!(quoting.unwrap().quoted.as_deref(), Some("3EB0Q"));
}

#[test]
fn a_medium_is_said_where_it_is_and_not_taken() {
    let url = "https://mmg.whatsapp.net/v/1.enc";
    let image = said(
        json!({"imageMessage": {"url": url, "mimetype": "image/jpeg", "caption": "olha", "jpegThumbnail": "/9j/"},
                            "base64": "/9j/4AAQ"}),
    );
    let media = image.media.clone().unwrap();
    assert_eq!((media.media_type, media.url.as_deref()), (MediaType::Image, Some(url)));
    assert_eq!((image.text.as_deref(), image.rest.as_deref()), (Some("olha"), None));
    assert!(!format!("{image:?}").contains("/9j/"));
    let file = json!({"documentMessage": {"url": url, "mimetype": "application/pdf", "fileName": "conta.pdf", "caption": "a conta"}});
    let file = said(json!({"documentWithCaptionMessage": {"message": file}}));
    let media = file.media.unwrap();
    let said_of_it = (media.media_type, media.mime_type.as_deref(), media.file_name.as_deref());
    assert_eq!(said_of_it, (MediaType::Document, Some("application/pdf"), Some("conta.pdf")));
    assert_eq!(file.text.as_deref(), Some("a conta"));
    for (member, media_type) in
        [("stickerMessage", MediaType::Image), ("ptvMessage", MediaType::Video), ("audioMessage", MediaType::Audio)]
    {
        assert_eq!(said(json!({member: {"url": url}})).media.unwrap().media_type, media_type);
    }
    let kept = said(json!({"imageMessage": {"url": url}, "mediaUrl": "https://s3.example/1.jpg"})).media.unwrap();
    assert_eq!(kept.url.as_deref(), Some("https://s3.example/1.jpg"), "what Evolution keeps can be read");
}

#[test]
fn reactions_and_edits_say_which_message_they_concern() {
    let reaction = said(json!({"reactionMessage": {"key": {"id": "3EB0R"}, "text": "👍"}}));
    assert_eq!((reaction.deed, reaction.text.as_deref()), (Some(Deed::ReactsTo("3EB0R".to_owned())), Some("👍")));
    let taken_back = said(json!({"reactionMessage": {"key": {"id": "3EB0R"}, "text": ""}}));
    assert_eq!((taken_back.deed, taken_back.text), (Some(Deed::ReactsTo("3EB0R".to_owned())), None));
    let edit = json!({"protocolMessage": {"key": {"id": "3EB0E"}, "type": "MESSAGE_EDIT", "editedMessage": {"conversation": "oi!"}}});
    for message in [edit.clone(), json!({"editedMessage": {"message": edit}})] {
        let edited = said(message);
        assert_eq!((edited.deed, edited.text.as_deref()), (Some(Deed::Edits("3EB0E".to_owned())), Some("oi!")));
    }
}

#[test]
fn what_has_no_column_is_kept_as_the_channel_says_it_without_its_bytes() {
    let place = said(json!({"locationMessage": {"degreesLatitude": -3.7, "jpegThumbnail": "/9j/", "contextInfo": {}}}));
    assert_eq!((place.kind.as_deref(), place.text), (Some("locationMessage"), None));
    assert_eq!(place.rest.as_deref(), Some(r#"{"degreesLatitude":-3.7}"#));
    let large = said(json!({"contactMessage": {"vcard": "x".repeat(Longest::REST)}}));
    assert_eq!(large.rest, None);
}

#[test]
fn what_nobody_has_written_to_us_is_passed_over() {
    let key = json!({"remoteJid": "5511@s.whatsapp.net", "fromMe": false, "id": "A5"});
    for message in [
        json!(null),
        json!({}),
        json!({"messageContextInfo": {}}),
        json!({"conversation": ""}),
        json!({"protocolMessage": {"type": "REVOKE", "key": {"id": "3EB0"}}}),
        json!({"protocolMessage": {"type": "EPHEMERAL_SETTING"}}),
        json!({"senderKeyDistributionMessage": {}}),
        json!({"pollUpdateMessage": {}}),
    ] {
        assert_eq!(read(json!({"key": key, "message": message})), None, "{message}");
    }
    let hello = json!({"conversation": "oi"});
    for jid in ["status@broadcast", "120363@newsletter", ""] {
        assert_eq!(read(json!({"key": {"remoteJid": jid, "fromMe": false, "id": "A"}, "message": hello})), None);
    }
    for key in
        [json!(null), json!({}), json!({"remoteJid": "5511@s.whatsapp.net"}), json!({"id": "A"}), json!({"id": {}})]
    {
        assert_eq!(read(json!({"key": key, "message": hello})), None);
    }
}

#[test]
fn the_time_is_its_own() {
    let said: Timestamp = "2026-05-17T16:30:00Z".parse().unwrap();
    let at = |time: Value| {
        let key = json!({"remoteJid": "5511@s.whatsapp.net", "fromMe": false, "id": "A5"});
        read(json!({"key": key, "message": {"conversation": "oi"}, "messageTimestamp": time})).unwrap().at
    };
    let seconds = said.timestamp();
    for time in [json!(seconds), json!(seconds.to_string()), json!({"low": seconds, "high": 0, "unsigned": true})] {
        assert_eq!(at(time), said);
    }
    for time in [json!(null), json!("x"), json!({}), json!(0), json!(seconds + 3_600)] {
        assert_eq!(at(time), now());
    }
}
