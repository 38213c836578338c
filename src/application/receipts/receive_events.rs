use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use sha2::{Digest, Sha256};
use tracing::{debug, info, warn};

use super::heard_instances::HeardInstances;
use super::noted_connections::{NotedConnections, Noting};
use super::receive_receipts::ReceiveReceipts;
use crate::application::delivery::admission::Admission;
use crate::application::inbound::ReceiveMessages;
use crate::application::ports::{
    Channels, Clock, CredentialsCipher, InstanceRepository, ProviderEvent, RepositoryError, Tasks,
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
    pub receipts: ReceiveReceipts,
    pub inbound: ReceiveMessages,
    pub admission: Admission,
    pub clock: Arc<dyn Clock>,
    pub tasks: Arc<dyn Tasks>,
    /// Reports without a secret are taken, too.
    pub is_open: bool,
    pub noted: NotedConnections,
    pub heard: HeardInstances,
}

/// Of one report: they share transactions, and leave room for what others report.
const APPLIED_AT_ONCE: usize = 32;

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
        if secret.is_none() && !self.is_open {
            return Err(ReceiveEventsError::NotLetIn);
        }
        let named = self.instances.named(channel_instance_id).await?;
        let reported = |instance: &&Instance| self.channels.event_reader(&instance.channel).is_some();
        let reporting: Vec<&Instance> = named.iter().filter(reported).collect();
        let has_secret = |instance: &&&Instance| secret.is_some_and(|secret| self.has(instance, secret));
        // Which of several is meant would be a guess.
        let only = || reporting.first().filter(|_| self.is_open && reporting.len() == 1);
        let found = reporting.iter().find(has_secret).or_else(only);
        found.map(|instance| Instance::clone(instance)).ok_or(ReceiveEventsError::NotLetIn)
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
        let (mut messages, mut connection) = (Vec::new(), None);
        for event in events {
            match event {
                ProviderEvent::Receipt(receipt) => receipts.push(receipt),
                ProviderEvent::Connection(status) => connection = Some(status),
                ProviderEvent::Message(message) => messages.push(*message),
            }
        }
        if !receipts.is_empty() {
            self.receipts.keep(&receipts).await?;
            self.apply(receipts);
        }
        if !messages.is_empty() {
            self.inbound.keep(instance, messages).await?;
        }
        if let Some(status) = connection {
            self.note(instance, status).await?;
        }
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

    /// Not written when it says what is known. At most one a second is written, and the last of what comes meanwhile after it.
    async fn note(&self, instance: &Instance, status: ConnectionStatus) -> Result<(), RepositoryError> {
        if status == ConnectionStatus::Connected {
            self.admission.let_in(instance.id);
        }
        match self.noted.note(instance.id, instance.status, status, self.clock.monotonic()) {
            Noting::Known | Noting::IsWaiting => Ok(()),
            Noting::Now => {
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
        async move {
            clock.sleep(pause).await;
            let Some(status) = noted.last(instance.id, clock.monotonic()) else { return };
            if let Err(error) = write_status(instances.as_ref(), &instance, status, clock.now()).await {
                warn!(instance.id = %instance.id, %error, "the instance's connection could not be noted");
            }
        }
    }

    /// Compared by their digests, so that the time it takes says nothing about either.
    fn has(&self, instance: &Instance, secret: &str) -> bool {
        let Some(sealed) = &instance.event_secret else { return false };
        match self.cipher.open(instance.id, sealed) {
            Ok(stored) => Sha256::digest(stored.expose()) == Sha256::digest(secret),
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
