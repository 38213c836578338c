use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::try_join_all;
use tracing::{debug, error};

use super::receive_events::{ReceiveEvents, ReceiveEventsError};
use super::shake_hands::ShakeHands;
use crate::application::ports::{
    Channels, Clock, CredentialsCipher, InstanceRepository, ProviderEvent, RepositoryError, SignedEventReader,
};
use crate::domain::instance::credentials::{Credentials, SealedCredentials};
use crate::domain::instance::{Instance, InstanceId};

/// Takes what a provider reports of several instances together and signs with a secret that is among their credentials.
///
/// Whoever let the report in, an event goes to every instance of its address whose own secret has signed it, of whatever
/// tenant: none is told what others' providers say.
pub struct ReceiveSignedEvents {
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub events: Arc<ReceiveEvents>,
    pub handshakes: ShakeHands,
    pub clock: Arc<dyn Clock>,
}

/// A report as it came.
#[derive(Clone, Copy)]
pub struct SignedReport<'a> {
    pub signature: &'a str,
    pub body: &'a [u8],
    /// Larger than what is taken: it is passed over once it is proved.
    pub is_too_large: bool,
}

/// Of a report that nobody has proved yet: so many of its addresses are looked up for one that is known.
const TRIED: usize = 16;

/// Of a report that was let in: each is looked up. Meta puts at most a thousand changes into one.
const MOST_ADDRESSES: usize = 1_000;

impl ReceiveSignedEvents {
    /// The instances of this name, of whatever tenant, whose provider signs.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn named(&self, channel_instance_id: &str) -> Result<Vec<Instance>, ReceiveEventsError> {
        let (mut named, mut after) = (Vec::new(), None);
        loop {
            let page = self.instances.named(channel_instance_id, after).await?;
            let signs = |instance: &Instance| self.channels.signed_event_reader(&instance.channel).is_some();
            named.extend(page.instances.into_iter().filter(signs));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        if named.is_empty() { Err(ReceiveEventsError::NotLetIn) } else { Ok(named) }
    }

    /// Takes a report that one of these instances lets in by its secret. What it says is on disk once this returns.
    ///
    /// # Errors
    /// When none does, or the database does not answer: the provider is to say it again.
    pub async fn take(&self, named: &[Instance], report: SignedReport<'_>) -> Result<(), ReceiveEventsError> {
        for instance in named {
            if let Some(reader) = self.channels.signed_event_reader(&instance.channel)
                && self.has_signed(reader.as_ref(), instance, report)
            {
                return self.distribute(reader.as_ref(), report).await;
            }
        }
        Err(ReceiveEventsError::NotLetIn)
    }

    /// Takes a report that names no instance but in what it says: the first address in it lets it in of which an instance has the
    /// secret. One whose secret does not fit decides nothing: it may be another tenant's.
    ///
    /// # Errors
    /// As above.
    pub async fn take_of_app(&self, report: SignedReport<'_>) -> Result<(), ReceiveEventsError> {
        for reader in self.channels.signed_event_readers() {
            for address in reader.addresses(report.body).iter().take(TRIED) {
                if self.is_signed_by_one(reader.as_ref(), address, report).await? {
                    return self.distribute(reader.as_ref(), report).await;
                }
            }
        }
        Err(ReceiveEventsError::NotLetIn)
    }

    async fn distribute(
        &self,
        reader: &dyn SignedEventReader,
        report: SignedReport<'_>,
    ) -> Result<(), ReceiveEventsError> {
        if report.is_too_large {
            self.events.pass_over(&reader.channel().to_string());
            return Ok(());
        }
        let mut proved: BTreeMap<InstanceId, Instance> = BTreeMap::new();
        let mut by_address: BTreeMap<String, Vec<InstanceId>> = BTreeMap::new();
        let addresses = reader.addresses(report.body);
        if addresses.len() > MOST_ADDRESSES {
            error!(
                channel = %reader.channel(),
                addresses = addresses.len(),
                "a report is of more numbers than are looked up: what it says of those beyond {MOST_ADDRESSES} is lost; have the provider send smaller batches"
            );
        }
        for address in addresses.into_iter().take(MOST_ADDRESSES) {
            let signed = self.that_have_signed(reader, &address, report).await?;
            by_address.insert(address, signed.iter().map(|instance| instance.id).collect());
            proved.extend(signed.into_iter().map(|instance| (instance.id, instance)));
        }
        let mut events: BTreeMap<InstanceId, Vec<ProviderEvent>> = BTreeMap::new();
        for (instance, event) in reader.read(&by_address, report.body, self.clock.now()) {
            events.entry(instance).or_default().push(event);
        }
        let taken = events.into_iter().filter_map(|(id, events)| Some((proved.get(&id)?, events)));
        try_join_all(taken.map(|(instance, events)| self.events.take_events(instance, events))).await?;
        Ok(())
    }

    /// Whether one of the instances of this address has.
    async fn is_signed_by_one(
        &self,
        reader: &dyn SignedEventReader,
        address: &str,
        report: SignedReport<'_>,
    ) -> Result<bool, RepositoryError> {
        let mut after = None;
        loop {
            let page = self.instances.addressed(&reader.channel(), address, after).await?;
            if page.instances.iter().any(|instance| self.has_signed(reader, instance, report)) {
                return Ok(true);
            }
            after = page.next;
            if after.is_none() {
                return Ok(false);
            }
        }
    }

    /// Of the instances of this address, of whatever tenant, those whose secrets have.
    async fn that_have_signed(
        &self,
        reader: &dyn SignedEventReader,
        address: &str,
        report: SignedReport<'_>,
    ) -> Result<Vec<Instance>, RepositoryError> {
        let (mut signed, mut after) = (Vec::new(), None);
        loop {
            let page = self.instances.addressed(&reader.channel(), address, after).await?;
            signed.extend(page.instances.into_iter().filter(|instance| self.has_signed(reader, instance, report)));
            after = page.next;
            if after.is_none() {
                return Ok(signed);
            }
        }
    }

    fn has_signed(&self, reader: &dyn SignedEventReader, instance: &Instance, report: SignedReport<'_>) -> bool {
        let credentials = self.open(instance.id, &instance.credentials);
        credentials.is_some_and(|credentials| reader.is_signed(&credentials, report.signature, report.body))
    }

    fn open(&self, instance: InstanceId, sealed: &SealedCredentials) -> Option<Credentials> {
        let opened = self.cipher.open(instance, sealed);
        opened.inspect_err(|error| debug!(instance.id = %instance, %error, "the credentials cannot be opened")).ok()
    }
}
