//! What a start does once its database answers.

use std::net::SocketAddr;

use tracing::info;

use crate::application::gateway::Gateway;
use crate::application::instances::check_credentials::CheckCredentialsError;
use crate::application::operations::prepare_installation::BootstrapKey;
use crate::domain::node::NodeId;
use crate::infrastructure::auth;
use crate::infrastructure::config::{Config, ConfigError};
use crate::presentation::cli::access::first_key::{KeyFile, Terminal};
use crate::presentation::cli::error::CommandError;

/// Before a process becomes a node, and before it seals anything of its own.
pub async fn check_credentials(gateway: &Gateway) -> Result<(), CommandError> {
    gateway.instances.check_credentials.execute().await.map_err(unopened)?;
    Ok(())
}

/// The process becomes a node.
pub async fn settle(gateway: &Gateway) -> Result<NodeId, CommandError> {
    let node = gateway.start().await.map_err(|error| unanswered(&error))?;
    gateway.watch_tenants().look().await.map_err(|error| unanswered(&error))?;
    gateway.stuck.publish_rule().await.map_err(|error| unanswered(&error))?;
    Ok(node)
}

/// What is left to do about the key of a first start, once it listens.
pub enum FirstKey {
    /// There was a key.
    Known,
    /// It was added now; without a text, it is the operator's own.
    Shown(Terminal, Option<String>),
    Written(KeyFile),
}

impl FirstKey {
    pub fn hand_over(&self, address: SocketAddr, has_sandbox: bool, accepts: bool) {
        match self {
            Self::Known => {}
            Self::Shown(terminal, key) => terminal.greet(address, key.as_deref(), has_sandbox, accepts),
            Self::Written(file) => file.announce(),
        }
    }
}

/// Makes sure that the installation has its defaults. A key is stored only once it is known how its operator gets it.
pub async fn ensure_installation(config: &Config, gateway: &Gateway) -> Result<FirstKey, CommandError> {
    let prepare = &gateway.operations.prepare_installation;
    let terminal = Terminal::find();
    let execute = async |key: &BootstrapKey| prepare.execute(key).await.map_err(|error| unanswered(&error));
    if let Some(key) = &config.access.bootstrap_api_key {
        let given = BootstrapKey::Given { key: key.clone(), prefix: auth::api_keys::prefix(key) };
        let is_added = execute(&given).await?;
        return Ok(terminal.filter(|_| is_added).map_or(FirstKey::Known, |terminal| FirstKey::Shown(terminal, None)));
    }
    // Beforehand: a key file that is kept after an error is one whose key may be stored.
    execute(&BootstrapKey::None).await?;
    if !prepare.lacks_key().await.map_err(|error| unanswered(&error))? {
        return Ok(FirstKey::Known);
    }
    let generated = auth::api_keys::generate().map_err(|error| no_key(&error))?;
    let key = generated.plaintext;
    let bootstrap = BootstrapKey::Generated { key: key.clone(), prefix: generated.prefix };
    if let Some(terminal) = terminal {
        let is_added = execute(&bootstrap).await.inspect_err(|_| terminal.show_unconfirmed(&key))?;
        return Ok(if is_added { FirstKey::Shown(terminal, Some(key)) } else { another_was_faster() });
    }
    let Some(file) = KeyFile::write(&key, &config.storage) else { return Ok(FirstKey::Known) };
    match execute(&bootstrap).await {
        Ok(true) => Ok(FirstKey::Written(file)),
        Ok(false) => {
            file.discard();
            Ok(another_was_faster())
        }
        Err(error) => {
            file.keep();
            Err(error.into())
        }
    }
}

fn another_was_faster() -> FirstKey {
    info!("another process that started at the same time has made the first API key; this one made none");
    FirstKey::Known
}

fn unanswered(error: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::new("DATABASE_URL", error.to_string())
}

fn unopened(error: CheckCredentialsError) -> ConfigError {
    match error {
        CheckCredentialsError::NoneOpened(_) => ConfigError::new("CREDENTIALS_KEY", error.to_string()),
        CheckCredentialsError::Repository(error) => unanswered(&error),
    }
}

fn no_key(error: &dyn std::fmt::Display) -> CommandError {
    CommandError::Other(format!("no API key can be generated: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_randomness_is_not_blamed_on_a_setting() {
        let CommandError::Other(sentence) = no_key(&"no entropy") else { panic!("it names a setting") };
        assert_eq!(sentence, "no API key can be generated: no entropy");
    }
}
