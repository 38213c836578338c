//! The composition root: picks adapters from the configuration and gives them to the gateway.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::auth::JwtVerifier;
use super::channels::{
    EvolutionConnector, EvolutionEvents, EvolutionSettings, MetaEvents, MetaSettings, SandboxSender, WebhookSender,
    WebhookSettings, WhatsappEvolutionSender, WhatsappOficialSender,
};
use super::config::{Config, ConfigError, DatabaseConfig, QueueConfig, Role, WebhookConfig};
use super::http_client::{AddressGuard, BlockPrivate, ClientSetupError, announce_proxies, has_proxy};
use super::kafka::{Kafka, overtaken};
use super::sources::PipedriveReader;
use super::spool::{self, FileSpool, FileSwitch, MissingSpool};
use super::storage::caching::{CachedApiKeys, CachedInstances};
use super::storage::database::Database;
use super::system::{SystemClock, SystemIds, SystemRandomness};
use super::tables::{PgEventTables, SqliteEventTables, read_plan};
use crate::application::access::WatchTenants;
use crate::application::delivery::consumption::Limits;
use crate::application::events::receive_webhook::ReceiverSettings;
use crate::application::events::receiver::{PlannedTables, ReceiverPorts};
use crate::application::gateway::{Brokered, Gateway, Ports, Settings, Transport};
use crate::application::instances::{ConnectInstance, EventSecrets};
use crate::application::node::this_node::ThisNode;
use crate::application::ports::{
    ChannelSender, Channels, Clock, CredentialsCipher, EventSpool, EventTables, MessageSource, RepositoryError, Stores,
    Tasks,
};
use crate::domain::event::Step;
use crate::domain::message::retry::RetryPolicy;

/// Why a process cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Http(#[from] ClientSetupError),
}

/// Puts a process together. What it must not be cancelled in the middle of runs in `tasks`.
///
/// # Errors
/// When the configuration cannot be used.
pub fn compose(
    config: &Config,
    role: Role,
    database: &Database,
    cipher: Arc<dyn CredentialsCipher>,
    tasks: &TaskTracker,
) -> Result<Gateway, SetupError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let node = ThisNode::new(clock.clone(), config.delivery.node_timeout);
    let channels = channels(config, &node, &clock)?;
    let transport = transport(config, role, &node, &clock, &channels)?;
    let ports = Ports {
        stores: cached(database.stores.clone()),
        channels,
        cipher,
        tokens: Arc::new(JwtVerifier::new(&config.access.jwt, clock.clone())?),
        clock,
        ids: Arc::new(SystemIds::default()),
        randomness: Arc::new(SystemRandomness),
        tasks: Arc::new(TrackedTasks(tasks.clone())),
        receiver: if role.accepts() { Some(receiver(config)?) } else { None },
    };
    let settings = Settings {
        max_tries: config.delivery.max_tries,
        retry: RetryPolicy {
            backoff: config.delivery.retry_backoff.clone(),
            undeliverable_after: config.delivery.undeliverable_after,
        },
        direct_timeout: config.delivery.direct_timeout,
        max_open_per_tenant: config.delivery.max_open_per_tenant,
        limits: Limits::of(config.delivery.worker_concurrency),
        instance_concurrency: config.delivery.instance_concurrency,
        requests: config.http.max_in_flight,
        shutdown_timeout: config.delivery.shutdown_timeout,
        retention: config.storage.retention,
        is_alone: database.is_embedded(),
        only_delivers: role == Role::Worker,
        public_url: config.providers.public_url.clone(),
        providers_are_open: config.providers.are_open,
        secret_overlap: config.providers.secret_overlap,
    };
    Ok(Gateway::assemble(ports, transport, node, settings))
}

/// What takes events in, and where they wait while the database is away.
fn receiver(config: &Config) -> Result<ReceiverPorts, ConfigError> {
    let root = spool::root(&config.storage.data_dir);
    let spool: Arc<dyn EventSpool> = match FileSpool::open(&root, config.events.spool_max_bytes) {
        Ok(spool) => Arc::new(spool),
        // What runs on another machine's database may have no disk to write to.
        Err(error) => {
            let sentence =
                format!("events cannot be kept in {} while the database is away (DATA_DIR): {error}", root.display());
            warn!("{sentence}");
            Arc::new(MissingSpool(sentence))
        }
    };
    Ok(ReceiverPorts {
        spool,
        emergency: Arc::new(FileSwitch::new(root, config.events.emergency)),
        reader: Arc::new(PipedriveReader),
        webhook: config.events.webhook.as_ref().map(|webhook| webhook_settings(config, webhook)),
        tables: match &config.events.webhook {
            Some(webhook) => tables(config, webhook)?,
            None => None,
        },
    })
}

/// How the webhooks of a CRM are taken in.
pub fn webhook_settings(_: &Config, webhook: &WebhookConfig) -> ReceiverSettings {
    ReceiverSettings {
        tenant: webhook.tenant.clone(),
        source: "webhook".to_owned(),
        steps: if webhook.tables.is_some() { vec![Step::Tables] } else { Vec::new() },
        companies: webhook.companies.clone(),
    }
}

/// The tables that events are written to, where a file says so.
fn tables(config: &Config, webhook: &WebhookConfig) -> Result<Option<PlannedTables>, ConfigError> {
    let Some(path) = &webhook.tables else { return Ok(None) };
    let plan = read_plan(path).map_err(|sentence| ConfigError::new("WEBHOOK_TABLES", sentence))?;
    let tables: Arc<dyn EventTables> = match (&webhook.tables_url, &config.storage.database) {
        (Some(url), _) | (None, DatabaseConfig::Postgres { url }) => {
            let unusable = |error: RepositoryError| ConfigError::new("WEBHOOK_TABLES_URL", error.to_string());
            Arc::new(PgEventTables::new(url, plan.clone()).map_err(unusable)?)
        }
        (None, DatabaseConfig::Sqlite { path }) => Arc::new(SqliteEventTables::new(path, plan.clone())),
    };
    Ok(Some(PlannedTables { tables, plan }))
}

/// What a command needs that connects instances, and serves nothing.
///
/// # Errors
/// When no HTTP client can be built on this machine.
pub fn connect_instances(
    config: &Config,
    stores: &Stores,
    cipher: Arc<dyn CredentialsCipher>,
) -> Result<(ConnectInstance, WatchTenants), SetupError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let node = ThisNode::new(clock.clone(), config.delivery.node_timeout);
    let channels = channels(config, &node, &clock)?;
    let tenants = WatchTenants { api_keys: stores.api_keys.clone(), tenants: node.tenants.clone() };
    let instances = stores.instances.clone();
    let public_url = config.providers.public_url.clone();
    let overlap = config.providers.secret_overlap;
    let secrets = EventSecrets { instances: instances.clone(), cipher: cipher.clone(), clock: clock.clone(), overlap };
    Ok((ConnectInstance { instances, channels, cipher, clock, public_url, secrets }, tenants))
}

/// How messages travel in this process: the one place that asks whether there is a broker.
///
/// # Errors
/// When the configuration cannot be used. A broker that is away is not an error.
fn transport(
    config: &Config,
    role: Role,
    node: &ThisNode,
    clock: &Arc<dyn Clock>,
    channels: &Channels,
) -> Result<Transport, ConfigError> {
    match &config.queue {
        QueueConfig::Direct => Ok(Transport::Direct),
        QueueConfig::Kafka(settings) => {
            for sentence in channels.longest_tries().filter_map(|(name, longest)| overtaken(name, longest)) {
                warn!("{sentence}");
            }
            let kafka = Arc::new(Kafka::start(settings, node.unreconciled.clone(), clock.clone())?);
            Ok(Transport::Brokered(Brokered {
                queue: kafka.queue.clone(),
                dead_letters: kafka.dead_letter_topic.clone(),
                source: role.delivers().then(|| kafka.source(channels.longest_try()) as Arc<dyn MessageSource>),
                broker: kafka,
            }))
        }
    }
}

/// Every channel there is: a new one is one line here.
fn channels(config: &Config, node: &ThisNode, clock: &Arc<dyn Clock>) -> Result<Channels, ClientSetupError> {
    let guard = Arc::new(address_guard(config, node));
    let webhook = WebhookSettings { guard: guard.clone(), ..WebhookSettings::default() };
    let evolution = EvolutionSettings { guard: guard.clone(), ..EvolutionSettings::default() };
    let meta = MetaSettings { guard: guard.clone(), ..MetaSettings::default() };
    let sandbox = SandboxSender::new(clock.clone());
    let sandbox_name = sandbox.channel();
    let senders: Vec<Arc<dyn ChannelSender>> = vec![
        Arc::new(WebhookSender::new(webhook, clock.clone())?),
        Arc::new(WhatsappEvolutionSender::new(evolution, clock.clone())?),
        Arc::new(WhatsappOficialSender::new(meta, clock.clone())?),
        Arc::new(sandbox),
    ];
    let mut channels = Channels::new(senders);
    channels.connect_by(Arc::new(EvolutionConnector::new(guard, clock.clone())?));
    channels.read_events_by(Arc::new(EvolutionEvents));
    channels.read_signed_events_by(Arc::new(MetaEvents));
    if !config.has_sandbox() {
        channels.switch_off(sandbox_name, "The sandbox is switched off (SANDBOX_ENABLED).");
    }
    Ok(channels)
}

/// The end of a line about the guard.
const UNUSED_PROXIES: &str = "; the proxies of HTTPS_PROXY, HTTP_PROXY and ALL_PROXY are not used for tenants' URLs, as they would look names up themselves";

/// What tenants' URLs may reach.
fn address_guard(config: &Config, node: &ThisNode) -> AddressGuard {
    let block = match config.channels.block_private {
        Some(true) => {
            if has_proxy() {
                warn!("channels call public addresses only (CHANNELS_BLOCK_PRIVATE){UNUSED_PROXIES}");
            }
            BlockPrivate::Always
        }
        Some(false) => {
            announce_proxies();
            BlockPrivate::Never
        }
        None => {
            announce_proxies();
            node.tenants.at_the_first(|| {
                let proxies = if has_proxy() { UNUSED_PROXIES } else { "" };
                warn!(
                    "there are several tenants: channels call public addresses only from now on; CHANNELS_ALLOW names exceptions, \
                     CHANNELS_BLOCK_PRIVATE=false permits all{proxies}"
                );
            });
            BlockPrivate::AmongTenants(node.tenants.clone())
        }
    };
    AddressGuard::new(block, config.channels.allow.clone())
}

fn cached(stores: Stores) -> Stores {
    Stores {
        api_keys: Arc::new(CachedApiKeys::new(stores.api_keys)),
        instances: Arc::new(CachedInstances::new(stores.instances)),
        ..stores
    }
}

/// Tasks that a stopping process waits for.
struct TrackedTasks(TaskTracker);

#[async_trait]
impl Tasks for TrackedTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.spawn(task);
    }

    fn spawn_service(&self, _: &'static str, service: BoxFuture<'static, ()>) {
        tokio::spawn(service);
    }

    fn under_way(&self) -> usize {
        self.0.len()
    }

    async fn finished(&self) {
        self.0.close();
        self.0.wait().await;
    }
}
