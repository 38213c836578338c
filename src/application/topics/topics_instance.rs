use std::sync::Arc;

use super::{CHANNEL, INSTANCE};
use crate::application::instances::create_instance::{CreateInstance, CreateInstanceCommand, CreateInstanceError};
use crate::application::ports::{InstanceRepository, RepositoryError};
use crate::domain::access::principal::{Principal, Scope};
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{Instance, InstanceAddress, InstanceName};
use crate::domain::text::InvalidText;

/// The instance of a tenant through which its records go.
pub struct TopicsInstance {
    pub instances: Arc<dyn InstanceRepository>,
    pub create: CreateInstance,
}

#[derive(Debug, thiserror::Error)]
pub enum TopicsInstanceError {
    #[error(transparent)]
    Name(#[from] InvalidText),
    #[error("the tenant's instance for topics cannot be made: {0}")]
    NotMade(String),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl TopicsInstance {
    /// Made when it is first needed.
    ///
    /// # Errors
    /// When the database does not answer, or it cannot be made.
    pub async fn of(&self, owner: &Principal) -> Result<Instance, TopicsInstanceError> {
        let channel = ChannelName::new(CHANNEL);
        if let Some(instance) = self.instances.find_by_name(&owner.tenant, &channel, INSTANCE).await? {
            return Ok(instance);
        }
        let system = Principal {
            tenant: owner.tenant.clone(),
            subject: "correio".to_owned(),
            scopes: vec![Scope::InstancesWrite, Scope::TopicsWrite],
        };
        let command = CreateInstanceCommand {
            channel: channel.clone(),
            channel_instance_id: InstanceName::parse(INSTANCE)?,
            channel_phone_or_id: InstanceAddress::parse(INSTANCE)?,
            name: None,
            credentials: None,
            max_tries: None,
            rate_limit_per_minute: None,
            burst: None,
            retry_unknown: None,
            metadata: None,
        };
        match self.create.execute(&system, command).await {
            Ok(configured) => Ok(configured.instance),
            Err(CreateInstanceError::Repository(error)) => Err(error.into()),
            // It was made meanwhile, with other members.
            Err(CreateInstanceError::Taken) => {
                let found = self.instances.find_by_name(&owner.tenant, &channel, INSTANCE).await?;
                found.ok_or_else(|| TopicsInstanceError::NotMade("it was deleted meanwhile".to_owned()))
            }
            Err(error) => Err(TopicsInstanceError::NotMade(error.to_string())),
        }
    }
}
