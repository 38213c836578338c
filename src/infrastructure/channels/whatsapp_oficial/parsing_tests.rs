use reqwest::StatusCode;
use serde_json::Value;

use super::answer::judge;
use super::credentials::{MetaCredentials, MetaSecrets, check};
use super::recipient::MetaRecipient;
use crate::corpus::{prove, prove_of_texts};
use crate::infrastructure::channels::http::http_answer::HttpAnswer;
use crate::infrastructure::channels::http::redaction::Redaction;
use crate::infrastructure::http_client::AddressGuard;

#[test]
fn a_recipient_is_reached_or_refused() {
    prove_of_texts("meta-recipient", |text| match MetaRecipient::parse(text) {
        None => {}
        Some(MetaRecipient::Number(number)) => {
            assert!(!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
            assert_eq!(MetaRecipient::parse(&number), Some(MetaRecipient::Number(number)));
        }
        Some(MetaRecipient::User(id) | MetaRecipient::Group(id)) => {
            assert!(!id.is_empty() && id.len() <= 256 && id.is_ascii() && !id.contains(char::is_whitespace));
        }
    });
}

#[test]
fn credentials_that_are_taken_can_be_used() {
    prove("credentials", |bytes| {
        let Ok(given) = serde_json::from_slice::<Value>(bytes) else { return };
        match check(Some(&given), &AddressGuard::default()) {
            Err(problems) => assert!(problems.iter().all(|problem| problem.path.starts_with("/credentials"))),
            Ok(new) => {
                let stored = MetaCredentials::stored(&new.credentials).expect("what was checked is usable");
                assert!(stored.url(&["106", "messages"]).path().ends_with("/106/messages"));
                assert!(MetaSecrets::read(&new.credentials).is_some());
            }
        }
    });
}

#[test]
fn every_answer_is_judged() {
    prove("meta-answer", |bytes| {
        for status in [200, 201, 204, 302, 400, 401, 404, 429, 500, 503, 599] {
            let status = StatusCode::from_u16(status).unwrap();
            for complete in [true, false] {
                match judge(&HttpAnswer::whole(status, bytes, complete), &Redaction::default()) {
                    Ok(acceptance) => {
                        let id = acceptance.channel_message_id.expect("an id is what makes it an acceptance");
                        assert!(status.is_success());
                        assert!(!id.trim().is_empty() && !id.contains('\0') && id.chars().count() <= 255, "{id}");
                    }
                    Err(error) => {
                        let reason = &error.reason;
                        assert!(!reason.is_empty() && !reason.contains(char::is_control), "{reason}");
                        assert!(reason.chars().count() < 400, "{reason}");
                    }
                }
            }
        }
    });
}
