use std::sync::Arc;

use futures::FutureExt;
use serde_json::{Map, Value};

use super::claims::{ClaimRules, is_subject};
use super::jwks::usable;
use super::verifying_key::VerifyingKey;
use super::{JwtVerifier, api_keys};
use crate::application::ports::{TokenError, TokenVerifier};
use crate::corpus::{prove, prove_of_texts};
use crate::domain::Timestamp;
use crate::infrastructure::config::JwtConfig;
use crate::infrastructure::system::SystemClock;

fn config() -> JwtConfig {
    JwtConfig {
        secret: Some(b"not the one that any of them is signed with".to_vec()),
        public_key: None,
        jwks_url: None,
        issuer: None,
        audience: None,
        tenant_claim: "tenant".to_owned(),
        user_claim: "sub".to_owned(),
    }
}

#[test]
fn claims_name_somebody_or_are_refused() {
    let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let rules = ClaimRules::new(&config());
    prove("claims", |bytes| {
        let Ok(claims) = serde_json::from_slice::<Map<String, Value>>(bytes) else { return };
        match rules.principal(&claims, now) {
            Ok(principal) => {
                assert!(is_subject(&principal.subject) && !principal.tenant.as_str().is_empty());
                let expiry = claims["exp"].as_f64().unwrap();
                assert!(expiry + 60.0 > now.timestamp() as f64, "{expiry}");
            }
            Err(TokenError::Invalid(reason)) => assert!(reason.starts_with("the token"), "{reason}"),
            Err(other) => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_published_set_gives_the_keys_that_can_be_used() {
    prove("key-set", |bytes| {
        let Ok(set) = serde_json::from_slice::<Value>(bytes) else { return };
        let published = set["keys"].as_array().cloned().unwrap_or_default();
        let (keys, skipped) = usable(&published);
        assert_eq!(keys.len() + skipped.len(), published.len());
    });
}

#[test]
fn a_public_key_is_read_or_refused() {
    prove_of_texts("public-key", |text| {
        let _either = VerifyingKey::from_pem(text);
    });
}

#[test]
fn no_token_of_others_is_believed() {
    let verifier = JwtVerifier::new(&config(), Arc::new(SystemClock::new())).unwrap();
    prove_of_texts("token", |token| {
        let verified = verifier.verify(token).now_or_never().expect("there is no issuer to ask");
        assert!(matches!(verified, Err(TokenError::Invalid(_))), "{verified:?}");
        assert!(!api_keys::prefix(token).contains(char::is_control) || token.contains(char::is_control));
    });
}
