//! How often a caller may ask.

use std::time::Duration;

use super::principal::Principal;

/// The time in which requests are counted, from the first of them on.
pub const MINUTE: Duration = Duration::from_secs(60);

/// The limits of an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Requests that one address may make in a minute.
    pub per_address: u32,
    /// Requests that the holder of one key or token may make in a minute, unless the key has a limit of its own.
    pub per_key: u32,
    /// Requests that one caller may make in a second.
    pub burst: u32,
}

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Counted(String);

impl Counted {
    /// All that come from an address.
    pub fn address(address: &str) -> Self {
        Self(format!("address {address}"))
    }

    /// All that one key, or the tokens of one subject, are presented with.
    pub fn caller(caller: &Principal) -> Self {
        Self(format!("caller {} {}", caller.tenant, caller.subject))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}
