use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::claims::{ClaimRules, forged, invalid};
use super::jwks::PublishedKeys;
use super::verifying_key::{VerifyingKey, kid};
use crate::application::ports::{Clock, TokenError, TokenVerifier};
use crate::domain::access::principal::Principal;
use crate::infrastructure::config::{ConfigError, JwtConfig};

/// Longer than any honest token, and short enough to cost nothing.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Verifies tokens with what is configured: a secret, a public key, keys that an issuer publishes, or several of these.
pub struct JwtVerifier {
    secret: Option<VerifyingKey>,
    public_key: Option<VerifyingKey>,
    published_keys: Option<PublishedKeys>,
    rules: ClaimRules,
    clock: Arc<dyn Clock>,
}

/// What matters of a token's first part. The library's own type refuses a `kid` that is a number.
#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    kid: Option<Value>,
    crit: Option<Value>,
}

fn header(token: &str) -> Option<Header> {
    let (header, rest) = token.split_once('.')?;
    let has_three_parts = rest.bytes().filter(|byte| *byte == b'.').count() == 1;
    has_three_parts.then(|| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()).flatten()
}

impl JwtVerifier {
    /// # Errors
    /// When a key cannot be used.
    pub fn new(config: &JwtConfig, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        let public_key = config.public_key.as_deref().map(VerifyingKey::from_pem).transpose();
        let published_keys = config.jwks_url.clone().map(|url| PublishedKeys::new(url, clock.clone())).transpose()?;
        Ok(Self {
            secret: config.secret.as_deref().map(VerifyingKey::secret),
            public_key: public_key.map_err(|error| ConfigError::new("JWT_PUBLIC_KEY", error.to_string()))?,
            published_keys,
            rules: ClaimRules::new(config),
            clock,
        })
    }

    async fn open(&self, token: &str) -> Result<Map<String, Value>, TokenError> {
        let header = header(token)
            .ok_or_else(|| invalid("the token cannot be read as a JWT signed with HS256, RS256, ES256 or EdDSA"))?;
        if header.crit.is_some() {
            return Err(invalid("the token has critical extensions, and none is known here"));
        }
        match header.alg {
            Algorithm::HS256 => {
                let secret =
                    self.secret.as_ref().ok_or_else(|| invalid("tokens signed with HS256 are not accepted"))?;
                secret.open(token).ok_or_else(forged)
            }
            algorithm @ (Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA) => {
                let fitting = self.public_key.as_ref().filter(|key| key.algorithm() == algorithm);
                if let Some(claims) = fitting.and_then(|key| key.open(token)) {
                    return Ok(claims);
                }
                match (&self.published_keys, fitting) {
                    (Some(keys), _) => {
                        let kid = header.kid.as_ref().and_then(kid);
                        keys.open(token, kid.as_deref(), algorithm).await
                    }
                    (None, Some(_)) => Err(forged()),
                    (None, None) => Err(invalid("tokens signed with this algorithm are not accepted")),
                }
            }
            _ => Err(invalid("tokens signed with this algorithm are not accepted")),
        }
    }
}

#[async_trait]
impl TokenVerifier for JwtVerifier {
    async fn verify(&self, token: &str) -> Result<Principal, TokenError> {
        if self.secret.is_none() && self.public_key.is_none() && self.published_keys.is_none() {
            return Err(invalid("only API keys are accepted: nothing is configured to verify tokens with"));
        }
        if token.len() > LONGEST_TOKEN {
            return Err(invalid("the token is longer than 16 KiB"));
        }
        let claims = self.open(token).await?;
        self.rules.principal(&claims, self.clock.now())
    }
}

#[cfg(test)]
#[path = "jwt_verifier_tests.rs"]
mod tests;
