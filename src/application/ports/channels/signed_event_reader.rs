use std::collections::BTreeMap;

use super::ProviderEvent;
use crate::domain::Timestamp;
use crate::domain::instance::InstanceId;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::Credentials;

/// Reads what a channel's provider reports of several instances together, named by their addresses, and signs as a whole with a
/// secret that is among the credentials of each.
///
/// Reports are untrusted until [`is_signed`](Self::is_signed) says otherwise; what is not understood is passed over.
pub trait SignedEventReader: Send + Sync {
    fn channel(&self) -> ChannelName;

    /// The addresses that a report speaks of, each once, in its order. Also of a report that nobody has signed.
    fn addresses(&self, body: &[u8]) -> Vec<String>;

    /// Whether this is the signature of the body by the secret among these credentials; compared in constant time.
    fn is_signed(&self, credentials: &Credentials, signature: &str, body: &[u8]) -> bool;

    /// The token, among these credentials, with which the provider asks where to report to.
    fn token(&self, credentials: &Credentials) -> Option<String>;

    /// What follows from a report for these instances, by their addresses, in its order.
    fn read(
        &self,
        instances: &BTreeMap<String, Vec<InstanceId>>,
        body: &[u8],
        now: Timestamp,
    ) -> Vec<(InstanceId, ProviderEvent)>;
}
