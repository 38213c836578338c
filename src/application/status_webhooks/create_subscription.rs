use std::sync::Arc;

use super::secrets;
use super::webhook::{check_secret, check_url, sender};
use crate::application::access::met_tenants::MetTenants;
use crate::application::ports::{
    Channels, CipherError, Clock, CredentialsCipher, Ids, NewCredentials, RepositoryError, StatusSubscriptions,
};
use crate::domain::access::principal::Principal;
use crate::domain::instance::InstanceId;
use crate::domain::problem::FieldProblem;
use crate::domain::status_webhook::{States, StatusSubscription};

/// Subscribes a tenant to changes of its messages' states.
pub struct CreateSubscription {
    pub subscriptions: Arc<dyn StatusSubscriptions>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub tenants: MetTenants,
}

pub struct CreateSubscriptionCommand {
    pub url: String,
    /// None: one is made up.
    pub secret: Option<String>,
    pub states: States,
    pub channel_instance_id: Option<String>,
}

/// A subscription, and what its owner is shown this once.
#[derive(Debug)]
pub struct ConfiguredSubscription {
    pub subscription: StatusSubscription,
    /// One that was made up.
    pub revealed_secret: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateSubscriptionError {
    #[error("the request has {} problem(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    #[error("the tenant has as many as it may have")]
    TooMany,
    #[error(transparent)]
    Cipher(#[from] CipherError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl CreateSubscription {
    /// # Errors
    /// When a member is invalid, the tenant has as many as it may have, nothing can be sealed, or the database does not answer.
    pub async fn execute(
        &self,
        caller: &Principal,
        command: CreateSubscriptionCommand,
    ) -> Result<ConfiguredSubscription, CreateSubscriptionError> {
        let mut new = self.check(&command)?;
        // The addresses of a second tenant may be refused; a request that is refused anyway makes none.
        if self.tenants.met(&caller.tenant) {
            new = self.check(&command)?;
        }
        let id = InstanceId(self.ids.next());
        let now = self.clock.now();
        let subscription = StatusSubscription {
            id,
            tenant: caller.tenant.clone(),
            user_id: caller.subject.clone(),
            url: command.url,
            credentials: self.cipher.seal(id, &new.credentials)?,
            states: command.states,
            channel_instance_id: command.channel_instance_id,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        if !self.subscriptions.insert(&subscription).await? {
            return Err(CreateSubscriptionError::TooMany);
        }
        let revealed_secret = new.reveal.and_then(|_| secrets::present(&new.credentials));
        Ok(ConfiguredSubscription { subscription, revealed_secret })
    }

    fn check(&self, command: &CreateSubscriptionCommand) -> Result<NewCredentials, CreateSubscriptionError> {
        let sender = sender(&self.channels).map_err(|problem| CreateSubscriptionError::Invalid(vec![problem]))?;
        let mut problems = check_url(sender, &command.url).err().unwrap_or_default();
        match check_secret(sender, command.secret.as_deref()) {
            Ok(new) if problems.is_empty() => Ok(new),
            secret => {
                problems.extend(secret.err().into_iter().flatten());
                Err(CreateSubscriptionError::Invalid(problems))
            }
        }
    }
}
