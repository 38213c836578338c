use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::claims::is_subject;
use super::credentials_cipher;
use crate::application::ports::TokenIssuer;
use crate::domain::Timestamp;
use crate::domain::access::principal::{Principal, Scope, Tenant};
use crate::infrastructure::config::{Config, ConfigError, JwtConfig};

/// Signs tokens that this installation's own [`JwtVerifier`](super::JwtVerifier) accepts.
pub struct TokenSigner {
    key: EncodingKey,
    issuer: Option<String>,
    audience: Option<String>,
    tenant_claim: String,
    user_claim: String,
}

/// What a token is to say.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    pub tenant: Tenant,
    pub subject: String,
    /// None: all that the tenant may, except administer.
    pub scopes: Option<Vec<Scope>>,
    pub ttl: Duration,
}

#[derive(Debug, thiserror::Error)]
pub enum SignTokenError {
    #[error("a subject has 1 to 255 characters, none of them a control character")]
    Subject,
    #[error("the tenant's claim, `{0}`, already says something else")]
    TenantClaim(String),
    #[error("a token lives for at least a second")]
    TooShort,
    #[error("the token cannot be signed")]
    Signature,
}

impl TokenSigner {
    /// # Errors
    /// Without `JWT_SECRET`.
    pub fn new(config: &JwtConfig) -> Result<Self, ConfigError> {
        let Some(secret) = &config.secret else {
            return Err(ConfigError::new("JWT_SECRET", "must be set: tokens are signed with it"));
        };
        Ok(Self {
            key: EncodingKey::from_secret(secret),
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            tenant_claim: config.tenant_claim.clone(),
            user_claim: config.user_claim.clone(),
        })
    }

    /// # Errors
    /// When the token could not say all that it has to.
    pub fn sign(&self, request: &TokenRequest, now: Timestamp) -> Result<String, SignTokenError> {
        if !is_subject(&request.subject) {
            return Err(SignTokenError::Subject);
        }
        if request.ttl < Duration::from_secs(1) {
            return Err(SignTokenError::TooShort);
        }
        let mut claims = Map::new();
        for name in ["sub", self.user_claim.as_str()] {
            claims.insert(name.to_owned(), Value::from(request.subject.as_str()));
        }
        claims.insert("iat".to_owned(), Value::from(now.timestamp()));
        claims.insert("exp".to_owned(), Value::from((now + request.ttl).timestamp()));
        let scopes =
            request.scopes.as_ref().map(|scopes| scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>());
        for (name, value) in
            [("iss", self.issuer.clone()), ("aud", self.audience.clone()), ("scope", scopes.map(|it| it.join(" ")))]
        {
            if let Some(value) = value {
                claims.insert(name.to_owned(), Value::from(value));
            }
        }
        // JWT_TENANT_CLAIM may name one of the others, such as `sub` or `iss`; it cannot say two things.
        let tenant = Value::from(request.tenant.as_str());
        if claims.insert(self.tenant_claim.clone(), tenant.clone()).is_some_and(|other| other != tenant) {
            return Err(SignTokenError::TenantClaim(self.tenant_claim.clone()));
        }
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key).map_err(|_| SignTokenError::Signature)
    }
}

impl TokenIssuer for TokenSigner {
    fn issue(&self, principal: &Principal, lives: Duration, now: Timestamp) -> Result<String, String> {
        let request = TokenRequest {
            tenant: principal.tenant.clone(),
            subject: principal.subject.clone(),
            scopes: Some(principal.scopes.clone()),
            ttl: lives,
        };
        self.sign(&request, now).map_err(|error| error.to_string())
    }
}

/// Says what the key is for, so that nothing else that follows from the same key is the same.
const PURPOSE: &[u8] = b"correio: tokens of users who sign in, 1";

/// The configuration with a secret in any case: without `JWT_SECRET` one that follows from the key of the credentials, which
/// every process of an installation has. When that key is replaced, users sign in again.
///
/// # Errors
/// When there is no such key.
pub fn with_sign_in_secret(config: &Config) -> Result<JwtConfig, ConfigError> {
    let mut jwt = config.access.jwt.clone();
    if jwt.secret.is_none() {
        // The file is there: the cipher was made before.
        jwt.secret = credentials_cipher::keys(config, true)?.first().and_then(derived);
    }
    Ok(jwt)
}

/// None only for a key of a length that HMAC does not take, and it takes every one.
fn derived(key: &[u8; 32]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(PURPOSE);
    Some(mac.finalize().into_bytes().to_vec())
}
