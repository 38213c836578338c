use std::sync::Arc;

use serde_json::Value;

use crate::application::access::met_tenants::MetTenants;
use crate::application::ports::{
    Channels, CipherError, Clock, CredentialsCipher, Ids, InstanceRepository, RepositoryError,
};
use crate::domain::access::principal::Principal;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{Instance, InstanceAddress, InstanceId, InstanceName};
use crate::domain::message::MaxTries;
use crate::domain::problem::FieldProblem;

/// Configures a channel for a tenant.
pub struct CreateInstance {
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub tenants: MetTenants,
}

pub struct CreateInstanceCommand {
    pub channel: ChannelName,
    pub channel_instance_id: InstanceName,
    pub channel_phone_or_id: InstanceAddress,
    pub name: Option<InstanceName>,
    pub credentials: Option<Value>,
    pub max_tries: Option<MaxTries>,
    /// Compact JSON text of an object.
    pub metadata: Option<String>,
}

/// An instance, and what its owner is shown this once.
pub struct ConfiguredInstance {
    pub instance: Instance,
    pub revealed_credentials: Option<Value>,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateInstanceError {
    #[error("the request has {} problem(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    #[error("the tenant has an instance of this channel and name")]
    Taken,
    #[error(transparent)]
    Cipher(#[from] CipherError),
    #[error(transparent)]
    Repository(RepositoryError),
}

impl CreateInstance {
    /// # Errors
    /// When a member is invalid, the tenant has an instance of this channel and name, its credentials cannot be sealed, or the
    /// database does not answer.
    pub async fn execute(
        &self,
        caller: &Principal,
        command: CreateInstanceCommand,
    ) -> Result<ConfiguredInstance, CreateInstanceError> {
        let Some(sender) = self.channels.find(&command.channel) else {
            return Err(CreateInstanceError::Invalid(vec![self.channels.unknown()]));
        };
        // Before the addresses are checked: those of a second tenant may be refused.
        self.tenants.met(&caller.tenant);
        let address = sender.check_address(command.channel_phone_or_id.as_str());
        let credentials = sender.check_credentials(command.credentials.as_ref());
        let new = match (address, credentials) {
            (Ok(()), Ok(new)) => new,
            (address, credentials) => {
                let problems = [address.err(), credentials.err()].into_iter().flatten().flatten();
                return Err(CreateInstanceError::Invalid(problems.collect()));
            }
        };
        let id = InstanceId(self.ids.next());
        let now = self.clock.now();
        let instance = Instance {
            id,
            tenant: caller.tenant.clone(),
            user_id: caller.subject.clone(),
            name: command.name.map(InstanceName::into_string),
            channel: command.channel,
            channel_instance_id: command.channel_instance_id.into_string(),
            channel_phone_or_id: command.channel_phone_or_id.into_string(),
            status: sender.initial_status(),
            credentials: self.cipher.seal(id, &new.credentials)?,
            max_tries: command.max_tries.map(MaxTries::number),
            metadata: command.metadata,
            created_at: now,
            updated_at: now,
        };
        match self.instances.insert(&instance).await {
            Ok(()) => Ok(ConfiguredInstance { instance, revealed_credentials: new.reveal }),
            Err(RepositoryError::Conflict) => Err(CreateInstanceError::Taken),
            Err(error) => Err(CreateInstanceError::Repository(error)),
        }
    }
}
