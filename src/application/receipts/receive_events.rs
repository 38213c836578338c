use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use sha2::{Digest, Sha256};
use tracing::{debug, info};

use super::receive_receipts::ReceiveReceipts;
use crate::application::delivery::admission::Admission;
use crate::application::ports::{
    Channels, Clock, CredentialsCipher, InstanceRepository, ProviderEvent, RepositoryError, Tasks,
};
use crate::domain::instance::{ConnectionStatus, Instance, InstanceChange, InstanceId};
use crate::domain::receipt::Receipt;

/// Takes what a provider reports of an instance: receipts of its messages, and how it is connected.
pub struct ReceiveEvents {
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub receipts: ReceiveReceipts,
    pub admission: Admission,
    pub clock: Arc<dyn Clock>,
    pub tasks: Arc<dyn Tasks>,
    /// Reports without a secret are taken, too.
    pub is_open: bool,
    pub noted: NotedConnections,
}

/// When the connection of an instance was last written. Copies share it.
#[derive(Clone, Default)]
pub struct NotedConnections(Arc<Mutex<HashMap<InstanceId, Duration>>>);

/// Some providers report hundreds a minute.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// More instances that write within a second are not kept apart.
const MOST_NOTED: usize = 10_000;

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
        let mut receipts = Vec::new();
        let mut connection = None;
        for event in reader.read(instance.id, body, self.clock.now()) {
            match event {
                ProviderEvent::Receipt(receipt) => receipts.push(receipt),
                ProviderEvent::Connection(status) => connection = Some(status),
            }
        }
        if !receipts.is_empty() {
            self.receipts.keep(&receipts).await?;
            self.apply(receipts);
        }
        if let Some(status) = connection {
            self.note(&instance, status).await;
        }
        Ok(())
    }

    fn apply(&self, receipts: Vec<Receipt>) {
        let apply = self.receipts.clone();
        self.tasks.spawn(
            async move {
                for receipt in receipts {
                    apply.apply(&receipt.of).await;
                }
            }
            .boxed(),
        );
    }

    /// Not written when it says what is known, nor more often than once a second: the next report, or a look, mends it.
    async fn note(&self, instance: &Instance, status: ConnectionStatus) {
        if status == ConnectionStatus::Connected {
            self.admission.let_in(instance.id);
        }
        if instance.status == status || !self.noted.may_note(instance.id, self.clock.monotonic()) {
            return;
        }
        let change = InstanceChange { status: Some(status), ..InstanceChange::default() };
        match self.instances.update(&instance.tenant, instance.id, &change, self.clock.now()).await {
            Ok(_) => {
                info!(instance.id = %instance.id, status = status.as_str(), "the instance's connection has changed")
            }
            Err(error) => debug!(instance.id = %instance.id, %error, "the instance's connection could not be noted"),
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

impl NotedConnections {
    fn may_note(&self, instance: InstanceId, now: Duration) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= MOST_NOTED {
            noted.retain(|_, at| now.saturating_sub(*at) < SHORTEST_PAUSE);
        }
        if noted.get(&instance).is_some_and(|at| now.saturating_sub(*at) < SHORTEST_PAUSE) {
            return false;
        }
        noted.insert(instance, now);
        true
    }
}
