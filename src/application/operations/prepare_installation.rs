use std::sync::Arc;

use uuid::Uuid;

use crate::application::access::issue_api_key::{IssueApiKey, NewApiKey};
use crate::application::instances::create_instance::{CreateInstance, CreateInstanceCommand, CreateInstanceError};
use crate::application::ports::{ApiKeyRepository, RepositoryError};
use crate::domain::access::principal::{InvalidTenant, Principal, Scope, Tenant};
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::{InstanceAddress, InstanceName};
use crate::domain::text::InvalidText;

/// The id of the key that is generated at a first start, in every installation: of two first starts at once, which both
/// find no key, one can store it.
const FIRST_KEY: Uuid = Uuid::from_u128(0x0000_0000_0000_7000_8000_0000_0000_0001);

/// Makes sure that an installation has its defaults: the tenant `default`, one of its keys, and its instance `sandbox` if
/// there is such a channel.
/// What exists stays as it is, also a key that was revoked.
pub struct PrepareInstallation {
    pub api_keys: Arc<dyn ApiKeyRepository>,
    pub issue_api_key: IssueApiKey,
    pub create_instance: CreateInstance,
}

/// The key that the installation is to have.
pub enum BootstrapKey {
    /// The operator's: added whenever it is missing.
    Given { key: String, prefix: String },
    /// Added when the tenant has no key yet.
    Generated { key: String, prefix: String },
    /// None is added.
    None,
}

#[derive(Debug, thiserror::Error)]
pub enum PrepareInstallationError {
    #[error(transparent)]
    Tenant(#[from] InvalidTenant),
    #[error(transparent)]
    Name(#[from] InvalidText),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    Instance(CreateInstanceError),
}

impl PrepareInstallation {
    /// Returns whether the key was added.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn execute(&self, bootstrap: &BootstrapKey) -> Result<bool, PrepareInstallationError> {
        let tenant = Tenant::new(Tenant::DEFAULT)?;
        // The key last: an error says that it was not added, or that the database did not answer whether it was.
        if self.create_instance.channels.find(&sandbox()).is_some() {
            self.add_sandbox(tenant.clone()).await?;
        }
        Ok(match bootstrap {
            BootstrapKey::Given { key, prefix } => self.add_key(tenant, None, key, prefix).await?,
            BootstrapKey::Generated { key, prefix } => {
                self.lacks_key().await? && self.add_key(tenant, Some(FIRST_KEY), key, prefix).await?
            }
            BootstrapKey::None => false,
        })
    }

    /// Whether the tenant has no key yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lacks_key(&self) -> Result<bool, PrepareInstallationError> {
        let tenant = Tenant::new(Tenant::DEFAULT)?;
        Ok(self.api_keys.list(Some(&tenant)).await?.is_empty())
    }

    async fn add_key(
        &self,
        tenant: Tenant,
        id: Option<Uuid>,
        key: &str,
        prefix: &str,
    ) -> Result<bool, RepositoryError> {
        let new = NewApiKey {
            id,
            tenant,
            name: "bootstrap".to_owned(),
            key,
            prefix: prefix.to_owned(),
            scopes: Scope::ALL.to_vec(),
            expires_at: None,
            requests_per_minute: None,
        };
        match self.issue_api_key.execute(new).await {
            Ok(_) => Ok(true),
            Err(RepositoryError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn add_sandbox(&self, tenant: Tenant) -> Result<(), PrepareInstallationError> {
        let system = Principal { tenant, subject: "correio".to_owned(), scopes: Scope::ALL.to_vec() };
        let command = CreateInstanceCommand {
            channel: sandbox(),
            channel_instance_id: InstanceName::parse("sandbox")?,
            channel_phone_or_id: InstanceAddress::parse("sandbox")?,
            name: Some(InstanceName::parse("Sandbox")?),
            credentials: None,
            retry_unknown: None,
            max_tries: None,
            rate_limit_per_minute: None,
            burst: None,
            metadata: None,
        };
        match self.create_instance.execute(&system, command).await {
            Ok(_) | Err(CreateInstanceError::Taken) => Ok(()),
            Err(error) => Err(PrepareInstallationError::Instance(error)),
        }
    }
}

fn sandbox() -> ChannelName {
    ChannelName::new("sandbox")
}
