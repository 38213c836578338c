use std::time::Duration;

use async_trait::async_trait;

use super::Account;
use crate::domain::group::GroupKind;
use crate::domain::group::member::Identifier;
use crate::domain::instance::channel::ChannelName;

/// A channel whose provider has groups of its own.
#[async_trait]
pub trait GroupDirectory: Send + Sync {
    fn channel(&self) -> ChannelName;

    /// The kind of its groups.
    fn kind(&self) -> GroupKind;

    /// How long a call may take at the most.
    fn longest_call(&self) -> Duration;

    /// All groups of an instance, and who is in them. A person whom the provider hides behind a name of its own is known by their
    /// number where it gives that.
    ///
    /// # Errors
    /// A sentence, which holds no credential.
    async fn groups(&self, account: &Account) -> Result<ProvidedGroups, String>;
}

/// What a provider answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProvidedGroups {
    pub groups: Vec<ProviderGroup>,
    /// How many of it are none that can be read: which groups the provider has no more is not known then.
    pub unreadable: usize,
}

/// A group as its provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderGroup {
    pub external_id: String,
    pub name: String,
    /// Compact JSON text of an object.
    pub metadata: String,
    /// In the provider's order; no two have the same identifier.
    pub participants: Vec<Participant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    pub identifier: Identifier,
    pub name: String,
    /// Compact JSON text of an object.
    pub metadata: String,
}
