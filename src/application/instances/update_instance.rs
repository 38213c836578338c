use std::sync::Arc;

use serde_json::Value;

use super::create_instance::ConfiguredInstance;
use crate::application::access::met_tenants::MetTenants;
use crate::application::delivery::admission::Admission;
use crate::application::ports::{Channels, CipherError, Clock, CredentialsCipher, InstanceRepository, RepositoryError};
use crate::domain::access::principal::{MissingScope, Principal};
use crate::domain::instance::{InstanceAddress, InstanceChange, InstanceId, InstanceName};
use crate::domain::message::MaxTries;
use crate::domain::problem::FieldProblem;

/// Changes what can be changed of an instance. Messages refer to its channel and its `channel_instance_id`: both stay.
pub struct UpdateInstance {
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub clock: Arc<dyn Clock>,
    pub tenants: MetTenants,
    pub admission: Admission,
}

/// What is `None` stays; what is `Some(None)` is cleared.
#[derive(Default)]
pub struct UpdateInstanceCommand {
    pub channel_phone_or_id: Option<InstanceAddress>,
    pub name: Option<Option<InstanceName>>,
    /// Replaces all credentials.
    pub credentials: Option<Value>,
    pub max_tries: Option<Option<MaxTries>>,
    pub retry_unknown: Option<Option<bool>>,
    pub rate_limit_per_minute: Option<Option<u32>>,
    pub burst: Option<Option<u32>>,
    pub metadata: Option<Option<String>>,
    /// Its provider is to bring another secret with its events: it has to be connected anew then.
    pub renews_event_secret: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum UpdateInstanceError {
    #[error("the request has {} problem(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    /// Also for an instance of another tenant.
    #[error("there is no such instance")]
    UnknownInstance,
    #[error(transparent)]
    Forbidden(#[from] MissingScope),
    #[error(transparent)]
    Cipher(#[from] CipherError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl UpdateInstance {
    /// # Errors
    /// When a member is invalid, the tenant has no such instance, its credentials cannot be sealed, or the database does not
    /// answer.
    pub async fn execute(
        &self,
        caller: &Principal,
        id: InstanceId,
        command: UpdateInstanceCommand,
    ) -> Result<ConfiguredInstance, UpdateInstanceError> {
        let found = self.instances.find(&caller.tenant, id).await?;
        let channel = found.ok_or(UpdateInstanceError::UnknownInstance)?.channel;
        let sender =
            self.channels.find(&channel).ok_or_else(|| UpdateInstanceError::Invalid(vec![self.channels.unknown()]))?;
        caller.must(sender.scope())?;
        // Before the addresses are checked: those of a second tenant may be refused.
        self.tenants.met(&caller.tenant);
        let mut problems = Vec::new();
        let mut revealed_credentials = None;
        let mut change = InstanceChange {
            name: command.name.map(|name| name.map(InstanceName::into_string)),
            max_tries: command.max_tries.map(|tries| tries.map(MaxTries::number)),
            retry_unknown: command.retry_unknown,
            rate_limit_per_minute: command.rate_limit_per_minute,
            burst: command.burst,
            metadata: command.metadata,
            ..InstanceChange::default()
        };
        if let Some(address) = command.channel_phone_or_id {
            problems.extend(sender.check_address(address.as_str()).err().into_iter().flatten());
            change.channel_phone_or_id = Some(address.into_string());
        }
        if let Some(given) = command.credentials {
            match sender.check_credentials(Some(&given)) {
                Ok(new) => {
                    change.credentials = Some(self.cipher.seal(id, &new.credentials)?);
                    revealed_credentials = new.reveal;
                }
                Err(more) => problems.extend(more),
            }
        }
        if !problems.is_empty() {
            return Err(UpdateInstanceError::Invalid(problems));
        }
        let updated = self.instances.update(&caller.tenant, id, &change, self.clock.now()).await?;
        let instance = updated.ok_or(UpdateInstanceError::UnknownInstance)?;
        // What kept it from being called may be mended.
        self.admission.let_in(id);
        self.admission.pacing().learn(id, instance.pace());
        Ok(ConfiguredInstance { instance, revealed_credentials, is_known: true })
    }
}
