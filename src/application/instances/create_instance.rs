use std::sync::Arc;

use serde_json::Value;

use crate::application::access::met_tenants::MetTenants;
use crate::application::ports::{
    ChannelSender, Channels, CipherError, Clock, CredentialsCipher, Ids, InstanceRepository, NewCredentials,
    RepositoryError,
};
use crate::domain::access::principal::{MissingScope, Principal};
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
    /// Whether messages that may have been delivered are tried again; none: as its channel does.
    pub retry_unknown: Option<bool>,
    /// Calls a minute over all processes, and at once after a pause.
    pub rate_limit_per_minute: Option<u32>,
    pub burst: Option<u32>,
    /// Compact JSON text of an object.
    pub metadata: Option<String>,
}

/// What no instance is called, of whatever channel: the path on which Meta's apps report (`/webhook/meta`) would be its own.
const RESERVED: &str = "meta";

/// An instance, and what its owner is shown this once.
pub struct ConfiguredInstance {
    pub instance: Instance,
    pub revealed_credentials: Option<Value>,
    /// Whether it was there before.
    pub is_known: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum CreateInstanceError {
    #[error("the request has {} problem(s)", .0.len())]
    Invalid(Vec<FieldProblem>),
    #[error(transparent)]
    Forbidden(#[from] MissingScope),
    /// The tenant has one of this channel and name, with other members.
    #[error("the tenant has another instance of this channel and name")]
    Taken,
    #[error(transparent)]
    Cipher(#[from] CipherError),
    #[error(transparent)]
    Repository(RepositoryError),
}

impl CreateInstance {
    /// Asked again with members that agree, it answers the instance that is there.
    ///
    /// # Errors
    /// When a member is invalid, the tenant has another instance of this channel and name, its credentials cannot be sealed, or
    /// the database does not answer.
    pub async fn execute(
        &self,
        caller: &Principal,
        command: CreateInstanceCommand,
    ) -> Result<ConfiguredInstance, CreateInstanceError> {
        let Some(sender) = self.channels.find(&command.channel) else {
            return Err(CreateInstanceError::Invalid(vec![self.channels.unknown()]));
        };
        caller.must(sender.scope())?;
        let mut new = check(sender.as_ref(), &command)?;
        // The addresses of a second tenant may be refused; a request that is refused anyway makes none.
        if self.tenants.met(&caller.tenant) {
            new = check(sender.as_ref(), &command)?;
        }
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
            event_secret: None,
            max_tries: command.max_tries.map(MaxTries::number),
            retry_unknown: command.retry_unknown,
            one_call_at_a_time: None,
            rate_limit_per_minute: command.rate_limit_per_minute,
            burst: command.burst,
            metadata: command.metadata,
            created_at: now,
            updated_at: now,
        };
        match self.instances.insert(&instance).await {
            Ok(()) => Ok(ConfiguredInstance { instance, revealed_credentials: new.reveal, is_known: false }),
            Err(RepositoryError::Conflict) => self.known(&instance, &new).await,
            Err(error) => Err(CreateInstanceError::Repository(error)),
        }
    }

    /// The instance of this name that is there, if what was asked for agrees with it.
    async fn known(&self, asked: &Instance, new: &NewCredentials) -> Result<ConfiguredInstance, CreateInstanceError> {
        let found = self.instances.find_by_name(&asked.tenant, &asked.channel, &asked.channel_instance_id).await;
        let known = found.map_err(CreateInstanceError::Repository)?.ok_or(CreateInstanceError::Taken)?;
        // Those that were made up are as good as none.
        let are_given = new.reveal.is_none();
        let stored = self.cipher.open(known.id, &known.credentials).map_err(CreateInstanceError::Cipher);
        if !agrees(asked, &known) || (are_given && stored?.expose() != new.credentials.expose()) {
            return Err(CreateInstanceError::Taken);
        }
        Ok(ConfiguredInstance { instance: known, revealed_credentials: None, is_known: true })
    }
}

fn check(sender: &dyn ChannelSender, command: &CreateInstanceCommand) -> Result<NewCredentials, CreateInstanceError> {
    let mut problems = Vec::new();
    if command.channel_instance_id.as_str() == RESERVED {
        problems
            .push(FieldProblem::new("/channelInstanceId", "is reserved: providers report of several instances there"));
    }
    if let Some(id) = command.channel_instance_id.as_str().strip_prefix("status:")
        && id.parse::<uuid::Uuid>().is_ok()
    {
        problems.push(FieldProblem::new("/channelInstanceId", "is reserved: subscriptions to states are called so"));
    }
    problems.extend(sender.check_address(command.channel_phone_or_id.as_str()).err().into_iter().flatten());
    match sender.check_credentials(command.credentials.as_ref()) {
        Ok(new) if problems.is_empty() => Ok(new),
        credentials => {
            problems.extend(credentials.err().into_iter().flatten());
            Err(CreateInstanceError::Invalid(problems))
        }
    }
}

/// What was not asked for agrees.
fn agrees(asked: &Instance, known: &Instance) -> bool {
    fn same<T: PartialEq>(asked: &Option<T>, known: &Option<T>) -> bool {
        asked.is_none() || asked == known
    }
    asked.channel_phone_or_id == known.channel_phone_or_id
        && same(&asked.name, &known.name)
        && same(&asked.max_tries, &known.max_tries)
        && same(&asked.retry_unknown, &known.retry_unknown)
        && same(&asked.rate_limit_per_minute, &known.rate_limit_per_minute)
        && same(&asked.burst, &known.burst)
        && same(&asked.metadata, &known.metadata)
}
