//! How a report proves who sent it.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::domain::Timestamp;
use crate::domain::shared_secret::SharedSecret;

/// How a source proves itself. Has no `Debug` that shows a secret.
#[derive(Clone)]
pub enum Proof {
    /// By nothing.
    Open,
    /// By an API key or a token of ours, with the scope `events:write`.
    ApiKey,
    /// By a name and a password (RFC 7617).
    Basic { user: String, password: String },
    /// By the last segment of the path.
    PathSecret(String),
    /// By an HMAC of the body; any of the secrets will do, so that one can be replaced.
    Signature { style: Style, secrets: Vec<String>, verify_token: Option<String> },
}

/// Who signs, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    GitHub,
    Stripe,
    Shopify,
    Meta,
    StandardWebhooks,
}

impl Style {
    pub const ALL: [(&'static str, Style); 5] = [
        ("github", Style::GitHub),
        ("stripe", Style::Stripe),
        ("shopify", Style::Shopify),
        ("meta", Style::Meta),
        ("standard_webhooks", Style::StandardWebhooks),
    ];
}

/// Seconds by which the time in a signature may differ from ours: an old report is not played again.
const TOLERANCE: i64 = 300;

impl std::fmt::Debug for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Proof {
    /// As the configuration calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Proof::Open => "open",
            Proof::ApiKey => "api_key",
            Proof::Basic { .. } => "basic",
            Proof::PathSecret(_) => "path_secret",
            Proof::Signature { style, .. } => {
                Style::ALL.iter().find(|(_, known)| known == style).map_or("signature", |(name, _)| name)
            }
        }
    }

    /// Whether the report proves itself, except by an API key, which is looked up elsewhere. The error is the end of a sentence
    /// that begins with "the report".
    ///
    /// # Errors
    /// What it lacks.
    pub fn verify(
        &self,
        headers: &HashMap<String, String>,
        path_secret: Option<&str>,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), &'static str> {
        match self {
            Proof::Open | Proof::ApiKey => Ok(()),
            Proof::Basic { user, password } => {
                let shown = headers.get("authorization").and_then(|value| {
                    let (scheme, credentials) = value.split_once(' ')?;
                    scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(credentials.trim()).ok()).flatten()
                });
                let expected = format!("{user}:{password}");
                let is_right = shown.is_some_and(|shown| is_same(&shown, expected.as_bytes()));
                if is_right { Ok(()) } else { Err("must have the user and the password of its source") }
            }
            Proof::PathSecret(secret) => {
                let is_right = path_secret.is_some_and(|shown| is_same(shown.as_bytes(), secret.as_bytes()));
                if is_right {
                    Ok(())
                } else {
                    Err("must have the secret of its source as the last segment of its path")
                }
            }
            Proof::Signature { style, secrets, .. } => {
                let is_signed = secrets.iter().any(|secret| style.is_signed(headers, body, secret, now));
                if is_signed { Ok(()) } else { Err("must be signed with the secret of its source") }
            }
        }
    }
}

impl Proof {
    /// Whether somebody who sets the source up has shown its token. Never where none is configured.
    pub fn shakes_hands(&self, shown: &str) -> bool {
        match self {
            Proof::Signature { verify_token: Some(token), .. } => {
                !token.is_empty() && is_same(shown.as_bytes(), token.as_bytes())
            }
            _ => false,
        }
    }
}

impl Style {
    /// Whether a secret can be one of this style's: the end of a sentence that begins with its name.
    ///
    /// # Errors
    /// What it should be.
    pub fn check_secret(self, secret: &str) -> Result<(), &'static str> {
        let is_usable = match self {
            Style::StandardWebhooks => standard_key(secret).is_some_and(|key| !key.is_empty()),
            _ => !secret.is_empty(),
        };
        if is_usable { Ok(()) } else { Err("must be the base64 of a key, with or without `whsec_` before it") }
    }

    fn is_signed(self, headers: &HashMap<String, String>, body: &[u8], secret: &str, now: Timestamp) -> bool {
        let signed = match self {
            Style::GitHub | Style::Meta => {
                let signature = headers.get("x-hub-signature-256").and_then(|value| value.strip_prefix("sha256="));
                signature.and_then(hex).map(|signature| is_mac(secret.as_bytes(), &[body], &signature))
            }
            Style::Shopify => {
                let signature = headers.get("x-shopify-hmac-sha256").and_then(|value| STANDARD.decode(value).ok());
                signature.map(|signature| is_mac(secret.as_bytes(), &[body], &signature))
            }
            Style::Stripe => headers.get("stripe-signature").map(|value| {
                let members = || value.split(',').filter_map(|member| member.trim().split_once('='));
                let time = members().find(|(name, _)| *name == "t").map(|(_, time)| time);
                let Some(time) = time.filter(|time| is_recent(time, now)) else { return false };
                let mut signatures = members().filter(|(name, _)| *name == "v1").filter_map(|(_, text)| hex(text));
                signatures.any(|signature| is_mac(secret.as_bytes(), &[time.as_bytes(), b".", body], &signature))
            }),
            Style::StandardWebhooks => standard(headers, body, secret, now),
        };
        signed.unwrap_or_default()
    }
}

fn standard(headers: &HashMap<String, String>, body: &[u8], secret: &str, now: Timestamp) -> Option<bool> {
    let (id, time) = (headers.get("webhook-id")?, headers.get("webhook-timestamp")?);
    let key = standard_key(secret)?;
    let signatures = headers.get("webhook-signature")?.split(' ').filter_map(|one| one.strip_prefix("v1,"));
    let mut signatures = signatures.filter_map(|text| STANDARD.decode(text).ok());
    let parts = [id.as_bytes(), b".", time.as_bytes(), b".", body];
    Some(is_recent(time, now) && signatures.any(|signature| is_mac(&key, &parts, &signature)))
}

fn standard_key(secret: &str) -> Option<Vec<u8>> {
    SharedSecret::read(secret).key()
}

fn is_recent(time: &str, now: Timestamp) -> bool {
    time.parse::<i64>().is_ok_and(|time| now.timestamp().saturating_sub(time).saturating_abs() <= TOLERANCE)
}

/// In constant time.
fn is_mac(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(signature).is_ok()
}

/// In constant time but for their lengths: both are compared by a MAC of theirs.
fn is_same(shown: &[u8], expected: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(expected) else { return false };
    mac.update(expected);
    is_mac(expected, &[shown], &mac.finalize().into_bytes())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> HashMap<String, String> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    fn signature(style: Style, secret: &str) -> Proof {
        Proof::Signature { style, secrets: vec!["former".to_owned(), secret.to_owned()], verify_token: None }
    }

    #[test]
    fn github_signs_as_its_documentation_says() {
        // The example of GitHub's own documentation.
        let proof = signature(Style::GitHub, "It's a Secret to Everybody");
        let given = headers(&[(
            "x-hub-signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        )]);
        assert_eq!(proof.verify(&given, None, b"Hello, World!", at(0)), Ok(()));
        assert!(proof.verify(&given, None, b"Hello, World?", at(0)).is_err());
        assert!(proof.verify(&headers(&[]), None, b"Hello, World!", at(0)).is_err());
        assert!(signature(Style::GitHub, "other").verify(&given, None, b"Hello, World!", at(0)).is_err());
    }

    #[test]
    fn standard_webhooks_are_signed_as_their_specification_says() {
        // The example of the Standard Webhooks' reference implementation.
        let given = headers(&[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ]);
        let body = br#"{"test": 2432232314}"#;
        for secret in ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"] {
            let proof = signature(Style::StandardWebhooks, secret);
            assert_eq!(proof.verify(&given, None, body, at(1_614_265_330)), Ok(()));
            assert!(proof.verify(&given, None, body, at(1_614_265_330 + 301)).is_err(), "it is old");
        }
        assert_eq!(standard_key("whsec_-_8"), standard_key("+/8="), "in the alphabet of URLs, and without padding");
    }

    #[test]
    fn the_others_are_verified_with_what_they_would_send() {
        let mac = |key: &str, text: &str| {
            let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).unwrap();
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        };
        let as_hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let shopify = headers(&[("x-shopify-hmac-sha256", &STANDARD.encode(mac("s", "{}")))]);
        assert_eq!(signature(Style::Shopify, "s").verify(&shopify, None, b"{}", at(0)), Ok(()));
        assert!(signature(Style::Shopify, "s").verify(&shopify, None, b"[]", at(0)).is_err());
        let stripe = format!("t=100,v1=00,v1={},v0=x", as_hex(mac("s", "100.{}")));
        let stripe = headers(&[("stripe-signature", &stripe)]);
        assert_eq!(signature(Style::Stripe, "s").verify(&stripe, None, b"{}", at(400)), Ok(()));
        assert!(signature(Style::Stripe, "s").verify(&stripe, None, b"{}", at(401)).is_err());
        let basic = Proof::Basic { user: "ana".to_owned(), password: "segredo".to_owned() };
        let shown = headers(&[("authorization", &format!("Basic {}", STANDARD.encode("ana:segredo")))]);
        assert_eq!(basic.verify(&shown, None, b"", at(0)), Ok(()));
        assert!(basic.verify(&headers(&[("authorization", "Basic !")]), None, b"", at(0)).is_err());
        let by_path = Proof::PathSecret("abc".to_owned());
        assert_eq!(by_path.verify(&headers(&[]), Some("abc"), b"", at(0)), Ok(()));
        assert!(by_path.verify(&headers(&[]), Some("abd"), b"", at(0)).is_err());
        assert!(by_path.verify(&headers(&[]), None, b"", at(0)).is_err());
        assert!(!format!("{by_path:?}").contains("abc"), "secrets stay home");
    }

    #[test]
    fn hands_are_shaken_with_the_token_alone() {
        let meta = |token: Option<&str>| Proof::Signature {
            style: Style::Meta,
            secrets: vec!["s".to_owned()],
            verify_token: token.map(str::to_owned),
        };
        assert!(meta(Some("abc")).shakes_hands("abc"));
        for (token, shown) in [(Some("abc"), "abd"), (Some("abc"), ""), (Some(""), ""), (None, "")] {
            assert!(!meta(token).shakes_hands(shown), "{token:?} {shown:?}");
        }
        assert!(!Proof::Open.shakes_hands(""));
        assert!(Style::StandardWebhooks.check_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").is_ok());
        for secret in ["", "whsec_", "whsec_not base64", "a"] {
            assert!(Style::StandardWebhooks.check_secret(secret).is_err(), "{secret}");
        }
    }
}
