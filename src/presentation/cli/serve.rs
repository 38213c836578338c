//! `correio serve`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::error::CommandError;
use crate::application::Stop;
use crate::application::instances::check_credentials::CheckCredentialsError;
use crate::application::operations::prepare_installation::BootstrapKey;
use crate::infrastructure::auth::{self, XChaChaCredentialsCipher};
use crate::infrastructure::composition::compose;
use crate::infrastructure::config::{Config, ConfigError, Role};
use crate::infrastructure::storage::database::Database;
use crate::presentation::http::{self, AppState, InFlight, Limits, health_router, router};

/// Serves until TERM or INT, then finishes what is in flight, for at most `SHUTDOWN_TIMEOUT`.
///
/// # Errors
/// When it cannot start.
pub async fn serve(config: &Config, role: Role) -> Result<(), CommandError> {
    config.require_queue_role(role)?;
    let stop_signal = stop_signal().map_err(|error| no_signals(&error))?;
    let database = Database::connect(config).await?;
    let _lock = database.lock_installation()?;
    // Before the tables are touched: a start that is refused changes nothing.
    let cipher = Arc::new(XChaChaCredentialsCipher::from_config(config)?);
    database.migrate().await?;
    let tasks = TaskTracker::new();
    let gateway = Arc::new(compose(config, role, &database, cipher, &tasks)?);
    // Before this process becomes a node, and before it seals anything of its own.
    gateway.instances.check_credentials.execute().await.map_err(unopened)?;
    let node = gateway.start().await.map_err(|error| unanswered(&error))?;
    let bootstrap = bootstrap_key(config)?;
    let prepare = &gateway.operations.prepare_installation;
    let key_added = prepare.execute(&bootstrap).await.map_err(|error| unanswered(&error))?;

    gateway.watch_tenants().look().await.map_err(|error| unanswered(&error))?;
    let listener = listen(config).await?;
    let address = listener.local_addr().map_err(|error| no_address(&error))?;
    let connections = database.connections();
    info!(%address, node = %node, %role, connections, version = env!("CARGO_PKG_VERSION"), "listening");
    if key_added && role.accepts() {
        greet(address, &bootstrap, config.has_sandbox());
    }

    let state = Arc::new(AppState {
        gateway: gateway.clone(),
        tasks,
        max_body_bytes: config.http.max_body_bytes,
        in_flight: InFlight::new(config.http.max_in_flight),
    });
    let app = if role.accepts() { router(state) } else { health_router(state) };
    let limits = Limits {
        connections: config.http.max_connections,
        header_timeout: config.http.header_timeout,
        keep_alive_timeout: config.http.keep_alive_timeout,
    };
    gateway.live(|stop| http::serve(listener, app, limits, stop), stop_signal).await;
    // A database that is away keeps no process from stopping.
    if tokio::time::timeout(Duration::from_secs(5), database.close()).await.is_err() {
        warn!("stopped; the connections to the database did not close in time");
    }
    info!("stopped");
    Ok(())
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

fn no_signals(error: &std::io::Error) -> CommandError {
    CommandError::Other(format!("signals cannot be caught: {error}"))
}

/// TERM and INT are caught from now on, so that a signal during the start is not lost.
fn stop_signal() -> std::io::Result<Stop> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    };
    Ok(stop.boxed().shared())
}

async fn listen(config: &Config) -> Result<TcpListener, ConfigError> {
    let address = config.http.address();
    TcpListener::bind(address).await.map_err(|error| {
        let variable = if error.kind() == std::io::ErrorKind::AddrNotAvailable { "HOST" } else { "PORT" };
        ConfigError::new(variable, format!("cannot listen on {address}: {error}"))
    })
}

fn no_address(error: &std::io::Error) -> CommandError {
    CommandError::Other(format!("the address that it listens on cannot be read: {error}"))
}

fn bootstrap_key(config: &Config) -> Result<BootstrapKey, CommandError> {
    if let Some(key) = &config.access.bootstrap_api_key {
        return Ok(BootstrapKey::Given { key: key.clone(), prefix: auth::api_keys::prefix(key) });
    }
    let generated = auth::api_keys::generate().map_err(|error| no_key(&error))?;
    Ok(BootstrapKey::Generated { key: generated.plaintext, prefix: generated.prefix })
}

fn no_key(error: &dyn std::fmt::Display) -> CommandError {
    CommandError::Other(format!("no API key can be generated: {error}"))
}

/// What a newcomer needs, on standard error and not in the log, where a key has no place.
fn greet(address: SocketAddr, bootstrap: &BootstrapKey, has_sandbox: bool) {
    let reachable = if address.ip().is_unspecified() {
        SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), address.port())
    } else {
        address
    };
    let key = match bootstrap {
        BootstrapKey::Generated { key, .. } => {
            eprintln!("\nYour API key, shown this once:\n\n    {key}\n");
            format!("'X-API-Key: {key}'")
        }
        // The operator knows it, and has a reason to keep it out of here.
        BootstrapKey::Given { .. } => "\"X-API-Key: $BOOTSTRAP_API_KEY\"".to_owned(),
    };
    if !has_sandbox {
        eprintln!("Create an instance to send through: http://{reachable}/api\n");
        return;
    }
    eprintln!(
        "Send a first message:\n\n    curl -sS http://{reachable}/api/messaging/message/send \\\n      -H {key} \\\n      -H 'Content-Type: application/json' \\\n      -d '{{\"channel\": \"sandbox\", \"channelInstanceId\": \"sandbox\", \"remoteJid\": \"5585999999999\", \"message\": \"Olá!\"}}'\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_says(error: CommandError, expected: &str) {
        let CommandError::Other(sentence) = error else { panic!("it names a setting instead of: {expected}") };
        assert_eq!(sentence, expected);
    }

    #[test]
    fn signals_that_cannot_be_caught_are_not_blamed_on_a_setting() {
        let error = no_signals(&std::io::Error::other("no more signals"));
        assert_says(error, "signals cannot be caught: no more signals");
    }

    #[test]
    fn an_address_that_cannot_be_read_is_not_blamed_on_a_setting() {
        let error = no_address(&std::io::Error::other("no such socket"));
        assert_says(error, "the address that it listens on cannot be read: no such socket");
    }

    #[test]
    fn a_system_without_randomness_is_not_blamed_on_a_setting() {
        assert_says(no_key(&"no entropy"), "no API key can be generated: no entropy");
    }
}
