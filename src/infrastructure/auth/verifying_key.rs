use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::{Map, Value};

const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A modulus of 2048 to 4096 bits: less can be broken, and more is what the library refuses.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

/// A key with the one algorithm that it may verify. A token says itself by which algorithm it wants to be checked; that
/// this is never the key's choice is what keeps a public key from being used as an HMAC secret.
#[derive(Clone)]
pub(super) struct VerifyingKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub(super) enum UnusableKey {
    /// Nothing is wrong with it: issuers publish keys for encryption, and for other algorithms, beside ours.
    #[error("{0}")]
    ForSomethingElse(&'static str),
    #[error("{0}")]
    Broken(&'static str),
}

/// The members of a JSON Web Key (RFC 7517) that matter here.
#[derive(Deserialize)]
struct PublishedKey {
    kty: String,
    kid: Option<Value>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl VerifyingKey {
    pub(super) fn secret(secret: &[u8]) -> Self {
        Self { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret) }
    }

    pub(super) fn from_pem(pem: &str) -> Result<Self, UnusableKey> {
        let pem = pem.as_bytes();
        let (algorithm, key) = if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            (Algorithm::ES256, key)
        } else if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            (Algorithm::EdDSA, key)
        } else {
            let key =
                DecodingKey::from_rsa_pem(pem).map_err(|_| UnusableKey::Broken("is not a readable public key"))?;
            check_modulus(&key)?;
            (Algorithm::RS256, key)
        };
        Self::checked(algorithm, key)
    }

    /// A key of a JSON Web Key Set, with its `kid`.
    pub(super) fn from_jwk(jwk: &Value) -> Result<(Option<String>, Self), UnusableKey> {
        use UnusableKey::{Broken, ForSomethingElse};
        let jwk = PublishedKey::deserialize(jwk).map_err(|_| Broken("is not a JSON Web Key"))?;
        // What is empty says nothing: other libraries take it so.
        let signs = jwk.usage.as_deref().is_none_or(|usage| matches!(usage, "" | "sig"));
        let verifies =
            jwk.key_ops.is_none_or(|operations| operations.is_empty() || operations.iter().any(|it| it == "verify"));
        if !signs || !verifies {
            return Err(ForSomethingElse("is not for signatures"));
        }
        let part = |part: &Option<String>| part.as_deref().and_then(decoded);
        let missing = Broken("lacks a part, or has one that is not base64url");
        let (algorithm, name, key) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let (n, e) = part(&jwk.n).zip(part(&jwk.e)).ok_or(missing)?;
                let key = DecodingKey::from_rsa_raw_components(&n, &e);
                check_modulus(&key)?;
                (Algorithm::RS256, "RS256", key)
            }
            ("EC", Some("P-256")) => {
                let (x, y) = part(&jwk.x).zip(part(&jwk.y)).ok_or(missing)?;
                let too_long = Broken("has coordinates that are too long for P-256");
                let (x, y) = coordinate(&x).zip(coordinate(&y)).ok_or(too_long)?;
                // An uncompressed point of SEC 1.
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                (Algorithm::ES256, "ES256", DecodingKey::from_ec_der(&point))
            }
            ("OKP", Some("Ed25519")) => {
                (Algorithm::EdDSA, "EdDSA", DecodingKey::from_ed_der(&part(&jwk.x).ok_or(missing)?))
            }
            // Above all `oct`: a secret that is published is none.
            _ => return Err(ForSomethingElse("is of a type that is not supported")),
        };
        if jwk.alg.is_some_and(|alg| !alg.is_empty() && alg != name && !(alg == "Ed25519" && name == "EdDSA")) {
            return Err(ForSomethingElse("is for an algorithm that is not supported"));
        }
        Ok((jwk.kid.as_ref().and_then(kid), Self::checked(algorithm, key)?))
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The claims of a token that carries this key's signature; none otherwise. Nothing else about them is checked.
    pub(super) fn open(&self, token: &str) -> Option<Map<String, Value>> {
        // Not with the library's `decode`, which reads the header, too, and refuses a `kid` that is a number.
        let (signed, signature) = token.rsplit_once('.')?;
        let (_, claims) = signed.split_once('.')?;
        if !jsonwebtoken::crypto::verify(signature, signed.as_bytes(), &self.key, self.algorithm).ok()? {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }

    /// Refuses keys that the library would only stumble over when it verifies.
    fn checked(algorithm: Algorithm, key: DecodingKey) -> Result<Self, UnusableKey> {
        // It takes the first 32 bytes of an Ed25519 key without asking whether there are as many.
        let too_short = algorithm == Algorithm::EdDSA && key.try_get_as_bytes().is_ok_and(|bytes| bytes.len() != 32);
        if too_short || jsonwebtoken::crypto::verify("", b"", &key, algorithm).is_err() {
            return Err(UnusableKey::Broken("is not a valid key for RS256, ES256 (P-256) or EdDSA (Ed25519)"));
        }
        Ok(Self { algorithm, key })
    }
}

/// How a key is called, in a set and in a token. Some write a number.
pub(super) fn kid(written: &Value) -> Option<String> {
    match written {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// In the alphabet of URLs, as the standard has it, or in the other.
fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text.replace('+', "-").replace('/', "_")).ok()
}

/// A number of P-256 in its 32 bytes. Some write it without its zeros, or with one more before it.
fn coordinate(bytes: &[u8]) -> Option<[u8; 32]> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = &bytes[zeros..];
    let mut whole = [0; 32];
    whole[32_usize.checked_sub(digits.len())?..].copy_from_slice(digits);
    Some(whole)
}

fn check_modulus(key: &DecodingKey) -> Result<(), UnusableKey> {
    let modulus = match Jwk::from_decoding_key(key, None).map(|jwk| jwk.algorithm) {
        Ok(AlgorithmParameters::RSA(parts)) => BASE64URL.decode(parts.n).unwrap_or_default(),
        _ => return Err(UnusableKey::Broken("is not a readable RSA key")),
    };
    let length = modulus.iter().skip_while(|byte| **byte == 0).count();
    if !RSA_MODULUS_BYTES.contains(&length) {
        return Err(UnusableKey::Broken("must have 2048 to 4096 bits, as an RSA key"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RSA: &str = include_str!("../../../tests/auth/keys/rsa.jwk.json");

    fn jwk(changes: Value) -> Value {
        let mut jwk: Value = serde_json::from_str(RSA).unwrap();
        for (member, value) in changes.as_object().unwrap() {
            jwk[member] = value.clone();
        }
        jwk
    }

    #[test]
    fn a_published_key_has_its_kid_and_its_algorithm() {
        let (kid, key) = VerifyingKey::from_jwk(&jwk(serde_json::json!({}))).unwrap();
        assert_eq!((kid.as_deref(), key.algorithm()), (Some("rsa"), Algorithm::RS256));
        assert!(VerifyingKey::from_jwk(&jwk(serde_json::json!({"alg": null, "use": null, "x5c": 7}))).is_ok());
    }

    #[test]
    fn a_key_is_read_as_other_libraries_write_it() {
        let n = jwk(serde_json::json!({}))["n"].as_str().unwrap().to_owned();
        let standard = n.replace('-', "+").replace('_', "/") + "==";
        for changes in [
            serde_json::json!({"alg": ""}),
            serde_json::json!({"use": ""}),
            serde_json::json!({"key_ops": []}),
            serde_json::json!({"key_ops": ["sign", "verify"]}),
            serde_json::json!({"n": standard}),
        ] {
            assert!(VerifyingKey::from_jwk(&jwk(changes.clone())).is_ok(), "{changes}");
        }
        let (kid, _) = VerifyingKey::from_jwk(&jwk(serde_json::json!({"kid": 7}))).unwrap();
        assert_eq!(kid.as_deref(), Some("7"));
    }

    #[test]
    fn a_coordinate_may_be_written_without_its_zeros() {
        let mut whole = [7; 32];
        whole[0] = 0;
        assert_eq!(coordinate(&whole[1..]), Some(whole));
        assert_eq!(coordinate(&[&[0], &whole[..]].concat()), Some(whole));
        assert_eq!(coordinate(&[]), Some([0; 32]));
        assert_eq!(coordinate(&[7; 33]), None);
    }

    #[test]
    fn keys_for_something_else_are_refused() {
        for changes in [
            serde_json::json!({"use": "enc"}),
            serde_json::json!({"key_ops": ["encrypt"]}),
            serde_json::json!({"alg": "RS512"}),
            serde_json::json!({"alg": "HS256"}),
            serde_json::json!({"kty": "oct", "k": "aHVzaA"}),
            serde_json::json!({"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
            serde_json::json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "x": "AA", "y": "AA"}),
            serde_json::json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "x": "AAAA"}),
            serde_json::json!({"n": "AQAB"}),
            serde_json::json!({"n": "%%%"}),
            serde_json::json!({"n": null}),
        ] {
            assert!(VerifyingKey::from_jwk(&jwk(changes.clone())).is_err(), "{changes}");
        }
    }

    #[test]
    fn weak_and_unsupported_pems_are_refused() {
        let short = include_str!("../../../tests/auth/keys/rsa-short.pem");
        let curve = include_str!("../../../tests/auth/keys/ec-384.pem");
        for pem in [short, curve, "", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"] {
            assert!(VerifyingKey::from_pem(pem).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_published_key_panics(kty in "RSA|EC|OKP", n in "[A-Za-z0-9_-]{0,400}", e in "[A-Za-z0-9_-]{0,12}", x in "[A-Za-z0-9_-]{0,50}") {
            let crv = if kty == "EC" { "P-256" } else { "Ed25519" };
            let jwk = serde_json::json!({"kty": kty, "crv": crv, "n": n, "e": e, "x": x, "y": x});
            if let Ok((_, key)) = VerifyingKey::from_jwk(&jwk) {
                prop_assert!(key.open(include_str!("../../../tests/auth/keys/rsa.jwt")).is_none());
            }
        }
    }
}
