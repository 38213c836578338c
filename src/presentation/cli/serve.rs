//! `correio serve`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::access::first_key::{KeyFile, Terminal};
use super::error::CommandError;
use super::signals::Signals;
use crate::application::Stop;
use crate::application::gateway::Gateway;
use crate::application::instances::check_credentials::CheckCredentialsError;
use crate::application::operations::prepare_installation::BootstrapKey;
use crate::infrastructure::auth::{self, XChaChaCredentialsCipher};
use crate::infrastructure::composition::compose;
use crate::infrastructure::config::{Config, ConfigError, Deduplicate, Role, TopicsConfig, Unconfirmed};
use crate::infrastructure::storage::database::{Database, InstallationLock};
use crate::infrastructure::{memory, open_files};
use crate::presentation::http::{
    self, AppState, BodyLimits, Deduplication, InFlight, LargeAnswers, Limits, Readiness, RepairCounts, TopicSettings,
    UnconfirmedAnswer, health_router, router,
};

/// How long a process goes on serving after it was asked to stop, when something looks at `/health/ready`.
const DELAY_WHEN_WATCHED: Duration = Duration::from_secs(5);
/// Something looks if it asked so lately.
const LATELY: Duration = Duration::from_secs(60);

/// For which a client may take nothing of its answer.
const STALL_TIMEOUT: Duration = Duration::from_secs(15);
/// As long as a list waits for its turn.
const LONGEST_WAIT_FOR_ROOM: Duration = Duration::from_secs(5);

/// Serves until TERM, INT or HUP, then finishes what is in flight, for at most `SHUTDOWN_TIMEOUT`.
///
/// # Errors
/// When it cannot start.
pub async fn serve(config: &Config, role: Role) -> Result<(), CommandError> {
    config.require_queue_role(role)?;
    open_files::raise_limit();
    let signals = Signals::catch().map_err(|error| no_signals(&error))?;
    let Some(prepared) = unless_stopped(&signals, prepare(config)).await? else { return Ok(()) };
    let Prepared { database, cipher, lock: _lock } = prepared;
    let tasks = TaskTracker::new();
    let gateway = Arc::new(compose(config, role, &database, cipher, &tasks)?);
    // Before this process becomes a node, and before it seals anything of its own.
    let checked = async { gateway.instances.check_credentials.execute().await.map_err(unopened) };
    let Some(_) = unless_stopped(&signals, checked).await? else { return Ok(()) };
    let node = gateway.start().await.map_err(|error| unanswered(&error))?;
    gateway.watch_tenants().look().await.map_err(|error| unanswered(&error))?;
    gateway.stuck.publish_rule().await.map_err(|error| unanswered(&error))?;
    let listener = listen(config).await?;
    let address = listener.local_addr().map_err(|error| no_address(&error))?;
    // Last: a start that fails after it would have made a key that its operator never saw.
    let first_key = ensure_installation(config, &gateway).await?;

    // A start that is refused says that alone.
    open_files::check_limit(config);
    let connections = database.connections();
    let was_stopped = signals.has_come();
    info!(%address, node = %node, %role, connections, version = env!("CARGO_PKG_VERSION"), "listening");
    first_key.hand_over(address, config.has_sandbox(), role.accepts());

    let readiness = Readiness::default();
    let state = Arc::new(AppState {
        gateway: gateway.clone(),
        tasks,
        bodies: BodyLimits::new(config.http.max_body_bytes, config.http.max_broadcast_bytes),
        large_answers: LargeAnswers::new(config.http.max_body_bytes, LONGEST_WAIT_FOR_ROOM),
        in_flight: InFlight::new(config.http.max_in_flight),
        readiness: readiness.clone(),
        webhook_secret: webhook_secret(config),
        topics: topic_settings(&config.topics),
        resident_memory: memory::resident,
        trusted_proxies: config.access.limits.trusted_proxies.clone(),
    });
    let app = if role.accepts() { router(state) } else { health_router(state) };
    let limits = Limits {
        connections: config.http.max_connections,
        header_timeout: config.http.header_timeout,
        keep_alive_timeout: config.http.keep_alive_timeout,
        stall_timeout: STALL_TIMEOUT,
    };
    // Nothing sends requests to a worker.
    let delay_when_watched = if role.accepts() { DELAY_WHEN_WATCHED } else { Duration::ZERO };
    // Nothing sends it requests yet, if it was asked to stop before it listened.
    let delay = if was_stopped { Some(Duration::ZERO) } else { config.delivery.shutdown_delay };
    let stop = stop(signals, readiness, delay, delay_when_watched);
    gateway.live(|stop| http::serve(listener, app, limits, stop), stop).await;
    // A database that is away keeps no process from stopping.
    if tokio::time::timeout(Duration::from_secs(5), database.close()).await.is_err() {
        warn!("stopped; the connections to the database did not close in time");
    }
    info!("stopped");
    Ok(())
}

/// What a CRM proves itself by. Without one, whoever reaches the port is one.
fn webhook_secret(config: &Config) -> Option<String> {
    let webhook = config.events.webhook.as_ref()?;
    if webhook.secret.is_none() && !config.http.address().ip().is_loopback() {
        warn!("whoever reaches this port may report to POST /webhook: set WEBHOOK_SECRET, or WEBHOOK_ENABLED=false");
    }
    webhook.secret.clone()
}

fn topic_settings(topics: &TopicsConfig) -> TopicSettings {
    if topics.is_open {
        warn!("whoever reaches this port may publish to topics without credentials (TOPICS_OPEN)");
    }
    TopicSettings {
        bodies: BodyLimits::new(topics.max_body_bytes, topics.max_body_bytes),
        is_open: topics.is_open,
        unconfirmed: match topics.unconfirmed {
            Unconfirmed::Ok => UnconfirmedAnswer::Ok,
            Unconfirmed::Accepted => UnconfirmedAnswer::Accepted,
            Unconfirmed::Error => UnconfirmedAnswer::Error,
        },
        confirm_timeout: topics.confirm_timeout,
        repaired: RepairCounts::default(),
        deduplications: Arc::new(topics.deduplicate.iter().map(deduplication).collect()),
    }
}

fn deduplication(configured: &Deduplicate) -> (String, Deduplication) {
    let Deduplicate { topic, within, without } = configured.clone();
    (topic, Deduplication { within, without })
}

/// What a start may have to wait for: a database that is away, or another process that migrates.
struct Prepared {
    database: Database,
    cipher: Arc<XChaChaCredentialsCipher>,
    lock: Option<InstallationLock>,
}

async fn prepare(config: &Config) -> Result<Prepared, ConfigError> {
    let database = Database::connect(config).await?;
    let lock = database.lock_installation()?;
    // Before the tables are touched: a start that is refused changes nothing.
    let cipher = Arc::new(XChaChaCredentialsCipher::from_config(config, database.has_credentials().await?)?);
    database.migrate().await?;
    if let Some(shortage) = database.shortage().await? {
        warn!("{shortage}");
    }
    Ok(Prepared { database, cipher, lock })
}

/// Work that may be given up at any moment; none when a signal to end came first. A migration that is given up is undone by the
/// database.
pub async fn unless_stopped<T, E>(signals: &Signals, work: impl Future<Output = Result<T, E>>) -> Result<Option<T>, E> {
    tokio::select! {
        done = work => done.map(Some),
        () = signals.nth(1) => {
            info!("stopped during the start, as it was asked to");
            Ok(None)
        }
    }
}

/// Resolves when the process shall stop. Whoever sends it requests is given time to notice.
fn stop(signals: Signals, readiness: Readiness, delay: Option<Duration>, delay_when_watched: Duration) -> Stop {
    let stop = async move {
        signals.nth(1).await;
        let by_default = || if readiness.was_asked_within(LATELY) { delay_when_watched } else { Duration::ZERO };
        let delay = delay.unwrap_or_else(by_default);
        readiness.leave();
        if delay.is_zero() {
            return;
        }
        info!(
            ?delay,
            "leaving: /health/ready says 503, and requests are served for SHUTDOWN_DELAY, or until another TERM"
        );
        tokio::select! {
            () = sleep(delay) => {}
            () = signals.nth(2) => {}
        }
    };
    stop.boxed().shared()
}

/// What is left to do about the key of a first start, once it listens.
enum FirstKey {
    /// There was a key.
    Known,
    /// It was added now; without a text, it is the operator's own.
    Shown(Terminal, Option<String>),
    Written(KeyFile),
}

impl FirstKey {
    fn hand_over(&self, address: SocketAddr, has_sandbox: bool, accepts: bool) {
        match self {
            Self::Known => {}
            Self::Shown(terminal, key) => terminal.greet(address, key.as_deref(), has_sandbox, accepts),
            Self::Written(file) => file.announce(),
        }
    }
}

/// Makes sure that the installation has its defaults. A key is stored only once it is known how its operator gets it.
async fn ensure_installation(config: &Config, gateway: &Gateway) -> Result<FirstKey, CommandError> {
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

pub fn no_signals(error: &std::io::Error) -> CommandError {
    CommandError::Other(format!("signals cannot be caught: {error}"))
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

fn no_key(error: &dyn std::fmt::Display) -> CommandError {
    CommandError::Other(format!("no API key can be generated: {error}"))
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
