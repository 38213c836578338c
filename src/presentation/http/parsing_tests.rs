//! Whatever a client writes: it is read, or refused with what is wrong and where.

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::response::IntoResponse;
use deserr::Deserr;
use futures::FutureExt;
use serde_json::Value;

use super::instances::create::CreateRequest;
use super::instances::update::read_update;
use super::messages::retry::RetryRequest;
use super::messages::send_request::AskedSend;
use super::messages::{key, send_request};
use super::request_log::kept_id;
use super::wire::body::{JsonBody, is_json};
use super::wire::caller::presented;
use super::wire::compact_json::compact;
use super::wire::fields::{self, Problems};
use super::wire::problem::Problem;
use super::wire::query::{NoParameters, Query};
use super::{instances, messages};
use crate::application::access::authenticate::Presented;
use crate::application::messages::read_messages::Asked;
use crate::corpus::{prove, prove_of_texts};
use crate::samples::channels;

fn value(bytes: &[u8]) -> Option<Value> {
    serde_json::from_slice(bytes).ok()
}

/// A sentence for each, with a JSON Pointer (RFC 6901).
fn assert_told(problems: &Problems) {
    assert!(!problems.0.is_empty());
    for problem in &problems.0 {
        assert!(problem.path.is_empty() || problem.path.starts_with('/'), "{problem:?}");
        assert!(!problem.detail.is_empty() && !problem.detail.contains('\n'), "{problem:?}");
    }
}

fn assert_refused(problem: Problem) {
    let status = problem.into_response().status();
    assert!(matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY), "{status}");
}

#[test]
fn a_request_to_send_is_read_or_refused() {
    let channels = channels();
    prove("send-request", |bytes| {
        let Some(value) = value(bytes) else { return };
        let body = JsonBody { value, bytes: bytes.to_vec().into() };
        match send_request::read(body, &channels) {
            Err(problem) => assert_refused(problem),
            Ok(AskedSend::Group(command)) => assert!(command.instance.is_some()),
            Ok(AskedSend::One(command)) => {
                let draft = &command.draft;
                let content = &draft.content;
                assert!((1..=2_048).contains(&draft.recipient.as_str().chars().count()));
                assert!(content.text.is_some() || content.payload.is_some() || content.template.is_some());
                // What PostgreSQL cannot store.
                let (recipient, instance) = (draft.recipient.as_str(), command.channel_instance_id.as_str());
                for text in [Some(recipient), content.text.as_deref(), Some(instance)] {
                    assert!(text.is_none_or(|text| !text.contains('\0')));
                }
                // As it was written, and JSON that every reader takes.
                for json in [&content.payload, &content.template].into_iter().flatten() {
                    assert_eq!(compact(json), *json);
                    assert!(serde_json::from_str::<Value>(json).is_ok(), "{json}");
                }
                assert!(draft.max_tries.is_none_or(|tries| (1..=100).contains(&tries.number())));
            }
        }
    });
}

fn read_or_told<T: Deserr<Problems>>(bytes: &[u8]) {
    if let Some(Err(problems)) = value(bytes).map(fields::read::<T>) {
        assert_told(&problems);
    }
}

#[test]
fn a_request_to_configure_is_read_or_refused() {
    prove("instance-request", |bytes| {
        read_or_told::<CreateRequest>(bytes);
        if let Some(Err(problem)) = value(bytes).map(read_update) {
            assert_refused(problem);
        }
    });
}

#[test]
fn a_request_to_replay_is_read_or_refused() {
    prove("retry-request", read_or_told::<RetryRequest>);
}

fn query<T: Deserr<Problems>>(text: &str) -> Option<T> {
    // What is no URI does not come as far.
    let request = Request::builder().uri(format!("/?{text}")).body(()).ok()?;
    let (mut parts, ()) = request.into_parts();
    let read = Query::<T>::from_request_parts(&mut parts, &()).now_or_never()?;
    read.map(|Query(read)| read).map_err(assert_refused).ok()
}

#[test]
fn a_query_is_read_or_refused() {
    prove_of_texts("query", |text| {
        query::<messages::list::ListQuery>(text);
        query::<instances::read::ListQuery>(text);
        query::<NoParameters>(text);
        let Some(count) = query::<messages::list::CountQuery>(text) else { return };
        let Asked { filter, .. } = count.into();
        for moment in [filter.created_after, filter.created_before].into_iter().flatten() {
            assert!((1970..=9999).contains(&chrono::Datelike::year(&moment)), "{moment}");
        }
        assert!(filter.recipient.is_none_or(|recipient| !recipient.contains('\0') && !recipient.is_empty()));
    });
}

#[test]
fn a_header_is_read_or_refused() {
    prove("header", |bytes| {
        // What is no header's value does not come as far.
        let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
        let with = |name: &'static str| HeaderMap::from_iter([(name.try_into().unwrap(), value.clone())]);
        for headers in [with("x-api-key"), HeaderMap::from_iter([(AUTHORIZATION, value.clone())])] {
            match presented(&headers) {
                Ok(Presented::ApiKey(text) | Presented::Bearer(text)) => assert_eq!(text, text.trim()),
                Err(problem) => assert_eq!(problem.into_response().status(), StatusCode::UNAUTHORIZED),
            }
        }
        match key::idempotency_key(&with("idempotency-key")) {
            Ok(key) => assert_eq!(key.unwrap().as_str().as_bytes(), bytes),
            Err(problem) => assert_refused(problem),
        }
        if let Some(id) = kept_id(&with("x-request-id")) {
            assert!((1..=128).contains(&id.len()) && id.to_str().is_ok());
        }
        if is_json(&HeaderMap::from_iter([(CONTENT_TYPE, value.clone())])) {
            assert!(String::from_utf8_lossy(bytes).to_ascii_lowercase().contains("json"));
        }
    });
}

#[test]
fn compacting_changes_nothing_that_json_means() {
    prove_of_texts("json", |text| {
        let compacted = compact(text);
        assert_eq!(compact(&compacted), compacted);
        if let Some(meant) = value(text.as_bytes()) {
            assert_eq!(value(compacted.as_bytes()), Some(meant));
        }
    });
}
