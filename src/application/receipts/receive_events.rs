use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tracing::{debug, info, warn};

use super::heard_instances::HeardInstances;
use super::noted_connections::{NotedConnections, Noting};
use super::noted_receipts::NotedReceipts;
use super::receive_receipts::ReceiveReceipts;
use super::refused_names::RefusedNames;
use crate::application::delivery::admission::Admission;
use crate::application::inbound::ReceiveMessages;
use crate::application::instances::EventSecrets;
use crate::application::ports::{
    Channels, Clock, CredentialsCipher, InstanceRepository, ProviderEvent, ReportedSends, RepositoryError, Tasks,
};
use crate::domain::Timestamp;
use crate::domain::instance::{ConnectionStatus, Instance, InstanceChange};
use crate::domain::receipt::{ChannelMessage, Receipt};

/// Takes what a provider reports of an instance: receipts of its messages, messages that were written to it, and how it is
/// connected.
pub struct ReceiveEvents {
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub secrets: EventSecrets,
    pub receipts: ReceiveReceipts,
    pub inbound: ReceiveMessages,
    pub sends: Arc<dyn ReportedSends>,
    pub admission: Admission,
    pub clock: Arc<dyn Clock>,
    pub tasks: Arc<dyn Tasks>,
    /// Reports without a secret are taken, too.
    pub is_open: bool,
    pub refused: RefusedNames,
    /// Whose reports were too large.
    pub passed_over: RefusedNames,
    pub noted: NotedConnections,
    pub noted_receipts: NotedReceipts,
    pub heard: HeardInstances,
}

/// Of one report: they share transactions, and leave room for what others report.
const APPLIED_AT_ONCE: usize = 32;

/// Likewise, each in a transaction of its own.
const KEPT_AT_ONCE: usize = 4;

#[derive(Debug, thiserror::Error)]
pub enum ReceiveEventsError {
    /// An unknown instance, and a wrong secret, alike.
    #[error("no instance of this name has this secret")]
    NotLetIn,
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ReceiveEvents {
    /// The instance that may be reported about: of any tenant, by its name and the secret that came with the report.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn let_in(
        &self,
        channel_instance_id: &str,
        secret: Option<&str>,
    ) -> Result<Instance, ReceiveEventsError> {
        let reports = |instance: &Instance| self.channels.event_reader(&instance.channel).is_some();
        if let Some(secret) = secret {
            let digest = Sha256::digest(secret).into();
            let found = self.instances.by_event_secret(channel_instance_id, &digest, self.clock.now()).await?;
            if let Some(instance) = found.filter(reports) {
                return Ok(instance);
            }
        } else if !self.is_open {
            return Err(ReceiveEventsError::NotLetIn);
        }
        // Two are as many as any number.
        let (mut some, mut after) = (Vec::new(), None);
        loop {
            let page = self.instances.named(channel_instance_id, after).await?;
            let named: Vec<Instance> = page.instances.into_iter().filter(reports).collect();
            if let Some(secret) = secret
                && let Some(instance) = named.iter().find(|instance| self.has(instance, secret))
            {
                return Ok(instance.clone());
            }
            some.extend(named.into_iter().take(2_usize.saturating_sub(some.len())));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        match some.as_slice() {
            [only] if self.is_open => Ok(only.clone()),
            [_, _, ..] if self.is_open => {
                // Which of them is meant would be a guess.
                if self.refused.is_news(channel_instance_id) {
                    warn!(
                        channel_instance_id,
                        "reports without a secret are refused: several instances have this name, whatever PROVIDER_WEBHOOKS_OPEN says"
                    );
                }
                Err(ReceiveEventsError::NotLetIn)
            }
            _ => Err(ReceiveEventsError::NotLetIn),
        }
    }

    /// A report that was proved is larger than what is taken: its provider would repeat it in vain if it were refused, and some of
    /// them hold back what follows meanwhile.
    pub fn pass_over(&self, reported_of: &str) {
        if self.passed_over.is_news(reported_of) {
            warn!(
                reported_of,
                "reports that are larger than MAX_BODY_BYTES are passed over: what they say of messages is lost; raise it, or have the provider leave out media (base64)"
            );
        }
    }

    /// Takes a report of an instance that was let in. What it says is on disk once this returns, and is applied behind it.
    ///
    /// # Errors
    /// When the database does not answer: the provider is to say it again.
    pub async fn take(&self, instance: Instance, body: &[u8]) -> Result<(), ReceiveEventsError> {
        let Some(reader) = self.channels.event_reader(&instance.channel) else { return Ok(()) };
        self.take_events(&instance, reader.read(instance.id, body, self.clock.now())).await
    }

    /// Takes what was read of a report of this instance, as above.
    ///
    /// # Errors
    /// As above.
    pub async fn take_events(&self, instance: &Instance, events: Vec<ProviderEvent>) -> Result<(), ReceiveEventsError> {
        self.heard.heard(instance.id, self.clock.monotonic());
        let mut receipts = Vec::new();
        let (mut messages, mut sends, mut connection, mut is_seen) = (Vec::new(), Vec::new(), None, false);
        for event in events {
            match event {
                ProviderEvent::Receipt(receipt) => receipts.push(receipt),
                ProviderEvent::Connection(status) => connection = Some(status),
                ProviderEvent::Seen => is_seen = true,
                ProviderEvent::Sent(sent) => sends.push(*sent),
                ProviderEvent::Message(message) => messages.push(*message),
            }
        }
        if !receipts.is_empty() {
            self.receipts.keep(&receipts).await?;
            self.noted_receipts.came(instance.id, self.clock.now());
            self.apply(receipts);
        }
        let now = self.clock.now();
        let keeping: Vec<_> = sends.iter().map(|sent| self.sends.keep(sent, now)).collect();
        stream::iter(keeping).buffer_unordered(KEPT_AT_ONCE).try_collect::<()>().await?;
        if !messages.is_empty() {
            self.inbound.keep(instance, messages).await?;
        }
        match connection {
            Some(status) => {
                let was_off = status == ConnectionStatus::Connected && self.admission.is_connected(instance.id);
                self.note(instance, status, was_off).await
            }
            None if is_seen => {
                let was_off = self.admission.is_seen(instance.id);
                self.note(instance, ConnectionStatus::Connected, was_off).await
            }
            None => Ok(()),
        }?;
        Ok(())
    }

    fn apply(&self, receipts: Vec<Receipt>) {
        let apply = self.receipts.clone();
        self.tasks.spawn(
            async move {
                let names: HashSet<ChannelMessage> = receipts.into_iter().map(|receipt| receipt.of).collect();
                let apply = |of: ChannelMessage| {
                    let apply = &apply;
                    async move { apply.apply(&of).await }
                };
                stream::iter(names).for_each_concurrent(APPLIED_AT_ONCE, apply).await;
            }
            .boxed(),
        );
    }

    /// Not written when it says what is known, unless it ends a wait: other processes learn from the row that it is over. At most
    /// one a second is written, and the last of what comes meanwhile after it.
    async fn note(
        &self,
        instance: &Instance,
        status: ConnectionStatus,
        ends_a_wait: bool,
    ) -> Result<(), RepositoryError> {
        match self.noted.note(instance.id, instance.status, status, self.clock.monotonic()) {
            Noting::Known if ends_a_wait => {
                write_status(self.instances.as_ref(), instance, status, self.clock.now()).await
            }
            Noting::Known | Noting::IsWaiting => Ok(()),
            Noting::Now => {
                if status == ConnectionStatus::Connected {
                    self.admission.returned().returned(instance.id);
                }
                let written = write_status(self.instances.as_ref(), instance, status, self.clock.now()).await;
                // It is said again, and is news then.
                written.inspect_err(|_| self.noted.forget(instance.id))
            }
            Noting::In(pause) => {
                self.tasks.spawn(self.noted_later(instance.clone(), pause).boxed());
                Ok(())
            }
        }
    }

    fn noted_later(&self, instance: Instance, pause: Duration) -> impl Future<Output = ()> + Send + use<> {
        let (instances, clock, noted) = (self.instances.clone(), self.clock.clone(), self.noted.clone());
        let returned = self.admission.returned().clone();
        async move {
            clock.sleep(pause).await;
            let Some(status) = noted.last(instance.id, clock.monotonic()) else { return };
            if status == ConnectionStatus::Connected {
                returned.returned(instance.id);
            }
            if let Err(error) = write_status(instances.as_ref(), &instance, status, clock.now()).await {
                warn!(instance.id = %instance.id, %error, "the instance's connection could not be noted");
            }
        }
    }

    /// Of one that got its secret before instances were found by it: from now on it is. Compared by their digests, so that the time
    /// it takes says nothing about either.
    fn has(&self, instance: &Instance, secret: &str) -> bool {
        let Some(sealed) = &instance.event_secret else { return false };
        let digest = Sha256::digest(secret);
        match self.cipher.open(instance.id, sealed) {
            Ok(stored) if Sha256::digest(stored.expose()) == digest => {
                let (secrets, instance, sealed) = (self.secrets.clone(), instance.clone(), sealed.clone());
                let note = async move {
                    if let Err(error) = secrets.note_digest(&instance, &sealed, digest.into()).await {
                        debug!(instance.id = %instance.id, %error, "the digest of the secret of its events could not be noted");
                    }
                };
                self.tasks.spawn(note.boxed());
                true
            }
            Ok(_) => false,
            Err(error) => {
                debug!(instance.id = %instance.id, %error, "the secret of the instance's events cannot be opened");
                false
            }
        }
    }
}

async fn write_status(
    instances: &dyn InstanceRepository,
    instance: &Instance,
    status: ConnectionStatus,
    now: Timestamp,
) -> Result<(), RepositoryError> {
    let change = InstanceChange { status: Some(status), ..InstanceChange::default() };
    instances.update(&instance.tenant, instance.id, &change, now).await?;
    info!(instance.id = %instance.id, status = status.as_str(), "the instance's connection has changed");
    Ok(())
}
