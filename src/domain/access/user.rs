use uuid::Uuid;

use super::principal::{Principal, Scope, Tenant};
use crate::domain::Timestamp;
use crate::domain::text::{InvalidText, bounded};

/// What the subject of a user's tokens begins with; the user's id follows.
const SUBJECT: &str = "user:";

/// A person or a system that signs in with a name and a password. Names are unique in an installation, whatever the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: Uuid,
    pub tenant: Tenant,
    pub name: String,
    /// As argon2 writes it (PHC), with its parameters and its salt.
    pub password_hash: String,
    pub scopes: Vec<Scope>,
    pub created_at: Timestamp,
    pub disabled_at: Option<Timestamp>,
}

impl User {
    /// # Errors
    /// When the name is empty, longer than 255 characters, or has a control character.
    pub fn parse_name(text: String) -> Result<String, InvalidText> {
        let name = bounded(text, 255)?;
        if name.chars().any(char::is_control) { Err(InvalidText::Nul) } else { Ok(name) }
    }

    pub fn principal(&self) -> Principal {
        Principal { tenant: self.tenant.clone(), subject: format!("{SUBJECT}{}", self.id), scopes: self.scopes.clone() }
    }

    /// The user that the subject of a token names, if it names one.
    pub fn id_in(subject: &str) -> Option<Uuid> {
        let id = subject.strip_prefix(SUBJECT)?;
        id.parse::<uuid::fmt::Hyphenated>().ok().map(Uuid::from)
    }
}
