use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::FutureExt;
use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::Timestamp;
use crate::domain::access::principal::{Scope, Tenant};
use crate::infrastructure::auth::token_signer::{SignTokenError, TokenRequest, TokenSigner};

const SECRET: &[u8] = b"a secret of thirty-two bytes, ok!";
const RSA: (&str, &str) =
    (include_str!("../../../tests/auth/keys/rsa.pem"), include_str!("../../../tests/auth/keys/rsa.jwt"));
const EC: (&str, &str) =
    (include_str!("../../../tests/auth/keys/ec.pem"), include_str!("../../../tests/auth/keys/ec.jwt"));
const ED: (&str, &str) =
    (include_str!("../../../tests/auth/keys/ed.pem"), include_str!("../../../tests/auth/keys/ed.jwt"));
const ED_NEXT: (&str, &str) =
    (include_str!("../../../tests/auth/keys/ed-next.pem"), include_str!("../../../tests/auth/keys/ed-next.jwt"));
const HS: &str = include_str!("../../../tests/auth/keys/hs256.jwt");

/// When the tokens in `tests/auth/keys` are half-way through their hour.
struct Noon;

#[async_trait]
impl Clock for Noon {
    fn now(&self) -> Timestamp {
        "2026-01-18T12:30:00Z".parse().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {}
}

fn now() -> i64 {
    Noon.now().timestamp()
}

fn config() -> JwtConfig {
    JwtConfig {
        secret: None,
        public_key: None,
        jwks_url: None,
        issuer: None,
        audience: None,
        tenant_claim: "tenant".to_owned(),
        user_claim: "sub".to_owned(),
    }
}

fn with_secret() -> JwtConfig {
    JwtConfig { secret: Some(SECRET.to_vec()), ..config() }
}

fn with_key(pem: &str) -> JwtConfig {
    JwtConfig { public_key: Some(pem.to_owned()), ..config() }
}

fn verify(config: &JwtConfig, token: &str) -> Result<Principal, TokenError> {
    let verifier = JwtVerifier::new(config, Arc::new(Noon)).unwrap();
    // Nothing is fetched, so nothing waits.
    verifier.verify(token).now_or_never().unwrap()
}

fn signed(claims: &Value) -> String {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

/// Claims that are fine, with changes; null takes one away.
fn claims(changes: Value) -> Value {
    let mut claims = json!({"sub": "ana", "exp": now() + 60});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn accepted(config: &JwtConfig, changes: Value) -> Principal {
    verify(config, &signed(&claims(changes.clone()))).unwrap_or_else(|error| panic!("{changes}: {error}"))
}

fn refused(config: &JwtConfig, changes: Value) -> String {
    match verify(config, &signed(&claims(changes.clone()))) {
        Err(TokenError::Invalid(reason)) => reason,
        other => panic!("{changes}: {other:?}"),
    }
}

fn is_invalid(config: &JwtConfig, token: &str) -> bool {
    matches!(verify(config, token), Err(TokenError::Invalid(_)))
}

#[test]
fn tokens_that_others_signed_are_verified() {
    for (config, token) in [
        (with_secret(), HS),
        (with_key(RSA.0), RSA.1),
        (with_key(EC.0), EC.1),
        (with_key(ED.0), ED.1),
        (JwtConfig { secret: Some(SECRET.to_vec()), ..with_key(ED.0) }, HS),
    ] {
        let principal = verify(&config, token).unwrap();
        assert_eq!((principal.tenant.as_str(), principal.subject.as_str()), ("acme", "ana"));
    }
}

#[test]
fn a_token_is_verified_with_its_own_key_only() {
    for config in [with_secret(), with_key(RSA.0), with_key(EC.0), with_key(ED.0)] {
        let fitting = [HS, RSA.1, EC.1, ED.1].into_iter().filter(|token| verify(&config, token).is_ok()).count();
        assert_eq!(fitting, 1);
    }
    assert!(is_invalid(&with_key(ED.0), ED_NEXT.1));
}

#[test]
fn a_public_key_is_never_a_secret() {
    for (pem, _) in [RSA, EC, ED] {
        let forged =
            jsonwebtoken::encode(&Header::default(), &claims(json!({})), &EncodingKey::from_secret(pem.as_bytes()));
        assert!(is_invalid(&with_key(pem), &forged.unwrap()));
        let both = JwtConfig { secret: Some(SECRET.to_vec()), ..with_key(pem) };
        let der = pem.lines().filter(|line| !line.starts_with('-')).collect::<String>();
        let forged = EncodingKey::from_base64_secret(&der).unwrap();
        let forged = jsonwebtoken::encode(&Header::default(), &claims(json!({})), &forged).unwrap();
        assert!(is_invalid(&both, &forged));
    }
}

#[test]
fn a_token_without_a_signature_is_nothing() {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let all = JwtConfig { secret: Some(SECRET.to_vec()), ..with_key(RSA.0) };
    for algorithm in ["none", "None", "NONE", "", "HS256", "RS256", "HS384"] {
        let token = format!("{}.{}.", part(json!({"alg": algorithm, "typ": "JWT"})), part(claims(json!({}))));
        assert!(is_invalid(&all, &token), "{algorithm}");
    }
}

#[test]
fn other_algorithms_of_the_same_key_are_refused() {
    let header = Header::new(Algorithm::HS512);
    let token = jsonwebtoken::encode(&header, &claims(json!({})), &EncodingKey::from_secret(SECRET)).unwrap();
    assert!(is_invalid(&with_secret(), &token));
}

#[test]
fn a_tampered_token_is_refused() {
    let [header, _, signature]: [&str; 3] = HS.split('.').collect::<Vec<_>>().try_into().unwrap();
    let other = signed(&claims(json!({"tenant": "other"})));
    let payload = other.split('.').nth(1).unwrap();
    assert!(is_invalid(&with_secret(), &format!("{header}.{payload}.{signature}")));
    assert!(is_invalid(&with_secret(), &HS[..HS.len() - 1]));
}

#[test]
fn critical_extensions_are_refused() {
    let header = Header { crit: Some(vec!["b64".to_owned()]), ..Header::default() };
    let token = jsonwebtoken::encode(&header, &claims(json!({})), &EncodingKey::from_secret(SECRET)).unwrap();
    assert!(is_invalid(&with_secret(), &token));
}

#[test]
fn clocks_may_differ_by_a_minute() {
    let config = with_secret();
    accepted(&config, json!({"exp": now() - 59}));
    accepted(&config, json!({"exp": now() as f64 - 59.5}));
    accepted(&config, json!({"nbf": now() + 59}));
    accepted(&config, json!({"nbf": now() - 3600}));
    assert_eq!(refused(&config, json!({"exp": now() - 61})), "the token has expired");
    assert_eq!(refused(&config, json!({"nbf": now() + 61})), "the token is not valid yet");
    for exp in [json!(null), json!("never"), json!((now() + 60).to_string()), json!([]), json!(0), json!(-1e300)] {
        refused(&config, json!({"exp": exp}));
    }
    refused(&config, json!({"nbf": "now"}));
}

#[test]
fn issuer_and_audience_are_checked_when_configured() {
    let config =
        JwtConfig { issuer: Some("https://id".to_owned()), audience: Some("correio".to_owned()), ..with_secret() };
    accepted(&config, json!({"iss": "https://id", "aud": "correio"}));
    accepted(&config, json!({"iss": "https://id", "aud": ["other", "correio"]}));
    for changes in [
        json!({"iss": "https://id"}),
        json!({"aud": "correio"}),
        json!({"iss": "https://id/", "aud": "correio"}),
        json!({"iss": "https://id", "aud": "correio2"}),
        json!({"iss": "https://id", "aud": []}),
        json!({"iss": ["https://id"], "aud": "correio"}),
    ] {
        refused(&config, changes);
    }
    accepted(&with_secret(), json!({"iss": "anybody", "aud": ["anything"]}));
}

#[test]
fn a_subject_is_required() {
    let config = with_secret();
    let longest = "é".repeat(255);
    assert_eq!(accepted(&config, json!({"sub": longest})).subject, longest);
    for sub in [json!(null), json!(""), json!(7), json!("a\u{0}"), json!("a\nb"), json!("x".repeat(256))] {
        refused(&config, json!({"sub": sub}));
    }
}

#[test]
fn the_tenant_is_in_its_claim_or_else_the_subject() {
    assert_eq!(accepted(&with_secret(), json!({})).tenant.as_str(), "ana");
    assert_eq!(accepted(&with_secret(), json!({"tenant": "acme"})).tenant.as_str(), "acme");
    for tenant in [json!(""), json!(7), json!(["acme"]), json!("a\tb"), json!("x".repeat(256))] {
        refused(&with_secret(), json!({"tenant": tenant}));
    }
    assert!(is_invalid(&with_secret(), &signed(&json!({"sub": "ana", "exp": now() + 60, "tenant": null}))));
    let config = JwtConfig { tenant_claim: "https://acme.example/org".to_owned(), ..with_secret() };
    let principal = accepted(&config, json!({"https://acme.example/org": "acme", "tenant": "other"}));
    assert_eq!(principal.tenant.as_str(), "acme");
}

/// As a system makes them that numbers its users, or names them by another claim than `sub`.
#[test]
fn the_user_is_in_a_claim_of_ones_own() {
    let config =
        JwtConfig { tenant_claim: "businessProfileId".to_owned(), user_claim: "userId".to_owned(), ..with_secret() };
    let of = |user: Value| {
        signed(&json!({"userId": user, "email": "ana@acme.example", "businessProfileId": "acme", "exp": now() + 60}))
    };
    for (user, expected) in [(json!("3f1c"), "3f1c"), (json!(17), "17")] {
        let principal = verify(&config, &of(user)).unwrap();
        assert_eq!((principal.tenant.as_str(), principal.subject.as_str()), ("acme", expected));
    }
    for user in [json!(null), json!(""), json!(1.5), json!({})] {
        assert!(is_invalid(&config, &of(user)));
    }
}

#[test]
fn scopes_are_kept_when_known() {
    let scopes = |scope: Value| accepted(&with_secret(), json!({"scope": scope})).scopes;
    assert_eq!(scopes(json!("openid messages:write  admin")), [Scope::MessagesWrite, Scope::Admin]);
    assert_eq!(scopes(json!(["messages:read", "messages:read", "email"])), [Scope::MessagesRead]);
    assert_eq!(scopes(json!("")), []);
    let without = accepted(&with_secret(), json!({}));
    assert_eq!(without.scopes.len(), Scope::ALL.len() - 1);
    assert!(!without.may(Scope::Admin));
    for scope in [json!(7), json!([7]), json!({})] {
        refused(&with_secret(), json!({"scope": scope}));
        refused(&with_secret(), json!({"scp": scope}));
    }
}

#[test]
fn a_kid_may_be_a_number() {
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(json!({"alg": "HS256", "kid": 7})), part(claims(json!({}))));
    let key = EncodingKey::from_secret(SECRET);
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    assert!(verify(&with_secret(), &format!("{signed}.{signature}")).is_ok());
}

/// As Okta and Entra ID call the claim: a list there, a text here.
#[test]
fn scopes_are_read_where_other_issuers_write_them() {
    let scopes = |claims: Value| accepted(&with_secret(), claims).scopes;
    assert_eq!(scopes(json!({"scp": ["messages:read", "openid"]})), [Scope::MessagesRead]);
    assert_eq!(scopes(json!({"scp": "messages:read User.Read"})), [Scope::MessagesRead]);
    assert_eq!(scopes(json!({"scp": "User.Read"})), []);
    assert_eq!(scopes(json!({"scp": "admin", "scope": "messages:read"})), [Scope::MessagesRead], "`scope` goes before");
}

#[test]
fn without_keys_only_api_keys_are_accepted() {
    let Err(TokenError::Invalid(reason)) = verify(&config(), HS) else { panic!("accepted") };
    assert!(reason.starts_with("only API keys"), "{reason}");
}

#[test]
fn a_token_is_at_most_16_kib_long() {
    accepted(&with_secret(), json!({"more": "x".repeat(10 * 1024)}));
    assert_eq!(refused(&with_secret(), json!({"more": "x".repeat(13 * 1024)})), "the token is longer than 16 KiB");
}

#[test]
fn a_public_key_that_cannot_be_used_stops_the_start() {
    let error = JwtVerifier::new(&with_key("-----BEGIN PUBLIC KEY-----"), Arc::new(Noon)).err().unwrap();
    assert_eq!(error.variable, "JWT_PUBLIC_KEY");
}

#[test]
fn what_we_sign_we_accept() {
    let config =
        JwtConfig { issuer: Some("correio".to_owned()), audience: Some("correio".to_owned()), ..with_secret() };
    let mut request = TokenRequest {
        tenant: Tenant::new("acme").unwrap(),
        subject: "ana".to_owned(),
        scopes: Some(vec![Scope::InstancesRead, Scope::Admin]),
        ttl: Duration::from_secs(60),
    };
    let signer = TokenSigner::new(&config).unwrap();
    let principal = verify(&config, &signer.sign(&request, Noon.now()).unwrap()).unwrap();
    let expected = Principal {
        tenant: request.tenant.clone(),
        subject: "ana".to_owned(),
        scopes: vec![Scope::InstancesRead, Scope::Admin],
    };
    assert_eq!(principal, expected);

    request.subject = "a\nb".to_owned();
    assert!(matches!(signer.sign(&request, Noon.now()), Err(SignTokenError::Subject)));
    request.subject = "ana".to_owned();
    request.ttl = Duration::ZERO;
    assert!(matches!(signer.sign(&request, Noon.now()), Err(SignTokenError::TooShort)));
    assert_eq!(TokenSigner::new(&super::tests::config()).err().unwrap().variable, "JWT_SECRET");
}

#[test]
fn a_token_cannot_say_two_things_in_one_claim() {
    let config = JwtConfig { tenant_claim: "sub".to_owned(), ..with_secret() };
    let request = |tenant: &str| TokenRequest {
        tenant: Tenant::new(tenant).unwrap(),
        subject: "ana".to_owned(),
        scopes: None,
        ttl: Duration::from_secs(60),
    };
    let signer = TokenSigner::new(&config).unwrap();
    assert!(matches!(signer.sign(&request("acme"), Noon.now()), Err(SignTokenError::TenantClaim(_))));
    let token = signer.sign(&request("ana"), Noon.now()).unwrap();
    assert_eq!(verify(&config, &token).unwrap().tenant.as_str(), "ana");
}

proptest! {
    #[test]
    fn no_text_panics(token in ".*") {
        let config = JwtConfig { secret: Some(SECRET.to_vec()), ..with_key(RSA.0) };
        prop_assert!(is_invalid(&config, &token));
    }

    #[test]
    fn no_header_no_claims_and_no_signature_panic(
        header in any::<Vec<u8>>(),
        claims in any::<Vec<u8>>(),
        signature in any::<Vec<u8>>(),
    ) {
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let known = ["HS256", "RS256", "ES256", "EdDSA"].map(|name| json!({"alg": name}).to_string().into_bytes());
        for config in [with_key(RSA.0), with_key(EC.0), with_key(ED.0), with_secret()] {
            for header in known.iter().chain([&header]) {
                let token = format!("{}.{}.{}", part(header), part(&claims), part(&signature));
                prop_assert!(is_invalid(&config, &token));
            }
        }
    }

    #[test]
    fn a_changed_character_is_noticed(
        (config, token) in proptest::sample::select(vec![
            (with_secret as fn() -> JwtConfig, HS),
            (|| with_key(RSA.0), RSA.1),
            (|| with_key(EC.0), EC.1),
            (|| with_key(ED.0), ED.1),
        ]),
        position in any::<prop::sample::Index>(),
        character in "[A-Za-z0-9._-]",
    ) {
        let position = position.index(token.len());
        prop_assume!(token[position..=position] != character);
        let changed = format!("{}{character}{}", &token[..position], &token[position + 1..]);
        let noticed = is_invalid(&config(), &changed);
        prop_assert!(noticed);
    }

    #[test]
    fn no_claims_panic_once_they_are_signed(name in "sub|exp|nbf|iss|aud|scope|tenant", text in ".*", number in any::<f64>()) {
        for value in [json!(text), json!(number), json!([text]), json!({"a": number})] {
            let _ = verify(&with_secret(), &signed(&claims(json!({&name: value}))));
        }
    }
}
