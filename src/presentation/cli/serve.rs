//! `correio serve`

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::application::Stop;
use crate::application::operations::prepare_installation::BootstrapKey;
use crate::application::ports::QueueScope;
use crate::infrastructure::auth::{self, XChaChaCredentialsCipher};
use crate::infrastructure::composition::{Composition, compose};
use crate::infrastructure::config::{Config, ConfigError, Role};
use crate::infrastructure::storage::database::Database;
use crate::presentation::http::{AppState, SharedState, health_router, router};

/// Serves until TERM or INT, then finishes what is in flight, for at most `SHUTDOWN_TIMEOUT`.
///
/// # Errors
/// When it cannot start.
pub async fn serve(config: &Config, role: Role) -> Result<(), ConfigError> {
    config.require_queue_role(role)?;
    let stop_signal = stop_signal()?;
    let database = Database::connect(&config.database).await?;
    let lock = database.lock_installation()?;
    // Before the tables are touched: a start that is refused changes nothing.
    let cipher = Arc::new(XChaChaCredentialsCipher::from_config(config)?);
    database.migrate().await?;
    let tasks = TaskTracker::new();
    let composition = compose(config, role, &database, cipher, &tasks)?;

    if let Some(kafka) = &composition.kafka {
        // Whoever sees us listen finds the topics; a Kafka that is away delays the start by no more than this.
        let _ = tokio::time::timeout(Duration::from_secs(2), kafka.prepare_topics()).await;
    }

    let unanswered = |error: &dyn std::fmt::Display| ConfigError::new("DATABASE_URL", error.to_string());
    let node = composition.keep_node_alive.register().await.map_err(|error| unanswered(&error))?;
    if lock.is_some() {
        // Nobody else can be serving from this file: every earlier node has left, or is gone.
        database.nodes.forget_dead(node).await.map_err(|error| unanswered(&error))?;
    }
    let bootstrap = bootstrap_key(config)?;
    let key_added = composition.prepare_installation.execute(&bootstrap).await.map_err(|error| unanswered(&error))?;

    let listener = listen(config).await?;
    let address = listener.local_addr().map_err(|error| ConfigError::new("PORT", error.to_string()))?;
    info!(%address, node = %node, %role, version = env!("CARGO_PKG_VERSION"), "listening");
    if key_added && role.accepts() {
        greet(address, &bootstrap);
    }

    // Two stops, one after the other: heartbeats go on until the last message has ended.
    let (stop, stop_heart) = (CancellationToken::new(), CancellationToken::new());
    let background = start(&composition, &stop);
    let heart = {
        let keep_node_alive = composition.keep_node_alive.clone();
        let stopped = as_stop(&stop_heart);
        tokio::spawn(async move { keep_node_alive.run(stopped).await })
    };
    let state = state(&composition, config, &tasks);
    let app = if role.accepts() { router(state) } else { health_router(state) };
    let server = {
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(stopped).into_future())
    };

    stop_signal.await;
    info!(in_flight = tasks.len(), "stopping");
    stop.cancel();
    tasks.close();
    let finished = async {
        // A client that has stopped in the middle of its request keeps nobody from stopping in good order.
        let _ = tokio::time::timeout(config.shutdown_timeout / 2, server).await;
        for task in background {
            let _ = task.await;
        }
        tasks.wait().await;
        composition.queue.close().await;
    };
    let in_good_order = tokio::time::timeout(config.shutdown_timeout, finished).await.is_ok();
    if !in_good_order {
        warn!(in_flight = tasks.len(), "stopped before everything was finished; the next start takes it over");
    }
    stop_heart.cancel();
    let leave = async {
        let _ = heart.await;
        let is_kept = in_good_order && composition.queue.scope() == QueueScope::Shared;
        composition.keep_node_alive.leave(is_kept).await;
        database.close().await;
    };
    // A database that is away keeps nobody from stopping.
    if tokio::time::timeout(Duration::from_secs(5), leave).await.is_err() {
        warn!("stopped without an answer of the database");
    }
    info!("stopped");
    Ok(())
}

/// TERM and INT are caught from now on, so that a signal during the start is not lost.
fn stop_signal() -> Result<impl Future<Output = ()>, ConfigError> {
    let refused =
        |error: std::io::Error| ConfigError::new("SHUTDOWN_TIMEOUT", format!("signals cannot be caught: {error}"));
    let mut term = signal(SignalKind::terminate()).map_err(refused)?;
    let mut int = signal(SignalKind::interrupt()).map_err(refused)?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

async fn listen(config: &Config) -> Result<TcpListener, ConfigError> {
    let address = config.http.address();
    TcpListener::bind(address).await.map_err(|error| {
        let variable = if error.kind() == std::io::ErrorKind::AddrNotAvailable { "HOST" } else { "PORT" };
        ConfigError::new(variable, format!("cannot listen on {address}: {error}"))
    })
}

fn bootstrap_key(config: &Config) -> Result<BootstrapKey, ConfigError> {
    if let Some(key) = &config.bootstrap_api_key {
        return Ok(BootstrapKey::Given { key: key.clone(), prefix: auth::api_keys::prefix(key) });
    }
    let generated = auth::api_keys::generate()
        .map_err(|error| ConfigError::new("BOOTSTRAP_API_KEY", format!("no key can be generated: {error}")))?;
    Ok(BootstrapKey::Generated { key: generated.plaintext, prefix: generated.prefix })
}

/// What a newcomer needs, on standard error and not in the log, where a key has no place.
fn greet(address: SocketAddr, bootstrap: &BootstrapKey) {
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
    eprintln!(
        "Send a first message:\n\n    curl -sS http://{reachable}/api/messaging/message/send \\\n      -H {key} \\\n      -H 'Content-Type: application/json' \\\n      -d '{{\"channel\": \"sandbox\", \"channelInstanceId\": \"sandbox\", \"remoteJid\": \"5585999999999\", \"message\": \"Olá!\"}}'\n"
    );
}

fn start(composition: &Composition, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let relay = composition.relay_due_messages.clone();
    let give_back = composition.give_back_forgotten.clone();
    let maintain = composition.maintain_storage.clone();
    let settle = composition.pay_dead_letters.clone();
    let stopped = as_stop(stop);
    let (stop_relay, stop_give_back, stop_maintain) = (stopped.clone(), stopped.clone(), stopped.clone());
    let mut background = vec![
        tokio::spawn(async move { relay.run(stop_relay).await }),
        tokio::spawn(async move { give_back.run(stop_give_back).await }),
        tokio::spawn(async move { maintain.run(stop_maintain).await }),
        tokio::spawn(settle.run(stopped.clone())),
    ];
    if let Some(kafka) = composition.kafka.clone() {
        let consume = composition.consume_messages.clone();
        background.push(tokio::spawn(async move {
            // A consumer finds a topic at once that is there when it begins.
            tokio::select! {
                () = kafka.prepare_topics() => {}
                () = stopped.clone() => {}
            }
            let consume = consume.map(|consume| consume.run(stopped.clone()));
            futures::join!(kafka.run(stopped), futures::future::OptionFuture::from(consume));
        }));
    }
    background
}

fn as_stop(token: &CancellationToken) -> Stop {
    token.clone().cancelled_owned().boxed().shared()
}

fn state(composition: &Composition, config: &Config, tasks: &TaskTracker) -> SharedState {
    Arc::new(AppState {
        authenticate: composition.authenticate.clone(),
        send_message: composition.send_message.clone(),
        read_messages: composition.read_messages.clone(),
        replay_messages: composition.replay_messages.clone(),
        create_instance: composition.create_instance.clone(),
        read_instances: composition.read_instances.clone(),
        update_instance: composition.update_instance.clone(),
        delete_instance: composition.delete_instance.clone(),
        report_health: composition.report_health.clone(),
        tasks: tasks.clone(),
        max_body_bytes: config.http.max_body_bytes,
    })
}
