use std::sync::Arc;
use std::time::Duration;

use super::ConfiguredSubscription;
use super::secrets;
use super::webhook::{check_secret, check_url, sender};
use crate::application::access::met_tenants::MetTenants;
use crate::application::delivery::admission::Admission;
use crate::application::ports::{
    Channels, CipherError, Clock, CredentialsCipher, NewCredentials, RepositoryError, StatusSubscriptions,
};
use crate::domain::access::principal::Principal;
use crate::domain::instance::InstanceId;
use crate::domain::problem::FieldProblem;
use crate::domain::status_webhook::{States, StatusSubscription};

/// Changes a subscription, and gives it another secret.
pub struct ChangeSubscription {
    pub subscriptions: Arc<dyn StatusSubscriptions>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub clock: Arc<dyn Clock>,
    pub tenants: MetTenants,
    pub admission: Admission,
    /// How long a secret that was replaced signs beside the new one.
    pub overlap: Duration,
}

/// What is `None` stays; what is `Some(None)` is cleared.
#[derive(Clone, Debug, Default)]
pub struct ChangeSubscriptionCommand {
    pub url: Option<String>,
    /// Cleared: another one is made up.
    pub secret: Option<Option<String>>,
    pub states: Option<States>,
    pub channel_instance_id: Option<Option<String>>,
}

#[derive(Debug, thiserror::Error)]
pub enum ChangeSubscriptionError {
    #[error("the request has {} problem(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// Also for a subscription of another tenant.
    #[error("there is no such subscription")]
    Unknown,
    /// Others were always faster.
    #[error("the subscription is being changed by others")]
    Contended,
    #[error(transparent)]
    Cipher(#[from] CipherError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

/// Another change may come in between so often.
const TRIES: u32 = 10;

impl ChangeSubscription {
    /// Of two changes at the same time the second is made of what the first left: so a secret that one of them gives signs beside
    /// that of the other.
    ///
    /// # Errors
    /// When a member is invalid, the tenant has no such subscription, nothing can be sealed, or the database does not answer.
    pub async fn execute(
        &self,
        caller: &Principal,
        id: InstanceId,
        command: ChangeSubscriptionCommand,
    ) -> Result<ConfiguredSubscription, ChangeSubscriptionError> {
        self.tenants.met(&caller.tenant);
        let new = self.check(&command)?;
        for _ in 0..TRIES {
            let found = self.subscriptions.find(&caller.tenant, id).await?.ok_or(ChangeSubscriptionError::Unknown)?;
            let mut changed = self.changed(found, &command, new.as_ref())?;
            if self.subscriptions.update(&changed).await? {
                changed.version += 1;
                // What kept it from being called may be mended.
                self.admission.let_in(id);
                let revealed = new.and_then(|new| new.reveal.and_then(|_| secrets::present(&new.credentials)));
                return Ok(ConfiguredSubscription { subscription: changed, revealed_secret: revealed });
            }
        }
        Err(ChangeSubscriptionError::Contended)
    }

    fn check(&self, command: &ChangeSubscriptionCommand) -> Result<Option<NewCredentials>, ChangeSubscriptionError> {
        let sender = sender(&self.channels).map_err(|problem| ChangeSubscriptionError::Invalid(vec![problem]))?;
        let url = command.url.as_deref().map(|url| check_url(sender, url)).transpose();
        let mut problems = url.err().unwrap_or_default();
        let secret = command.secret.as_ref().map(|secret| check_secret(sender, secret.as_deref())).transpose();
        match secret {
            Ok(new) if problems.is_empty() => Ok(new),
            secret => {
                problems.extend(secret.err().into_iter().flatten());
                Err(ChangeSubscriptionError::Invalid(problems))
            }
        }
    }

    fn changed(
        &self,
        mut found: StatusSubscription,
        command: &ChangeSubscriptionCommand,
        new: Option<&NewCredentials>,
    ) -> Result<StatusSubscription, ChangeSubscriptionError> {
        let now = self.clock.now();
        if let Some(new) = new {
            let credentials = match self.cipher.open(found.id, &found.credentials) {
                Ok(present) => secrets::rotated(&present, &new.credentials, self.overlap, now),
                // No key at hand opens it: it signs nothing here, and a new one mends that.
                Err(_) => new.credentials.clone(),
            };
            found.credentials = self.cipher.seal(found.id, &credentials)?;
        }
        if let Some(url) = &command.url {
            found.url.clone_from(url);
        }
        if let Some(states) = &command.states {
            found.states = states.clone();
        }
        if let Some(name) = &command.channel_instance_id {
            found.channel_instance_id.clone_from(name);
        }
        found.updated_at = now.max(found.updated_at);
        Ok(found)
    }
}
