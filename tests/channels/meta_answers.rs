use std::time::Duration;

use correio::application::ports::ChannelSender;
use correio::domain::message::delivery::{Acceptance, DeliveryError, DeliveryErrorKind};
use serde_json::{Value, json};

use super::meta_requests::{ACCESS_TOKEN, accepted, sender, sender_that_waits, to};
use super::{PATIENCE, text};
use crate::contracts::delivery::channel_sender::ending;
use crate::support::http_receiver::{Answer, HttpReceiver};

/// Meta's shape of an error.
fn failed(status: u16, code: Value) -> Answer {
    let error = json!({
        "message": format!("({code}) Something is wrong"), "type": "OAuthException", "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": "This is what is wrong."}, "fbtrace_id": "Az8or2yh"
    });
    Answer::json(status, &json!({ "error": error }))
}

async fn verdict(answer: Answer) -> Result<Acceptance, DeliveryError> {
    let receiver = HttpReceiver::start().await;
    receiver.next(answer);
    let verdict = sender().send(&to(&receiver.url(""), "5511999999999", text("Olá"))).await;
    receiver.only();
    verdict
}

const TRANSIENT: [i64; 7] = [1, 2, 131_000, 131_016, 131_057, 133_004, 131_056];
/// Rates: of everything that goes through the instance.
const SLOW_DOWN: [i64; 5] = [4, 17, 613, 80_007, 130_429];
const PUT_OFF: [i64; 26] = [
    131_048, 368, 130_497, 131_031, 0, 3, 10, 190, 200, 250, 299, 131_005, 131_042, 131_045, 133_000, 133_005, 133_006,
    133_010, 133_015, 133_016, 33, 131_030, 210, 220, 230, 294,
];
const REFUSED: [i64; 26] = [
    131_026, 131_047, 470, 131_049, 131_050, 130_472, 131_021, 131_051, 131_058, 131_052, 131_053, 100, 131_008,
    131_009, 132_000, 132_001, 132_005, 132_007, 132_012, 132_015, 132_016, 132_068, 132_069, // Of no list.
    300, 131_999, 999_999,
];

#[tokio::test]
async fn every_code_of_its_contract_whatever_the_status() {
    let rows = [
        (TRANSIENT.as_slice(), "transient"),
        (&SLOW_DOWN, "instance off"),
        (&PUT_OFF, "instance off"),
        (&REFUSED, "refused"),
    ];
    for (codes, expected) in rows {
        for &code in codes {
            for status in [400, 401, 403, 404] {
                assert_eq!(ending(&verdict(failed(status, json!(code))).await), expected, "{code}, {status}");
            }
            assert_eq!(ending(&verdict(failed(400, json!(code.to_string()))).await), expected, "{code} as text");
        }
    }
}

/// Graph's own words for it: the code is that of a wrong parameter, and only the subcode tells them apart.
#[tokio::test]
async fn a_number_that_is_gone_or_not_seen_is_the_instances_and_not_the_messages() {
    let gone = |code: Value, subcode: Value| {
        let message = "Unsupported post request. Object with ID '106540352242922' does not exist, cannot be loaded due to \
                       missing permissions, or does not support this operation.";
        let error = json!({"message": message, "type": "GraphMethodException", "code": code, "error_subcode": subcode});
        Answer::json(400, &json!({ "error": error }))
    };
    for (code, subcode) in [(json!(100), json!(33)), (json!("100"), json!("33"))] {
        let error = verdict(gone(code, subcode)).await.unwrap_err();
        assert!(matches!(error.kind, DeliveryErrorKind::InstanceOff { .. }), "{error:?}");
        assert!(error.reason.starts_with("Meta's error 100: Unsupported post request."), "{error}");
        assert!(
            error.reason.ends_with("The channelPhoneOrId is not a phone number id that this access token sees."),
            "{error}"
        );
    }
    for subcode in [json!(null), json!(2_494_010), json!("x")] {
        assert_eq!(ending(&verdict(gone(json!(100), subcode)).await), "refused");
    }
    assert_eq!(ending(&verdict(gone(json!(131_009), json!(33))).await), "refused");
}

#[tokio::test]
async fn a_failure_of_the_server_itself_leaves_it_unknown() {
    for code in [1, 2, 131_000, 131_016, 131_057, 133_004, 999_999] {
        for status in [500, 502, 503, 504] {
            assert_eq!(ending(&verdict(failed(status, json!(code))).await), "unknown", "{code}, {status}");
        }
    }
    for (code, expected) in
        [(190, "instance off"), (131_047, "refused"), (130_429, "instance off"), (131_056, "transient")]
    {
        assert_eq!(ending(&verdict(failed(500, json!(code))).await), expected, "{code}: by its code");
    }
    let cases = [
        (Answer::new(500, ""), "unknown"),
        (Answer::new(502, "<html>Bad Gateway</html>"), "unknown"),
        (Answer::new(503, "no healthy upstream"), "unknown"),
        (Answer::json(500, &json!({"error": {"message": "no code"}})), "unknown"),
        (Answer::json(500, &json!({"error": {"code": null}})), "unknown"),
        (Answer::json(500, &json!({"error": "131047"})), "unknown"),
        // Of something before Meta, or another server.
        (Answer::new(301, "").with("location", "/elsewhere"), "misconfigured"),
        (Answer::new(404, "<html>nginx</html>"), "misconfigured"),
        (Answer::new(400, ""), "misconfigured"),
        (Answer::new(408, ""), "transient"),
        (Answer::new(429, ""), "transient"),
        (failed(429, json!(999_999)), "transient"),
    ];
    for (answer, expected) in cases {
        assert_eq!(ending(&verdict(answer.clone()).await), expected, "{answer:?}");
    }
}

#[tokio::test]
async fn a_200_without_an_id_is_no_acceptance() {
    let cases = [
        (json!({}), "unknown"),
        (json!({"messaging_product": "whatsapp", "messages": []}), "unknown"),
        (json!({"messages": [{"id": ""}]}), "unknown"),
        (json!({"messages": [{"id": null}]}), "unknown"),
        (json!({"messages": {"id": "wamid.1"}}), "unknown"),
        (json!({"success": true}), "unknown"),
        (json!({"error": {"code": 131_047, "message": "x"}}), "refused"),
        (json!({"error": {"code": 190}}), "instance off"),
        (json!({"error": {"code": 999_999}}), "unknown"),
    ];
    for (body, expected) in cases {
        assert_eq!(ending(&verdict(Answer::json(200, &body)).await), expected, "{body}");
    }
    assert_eq!(ending(&verdict(Answer::new(200, "<html>welcome</html>")).await), "unknown");
    for status in ["accepted", "held_for_quality_assessment", "paused"] {
        let body = json!({"messages": [{"id": "wamid.1", "message_status": status}]});
        assert_eq!(verdict(Answer::json(200, &body)).await.unwrap().channel_message_id.as_deref(), Some("wamid.1"));
    }
    let refused_with_an_id = json!({"messages": [{"id": "wamid.1"}], "error": {"code": 131_047}});
    assert_eq!(ending(&verdict(Answer::json(400, &refused_with_an_id)).await), "refused");
}

#[tokio::test]
async fn it_comes_back_no_sooner_than_makes_sense() {
    let pause = async |code: i64| match verdict(failed(400, json!(code))).await.unwrap_err().kind {
        DeliveryErrorKind::InstanceOff { pause, .. } => pause.as_secs(),
        other => panic!("{code}: {other:?}"),
    };
    assert_eq!(pause(130_429).await, 4);
    for code in [4, 17, 613, 80_007] {
        assert_eq!(pause(code).await, 60, "{code}: counted by the hour");
    }
    for code in PUT_OFF {
        assert_eq!(pause(code).await, 300, "{code}: one probe in five minutes");
    }
    let of_one_recipient = verdict(failed(400, json!(131_056))).await.unwrap_err();
    assert_eq!(of_one_recipient.kind, DeliveryErrorKind::Transient { retry_after: Some(Duration::from_secs(6)) });
    let told = verdict(failed(400, json!(131_056)).with("retry-after", "30")).await.unwrap_err();
    assert_eq!(told.kind, DeliveryErrorKind::Transient { retry_after: Some(Duration::from_secs(30)) });
}

#[tokio::test]
async fn an_unknown_outcome_has_the_id_that_a_status_will_name() {
    let receiver = HttpReceiver::start().await;
    let cut = Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"messages\":[{\"id\":\"wam".to_vec());
    for answer in [Answer::Close, cut, Answer::new(502, "<html>"), Answer::json(200, &json!({}))] {
        receiver.next(answer);
        let error = sender().send(&to(&receiver.url(""), "5511999999999", text("Olá"))).await.unwrap_err();
        assert_eq!(error.kind, DeliveryErrorKind::Unknown, "{error}");
        let sent: Value = serde_json::from_slice(&receiver.received().last().unwrap().body).unwrap();
        assert_eq!(sent["biz_opaque_callback_data"], error.channel_message_id.unwrap());
    }
    receiver.next(accepted().after(PATIENCE * 3));
    let late =
        sender_that_waits(PATIENCE).send(&to(&receiver.url(""), "5511999999999", text("Olá"))).await.unwrap_err();
    assert_eq!(late.kind, DeliveryErrorKind::Unknown);
    assert!(late.channel_message_id.is_some());
    let refused = verdict(failed(400, json!(131_047))).await.unwrap_err();
    assert!(refused.channel_message_id.is_some(), "it was not taken; an earlier try may have been");
}

#[tokio::test]
async fn it_says_in_words_what_happened() {
    let error = |code: i64, message: &str, details: &str| {
        let body = json!({"error": {"message": message, "code": code, "error_data": {"details": details}}});
        Answer::json(400, &body)
    };
    let cases = [
        (
            error(131_056, "(#131056) (Business Account, Consumer Account) pair rate limit hit", "Too many messages."),
            "Meta's error 131056: (#131056) (Business Account, Consumer Account) pair rate limit hit: Too many messages.",
        ),
        (
            error(131_047, "Re-engagement message", "Re-engagement message"),
            "Meta's error 131047: Re-engagement message. Its 24 hours are over: only a template reaches this recipient.",
        ),
        (
            Answer::json(401, &json!({"error": {"code": 190, "message": format!("Bad token {ACCESS_TOKEN}\n.")}})),
            "Meta's error 190: Bad token ***. The instance needs another access token, or more rights for it.",
        ),
        (Answer::json(400, &json!({"error": {"code": 999_999}})), "Meta's error 999999."),
        (Answer::new(502, "<html>"), "HTTP 502 from Meta: <html>"),
        (Answer::new(503, ""), "HTTP 503 from Meta"),
    ];
    for (answer, reason) in cases {
        assert_eq!(verdict(answer).await.unwrap_err().reason, reason);
    }
    let long = verdict(error(131_047, &"x".repeat(5_000), &"y".repeat(5_000))).await.unwrap_err().reason;
    assert!(long.chars().count() < 400 && long.ends_with("only a template reaches this recipient."), "{long}");
}
