use reqwest::StatusCode;
use serde_json::Value;

use super::answer::{Verdict, judge};
use super::credentials::{EvolutionCredentials, check};
use super::recipient::number;
use super::request::RequestKind;
use crate::corpus::{prove, prove_of_texts};
use crate::infrastructure::channels::http::http_answer::HttpAnswer;
use crate::infrastructure::channels::http::redaction::Redaction;
use crate::infrastructure::http_client::AddressGuard;

#[test]
fn a_recipient_is_a_number_or_a_jid_or_refused() {
    prove_of_texts("evolution-recipient", |text| {
        let Some(number) = number(text) else { return };
        assert!(!number.is_empty() && number.len() <= 128 && number.is_ascii());
        assert_eq!(super::recipient::number(&number), Some(number));
    });
}

#[test]
fn credentials_that_are_taken_can_be_used() {
    prove("credentials", |bytes| {
        let Ok(given) = serde_json::from_slice::<Value>(bytes) else { return };
        match check(Some(&given), &AddressGuard::default()) {
            Err(problems) => assert!(problems.iter().all(|problem| problem.path.starts_with("/credentials"))),
            Ok(new) => {
                let stored =
                    EvolutionCredentials::stored(&new.credentials, "loja").expect("what was checked is usable");
                let url = stored.url(&["message", "sendText"]);
                assert!(url.path().contains("/message/sendText/"), "{url}");
                assert!(url.query().is_none() && url.fragment().is_none());
            }
        }
    });
}

#[test]
fn every_answer_is_judged() {
    prove("evolution-answer", |bytes| {
        for status in [200, 201, 204, 302, 400, 401, 403, 404, 429, 500, 599] {
            let status = StatusCode::from_u16(status).unwrap();
            for complete in [true, false] {
                let answer = HttpAnswer::whole(status, bytes, complete);
                for kind in [RequestKind::Text, RequestKind::Media, RequestKind::Audio] {
                    judged(&answer, judge(&answer, kind, &Redaction::default()));
                }
            }
        }
    });
}

fn judged(answer: &HttpAnswer, verdict: Verdict) {
    match verdict {
        Verdict::Clear(Ok(acceptance)) => {
            let id = acceptance.channel_message_id.expect("an id is what makes it an acceptance");
            assert!(answer.status.is_success());
            assert!(!id.trim().is_empty() && !id.contains('\0') && id.chars().count() <= 255, "{id}");
        }
        Verdict::Clear(Err(error)) => assert!(!error.reason.is_empty() && !error.reason.contains('\n')),
        Verdict::DependsOnGroup(reason) => assert!(reason.starts_with("HTTP 400")),
    }
}
