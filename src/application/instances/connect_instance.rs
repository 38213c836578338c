use std::sync::Arc;

use tracing::{debug, info, warn};

use super::event_secrets::{EventSecrets, EventSecretsError};
use crate::application::ports::{
    Account, ChannelConnector, Channels, CipherError, Clock, Connection, CredentialsCipher, EventAddress,
    InstanceRepository, RepositoryError,
};
use crate::domain::access::principal::Principal;
use crate::domain::instance::{ConnectionStatus, Instance, InstanceChange, InstanceId};

/// Connects instances at their providers, and says how they are connected.
pub struct ConnectInstance {
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
    pub cipher: Arc<dyn CredentialsCipher>,
    pub clock: Arc<dyn Clock>,
    /// Where providers reach this installation: an absolute URL without a slash at its end.
    pub public_url: Option<String>,
    pub secrets: EventSecrets,
}

/// What is asked of an instance's provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Code,
    Restart,
    LogOut,
}

#[derive(Debug, thiserror::Error)]
pub enum ConnectInstanceError {
    /// Also for an instance of another tenant.
    #[error("there is no such instance")]
    UnknownInstance,
    #[error(transparent)]
    Cipher(#[from] CipherError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl From<EventSecretsError> for ConnectInstanceError {
    fn from(error: EventSecretsError) -> Self {
        match error {
            EventSecretsError::UnknownInstance => Self::UnknownInstance,
            EventSecretsError::Cipher(error) => Self::Cipher(error),
            EventSecretsError::Repository(error) => Self::Repository(error),
        }
    }
}

const NO_PUBLIC_URL: &str = "PUBLIC_URL is not set: the provider cannot report what becomes of messages, nor whether the instance is connected.";

impl ConnectInstance {
    /// Makes an instance at its provider, or takes it over, and begins to connect it. None where there is nothing to connect.
    /// A provider that fails is no error: the connection says so.
    ///
    /// # Errors
    /// When it was deleted meanwhile, its credentials cannot be opened, or the database does not answer.
    pub async fn connect(&self, instance: &mut Instance) -> Result<Option<Connection>, ConnectInstanceError> {
        let Some(connector) = self.channels.connector(&instance.channel) else { return Ok(None) };
        let account = self.account(instance)?;
        let events = match &self.public_url {
            Some(public_url) => Some(self.event_address(instance, public_url).await?),
            None => None,
        };
        let mut connection = connector.connect(&account, events.as_ref()).await;
        if events.is_none() {
            connection.problem.get_or_insert_with(|| NO_PUBLIC_URL.to_owned());
        }
        self.note(instance, &connection).await?;
        self.learn(instance, connector.as_ref(), &account).await?;
        Ok(Some(connection))
    }

    /// The same with a new secret for its events. What the provider still brings with the former one is let in for a while: if
    /// it could not be told, it is to be connected again until then.
    ///
    /// # Errors
    /// As above.
    pub async fn connect_with_new_secret(
        &self,
        instance: &mut Instance,
    ) -> Result<Option<Connection>, ConnectInstanceError> {
        if self.channels.connector(&instance.channel).is_some() {
            self.secrets.give(instance).await?;
        }
        self.connect(instance).await
    }

    /// Asks how an instance is connected, and notes it. A provider that does not answer says nothing.
    ///
    /// # Errors
    /// When its credentials cannot be opened, or the database does not answer.
    pub async fn look(&self, instance: &mut Instance) -> Result<(), ConnectInstanceError> {
        let Some(connector) = self.channels.connector(&instance.channel) else { return Ok(()) };
        let connection = connector.standing(&self.account(instance)?).await;
        match &connection.problem {
            Some(problem) if !connection.is_answered => {
                debug!(instance.id = %instance.id, problem, "the instance's provider does not say whether it is connected");
                Ok(())
            }
            _ => Ok(self.note(instance, &connection).await?),
        }
    }

    /// Asks whether the provider takes one call of the instance at a time, and notes it.
    ///
    /// # Errors
    /// As above.
    pub async fn look_closely(&self, instance: &mut Instance) -> Result<(), ConnectInstanceError> {
        let Some(connector) = self.channels.connector(&instance.channel) else { return Ok(()) };
        let account = self.account(instance)?;
        Ok(self.learn(instance, connector.as_ref(), &account).await?)
    }

    async fn learn(
        &self,
        instance: &mut Instance,
        connector: &dyn ChannelConnector,
        account: &Account,
    ) -> Result<(), RepositoryError> {
        let told = connector.takes_one_call(account).await;
        if told.is_none() || told == instance.one_call_at_a_time {
            return Ok(());
        }
        info!(instance.id = %instance.id, takes_one_call = told, "how many calls the instance takes at a time is known");
        let change = InstanceChange { one_call_at_a_time: told, ..InstanceChange::default() };
        self.instances.update(&instance.tenant, instance.id, &change, self.clock.now()).await?;
        instance.one_call_at_a_time = told;
        Ok(())
    }

    /// Where there is nothing to connect, the instance is as it is.
    ///
    /// # Errors
    /// When the tenant has no such instance, or as above.
    pub async fn ask(
        &self,
        caller: &Principal,
        id: InstanceId,
        asked: Asked,
    ) -> Result<Connection, ConnectInstanceError> {
        let found = self.instances.find(&caller.tenant, id).await?;
        let mut instance = found.ok_or(ConnectInstanceError::UnknownInstance)?;
        let Some(connector) = self.channels.connector(&instance.channel) else {
            return Ok(Connection::of(instance.status));
        };
        let account = self.account(&instance)?;
        let connection = match asked {
            Asked::Code => connector.code(&account).await,
            Asked::Restart => connector.restart(&account).await,
            Asked::LogOut => connector.log_out(&account).await,
        };
        self.note(&mut instance, &connection).await?;
        Ok(connection)
    }

    /// Deletes an instance at its provider, too; before it is deleted here. None where there is no provider.
    ///
    /// # Errors
    /// As above.
    pub async fn remove(
        &self,
        caller: &Principal,
        id: InstanceId,
    ) -> Result<Option<Result<(), String>>, ConnectInstanceError> {
        let found = self.instances.find(&caller.tenant, id).await?;
        let instance = found.ok_or(ConnectInstanceError::UnknownInstance)?;
        let Some(connector) = self.channels.connector(&instance.channel) else { return Ok(None) };
        Ok(Some(connector.remove(&self.account(&instance)?).await))
    }

    fn account(&self, instance: &Instance) -> Result<Account, CipherError> {
        let credentials = self.cipher.open(instance.id, &instance.credentials)?;
        Ok(Account { channel_instance_id: instance.channel_instance_id.clone(), credentials })
    }

    async fn event_address(
        &self,
        instance: &mut Instance,
        public_url: &str,
    ) -> Result<EventAddress, ConnectInstanceError> {
        let secret = self.secrets.of(instance).await?;
        let name: String = url::form_urlencoded::byte_serialize(instance.channel_instance_id.as_bytes()).collect();
        let url = format!("{public_url}/api/messaging/webhook/{}", name.replace('+', "%20"));
        Ok(EventAddress { url, secret: secret.expose().to_owned() })
    }

    /// What the provider says now is what the instance is.
    async fn note(&self, instance: &mut Instance, connection: &Connection) -> Result<(), RepositoryError> {
        if let Some(problem) = &connection.problem {
            warn!(instance.id = %instance.id, problem, "the instance is not connected as it was asked to be");
        }
        // One that was connected is so as far as is known, while its provider does not answer.
        let is_a_guess = !connection.is_answered && instance.status == ConnectionStatus::Connected;
        if instance.status == connection.status || is_a_guess {
            return Ok(());
        }
        info!(instance.id = %instance.id, status = connection.status.as_str(), "the instance's connection has changed");
        let change = InstanceChange { status: Some(connection.status), ..InstanceChange::default() };
        self.instances.update(&instance.tenant, instance.id, &change, self.clock.now()).await?;
        instance.status = connection.status;
        Ok(())
    }
}
