//! The authenticated caller, its tenant and its scopes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Whose rows they are. A tenant is a name; one without rows is an empty tenant, not an error. Copies share it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// The tenant that every installation has.
    pub const DEFAULT: &'static str = "default";

    /// # Errors
    /// When the name is empty, longer than 255 characters, or has a control character.
    pub fn new(name: impl Into<Arc<str>>) -> Result<Self, InvalidTenant> {
        let name: Arc<str> = name.into();
        let length = name.chars().count();
        if length == 0 || length > 255 || name.chars().any(char::is_control) {
            return Err(InvalidTenant);
        }
        Ok(Self(name))
    }

    /// Stands in for the name of one in a row that cannot be read. No tenant has it.
    pub fn unreadable() -> Self {
        Self("".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a tenant's name has 1 to 255 characters, none of them a control character")]
pub struct InvalidTenant;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    MessagesWrite,
    MessagesRead,
    InstancesWrite,
    InstancesRead,
    TopicsWrite,
    TopicsRead,
    EventsWrite,
    EventsRead,
    Admin,
}

impl Scope {
    pub const ALL: [Scope; 9] = [
        Scope::MessagesWrite,
        Scope::MessagesRead,
        Scope::InstancesWrite,
        Scope::InstancesRead,
        Scope::TopicsWrite,
        Scope::TopicsRead,
        Scope::EventsWrite,
        Scope::EventsRead,
        Scope::Admin,
    ];

    /// All that keys and tokens could do before there were events.
    const BEFORE_EVENTS: [Scope; 4] =
        [Scope::MessagesWrite, Scope::MessagesRead, Scope::InstancesWrite, Scope::InstancesRead];

    pub fn as_str(self) -> &'static str {
        match self {
            Scope::MessagesWrite => "messages:write",
            Scope::MessagesRead => "messages:read",
            Scope::InstancesWrite => "instances:write",
            Scope::InstancesRead => "instances:read",
            Scope::TopicsWrite => "topics:write",
            Scope::TopicsRead => "topics:read",
            Scope::EventsWrite => "events:write",
            Scope::EventsRead => "events:read",
            Scope::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

#[derive(Debug, thiserror::Error)]
#[error(
    "unknown scope `{0}`; known scopes: messages:write, messages:read, instances:write, instances:read, topics:write, \
     topics:read, events:write, events:read, admin"
)]
pub struct UnknownScope(String);

/// The authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub tenant: Tenant,
    /// A JWT's `sub`, or `key:<id>`.
    pub subject: String,
    pub scopes: Vec<Scope>,
}

/// What a caller would have to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this needs the scope {0}")]
pub struct MissingScope(pub Scope);

impl Principal {
    /// # Errors
    /// The scope that is missing.
    pub fn must(&self, scope: Option<Scope>) -> Result<(), MissingScope> {
        scope.filter(|scope| !self.may(*scope)).map_or(Ok(()), |scope| Err(MissingScope(scope)))
    }

    /// One that may do all that there was before events may report and read these, too: the keys of an installation that is
    /// older than they are need not be replaced.
    pub fn may(&self, scope: Scope) -> bool {
        let is_new = matches!(scope, Scope::EventsWrite | Scope::EventsRead);
        let has_all_others = || Scope::BEFORE_EVENTS.iter().all(|other| self.scopes.contains(other));
        self.scopes.contains(&scope) || (is_new && has_all_others())
    }
}
