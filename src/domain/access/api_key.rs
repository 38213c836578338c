use uuid::Uuid;

use super::principal::{Principal, Scope, Tenant};
use crate::domain::Timestamp;

/// An API key as it is stored: never the key itself.
#[derive(Clone, Debug)]
pub struct ApiKey {
    pub id: Uuid,
    pub tenant: Tenant,
    pub name: String,
    /// The first characters of the key, by which people distinguish keys.
    pub prefix: String,
    /// SHA-256 of the key's bytes. A fast hash is enough: the keys we make have 256 random bits.
    pub hash: [u8; 32],
    pub scopes: Vec<Scope>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    /// How often it may be used in a minute, where requests are counted; none: as the installation says.
    pub requests_per_minute: Option<u32>,
}

impl ApiKey {
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expiry| now < expiry)
    }

    pub fn principal(&self) -> Principal {
        Principal { tenant: self.tenant.clone(), subject: format!("key:{}", self.id), scopes: self.scopes.clone() }
    }
}

/// The shortest key. Those that we make are longer, an operator may choose one.
pub const SHORTEST: usize = 32;

/// Whether a text can be a key at all: [`SHORTEST`] or more visible ASCII characters.
pub fn has_form(key: &str) -> bool {
    key.len() >= SHORTEST && key.bytes().all(|byte| byte.is_ascii_graphic())
}

/// SHA-256 of a key's text, as [`ApiKey::hash`] has it.
pub fn hash(key: &str) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(key.as_bytes()).into()
}
