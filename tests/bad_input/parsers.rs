//! What the domain reads: names and keys.

use correio::domain::access::idempotency::IdempotencyKey;
use correio::domain::access::principal::{Scope, Tenant};
use correio::domain::instance::ConnectionStatus;
use correio::domain::message::attempt::AttemptOutcome;
use correio::domain::message::delivery::FailureKind;
use correio::domain::message::{Direction, MediaType, MessageStatus};
use correio::domain::text::storable;

use crate::support::corpus::{prove, prove_of_texts};

#[test]
fn a_name_is_one_of_those_there_are_or_refused() {
    prove_of_texts("name", |text| {
        let written = [
            text.parse::<MessageStatus>().ok().map(MessageStatus::as_str),
            text.parse::<MediaType>().ok().map(MediaType::as_str),
            text.parse::<Scope>().ok().map(Scope::as_str),
            text.parse::<ConnectionStatus>().ok().map(ConnectionStatus::as_str),
            Direction::parse(text).map(Direction::as_str),
            FailureKind::parse(text).map(FailureKind::as_str),
            AttemptOutcome::parse(text).map(AttemptOutcome::as_str),
        ];
        assert!(written.into_iter().flatten().all(|name| name == text), "{written:?}");
    });
}

#[test]
fn a_tenant_is_a_name_or_refused() {
    prove_of_texts("name", |text| {
        let Ok(tenant) = Tenant::new(text) else { return };
        assert_eq!(tenant.as_str(), text);
        assert!((1..=255).contains(&text.chars().count()) && !text.contains(char::is_control));
    });
}

#[test]
fn an_idempotency_key_is_visible_or_refused() {
    prove("header", |bytes| {
        let Some(key) = IdempotencyKey::parse(bytes) else { return };
        assert_eq!(key.as_str().as_bytes(), bytes);
        assert!((1..=255).contains(&bytes.len()));
    });
}

#[test]
fn what_is_storable_is_short_and_has_no_nul() {
    prove_of_texts("json", |text| {
        for limit in [0, 1, 100] {
            let stored = storable(text, limit);
            assert!(stored.chars().count() <= limit && !stored.contains('\0'));
            assert_eq!(storable(&stored, limit), stored);
        }
    });
}
