//! To whom a broadcast goes, and what fills its texts.

use std::collections::BTreeMap;

/// A recipient, as it was fixed with the broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BroadcastRecipient {
    /// Where the message goes on the channel.
    pub address: String,
    /// What fills the texts.
    pub variables: BTreeMap<String, String>,
}

impl BroadcastRecipient {
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), variables: BTreeMap::new() }
    }
}
