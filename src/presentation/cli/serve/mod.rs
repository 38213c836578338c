//! `correio serve`

mod early;
mod installation;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::error::CommandError;
use super::signals::Signals;
use crate::application::Stop;
use crate::application::gateway::Gateway;
use crate::infrastructure::auth::XChaChaCredentialsCipher;
use crate::infrastructure::composition::compose;
use crate::infrastructure::config::{Config, ConfigError, Deduplicate, Role, TopicsConfig, Unconfirmed};
use crate::infrastructure::storage::database::{Database, InstallationLock};
use crate::infrastructure::{memory, open_files};
use crate::presentation::http::{
    self, AppState, BodyLimits, Deduplication, InFlight, LargeAnswers, Limits, OpenStreams, Readiness, RepairCounts,
    SharedState, TopicSettings, UnconfirmedAnswer, health_router, router,
};
use early::Early;
use installation::{FirstKey, check_credentials, ensure_installation, settle};

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
    let Some(prepared) = unless_stopped(&signals, prepare_or_begin_early(config, role)).await? else { return Ok(()) };
    let Prepared { database, cipher, lock: _lock, is_early } = prepared;
    let tasks = TaskTracker::new();
    let gateway = Arc::new(compose(config, role, &database, cipher, &tasks)?);
    let node = if is_early {
        None
    } else {
        let Some(()) = unless_stopped(&signals, check_credentials(&gateway)).await? else { return Ok(()) };
        Some(settle(&gateway).await?)
    };
    let listener = listen(config).await?;
    let address = listener.local_addr().map_err(|error| no_address(&error))?;
    // Last: a start that fails after it would have made a key that its operator never saw.
    let first_key = if is_early { FirstKey::Known } else { ensure_installation(config, &gateway).await? };

    // A start that is refused says that alone.
    open_files::check_limit(config);
    let connections = database.connections();
    let was_stopped = signals.has_come();
    if let Some(node) = node {
        early::remember(config, role);
        info!(%address, node = %node, %role, connections, version = env!("CARGO_PKG_VERSION"), "listening");
        first_key.hand_over(address, config.has_sandbox(), role.accepts());
    }
    let readiness = if is_early { Readiness::early() } else { Readiness::default() };
    let state = state(config, &gateway, tasks, &readiness);
    let app = if role.accepts() { router(state) } else { health_router(state) };
    let limits = limits(config);
    // Nothing sends requests to a worker.
    let delay_when_watched = if role.accepts() { DELAY_WHEN_WATCHED } else { Duration::ZERO };
    // Nothing sends it requests yet, if it was asked to stop before it listened.
    let delay = if was_stopped { Some(Duration::ZERO) } else { config.delivery.shutdown_delay };
    let stop = stop(signals, readiness.clone(), delay, delay_when_watched);
    if is_early {
        let early = Early { config, role, address, database: &database, gateway, readiness };
        early.live(listener, app, limits, stop).await?;
    } else {
        gateway.live(|stop| http::serve(listener, app, limits, stop), stop).await;
    }
    // A database that is away keeps no process from stopping.
    if tokio::time::timeout(Duration::from_secs(5), database.close()).await.is_err() {
        warn!("stopped; the connections to the database did not close in time");
    }
    info!("stopped");
    Ok(())
}

fn state(config: &Config, gateway: &Arc<Gateway>, tasks: TaskTracker, readiness: &Readiness) -> SharedState {
    Arc::new(AppState {
        gateway: gateway.clone(),
        tasks,
        bodies: BodyLimits::new(config.http.max_body_bytes, config.http.max_broadcast_bytes),
        large_answers: LargeAnswers::new(config.http.max_body_bytes, LONGEST_WAIT_FOR_ROOM),
        in_flight: InFlight::new(config.http.max_in_flight).among(gateway.node.tenants.clone()),
        streams: OpenStreams::new(config.http.max_in_flight),
        readiness: readiness.clone(),
        webhook_secret: webhook_secret(config),
        topics: topic_settings(&config.topics),
        resident_memory: memory::resident,
        trusted_proxies: config.access.limits.trusted_proxies.clone(),
    })
}

fn limits(config: &Config) -> Limits {
    Limits {
        connections: config.http.max_connections,
        header_timeout: config.http.header_timeout,
        keep_alive_timeout: config.http.keep_alive_timeout,
        stall_timeout: STALL_TIMEOUT,
    }
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
    /// The database is away, and nothing of the start that needs it is done.
    is_early: bool,
}

/// Where an installation that never refuses webhooks is started while its database is away, it does not wait for it.
async fn prepare_or_begin_early(config: &Config, role: Role) -> Result<Prepared, ConfigError> {
    if !early::is_allowed(config, role) {
        return prepare(Database::connect(config).await?, config).await;
    }
    if let Ok(connected) = tokio::time::timeout(early::PATIENCE, Database::connect(config)).await {
        return prepare(connected?, config).await;
    }
    let database = Database::later(config)?;
    let cipher = Arc::new(XChaChaCredentialsCipher::from_config(config, false)?);
    Ok(Prepared { database, cipher, lock: None, is_early: true })
}

async fn prepare(database: Database, config: &Config) -> Result<Prepared, ConfigError> {
    let lock = database.lock_installation()?;
    // Before the tables are touched: a start that is refused changes nothing.
    let cipher = Arc::new(XChaChaCredentialsCipher::from_config(config, database.has_credentials().await?)?);
    database.migrate().await?;
    if let Some(shortage) = database.shortage().await? {
        warn!("{shortage}");
    }
    Ok(Prepared { database, cipher, lock, is_early: false })
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
}
