use correio::application::ports::ChannelSender;
use correio::domain::message::MediaType;
use correio::domain::message::delivery::DeliveryErrorKind;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{evolution_requests, medium, text, webhook};
use crate::contracts::delivery::channel_sender::ending;
use crate::support::http_receiver::{Answer, HttpReceiver};

fn any_json() -> impl Strategy<Value = String> {
    let words = ["exists", "key", "id", "code", "message", "response", "error", "instance", "state", "open"];
    let sayings = [
        "AxiosError: status code 404",
        "AxiosError status code 99999999999",
        "[object Object]",
        "Prisma",
        "Error: ",
        "Not Found",
        "status code ",
    ];
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|it| it.to_string()),
        any::<i64>().prop_map(|it| it.to_string()),
        "\\PC{0,8}".prop_map(|it| serde_json::Value::from(it).to_string()),
        proptest::sample::select(sayings.to_vec()).prop_map(|it| serde_json::Value::from(it).to_string()),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec((proptest::sample::select(words.to_vec()), inner), 0..4).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any_json().prop_map(String::into_bytes),
        any_json().prop_map(|json| format!(r#"{{"response":{{"message":{json}}}}}"#).into_bytes()),
        proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

#[test]
fn no_answer_whatsoever_makes_a_channel_panic_or_talk_nonsense() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let receiver = runtime.block_on(HttpReceiver::start());
    let (webhook, evolution) = (webhook::sender(), evolution_requests::sender());
    let base = receiver.url("");
    let voice = medium(MediaType::Audio, "https://x.example/a.ogg", None);

    TestRunner::new(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })
        .run(&(200u16..1000, any_body(), "[ -~]{0,30}"), |(status, body, retry_after)| {
            let bodiless = matches!(status, 204 | 304);
            let body = if bodiless { Vec::new() } else { body };
            receiver.always(Answer::new(status, body).with("retry-after", &retry_after));
            let verdicts = runtime.block_on(async {
                [
                    webhook.send(&webhook::to(&base, text("Olá"))).await,
                    evolution.send(&evolution_requests::to(&base, "5511999999999", text("Olá"))).await,
                    evolution.send(&evolution_requests::to(&base, "5511999999999", voice.clone())).await,
                ]
            });
            prop_assert_eq!(ending(&verdicts[0]) == "sent", (200..300).contains(&status));
            for verdict in verdicts {
                let known = match &verdict {
                    Ok(acceptance) => acceptance.http_status,
                    Err(error) => {
                        prop_assert!(!error.reason.contains(char::is_control), "{:?}", error.reason);
                        prop_assert!(error.reason.chars().count() < 400);
                        // Something before the channel speaks, which does not know; or one that took it does not say as what.
                        let may_be_unknown = matches!(status, 200..=299 | 500 | 502 | 503 | 504 | 520..=524);
                        let is_unknown = error.kind == DeliveryErrorKind::Unknown;
                        prop_assert!(!is_unknown || may_be_unknown || error.reason.contains("Prisma"));
                        error.http_status
                    }
                };
                // No receiver has a reason to answer 407: a proxy did, and the channel was not called.
                prop_assert_eq!(known, Some(status).filter(|status| *status != 407));
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn no_address_and_no_name_whatsoever_makes_a_channel_panic() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let receiver = runtime.block_on(HttpReceiver::start());
    let (webhook, evolution) = (webhook::sender(), evolution_requests::sender());
    receiver.always(evolution_requests::accepted());

    TestRunner::new(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })
        .run(&("\\PC{0,20}", "[/%?#&=+.:;@ a-z0-9\u{0}-\u{1f}]{0,20}", "\\PC{0,20}"), |(odd, path, name)| {
            for address in [odd.clone(), format!("http://{odd}"), receiver.url(&format!("/{path}{odd}"))] {
                // Only what leads to the receiver is sent: the rest would ask the network for made-up names.
                if webhook.check_address(&address).is_ok() && address.starts_with(&receiver.url("/")) {
                    let sent = runtime.block_on(webhook.send(&webhook::to(&address, text("Olá"))));
                    prop_assert_eq!(ending(&sent), "sent", "{}", address);
                }
            }
            for (name, recipient) in [(&name, &odd), (&path, &name), (&odd, &path)] {
                let mut delivery = evolution_requests::to(&receiver.url("/v2"), "5511999999999", text("Olá"));
                delivery.channel_instance_id = name.clone();
                receiver.forget();
                if runtime.block_on(evolution.send(&delivery)).is_ok() {
                    let path = receiver.only().path;
                    prop_assert!(path.starts_with("/v2/message/sendText/"), "{}", path);
                    prop_assert_eq!(path.matches('/').count(), 4, "the name is one segment: {}", path);
                }
                let _no_panic = evolution.check_message(recipient, &text("Olá"));
                let _no_panic = evolution.check_message(recipient, &medium(MediaType::Document, name, None));
            }
            Ok(())
        })
        .unwrap();
}
