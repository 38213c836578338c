use std::fmt;
use std::str::FromStr;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    All,
    Api,
    Worker,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::All, Role::Api, Role::Worker];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::All => "all",
            Role::Api => "api",
            Role::Worker => "worker",
        }
    }

    /// Whether the process serves the API.
    pub fn accepts(self) -> bool {
        self != Role::Worker
    }

    /// Whether the process calls channels for others.
    pub fn delivers(self) -> bool {
        self != Role::Api
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a role is one of all, api, worker")]
pub struct UnknownRole;
