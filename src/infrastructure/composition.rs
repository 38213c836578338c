//! The composition root: picks adapters from the configuration and gives them to the gateway.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::auth::{Argon2Passwords, JwtVerifier, TokenSigner, with_sign_in_secret};
use super::channels::{
    EvolutionConnector, EvolutionEvents, EvolutionGroups, EvolutionSettings, KafkaTopicSender, MetaEvents,
    MetaSettings, SandboxSender, WebhookSender, WebhookSettings, WhatsappEvolutionSender, WhatsappOficialSender,
};
use super::config::{Brokers, Config, ConfigError, QueueConfig, Role, STUCK_AFTER_NAME, TopicBrokers, TopicsConfig};
use super::expressions::{BoundedExpressions, JsonSchemas};
use super::http_client::{AddressGuard, BlockPrivate, ClientSetupError, announce_proxies, has_proxy};
use super::kafka::{
    Kafka, KafkaAdministration, KafkaRecordConsumers, Topics, administration, overtaken, start_topic_producer,
};
use super::receiving::receiver;
use super::storage::caching::{CachedApiKeys, CachedInstances, CachedUsers};
use super::storage::counting::counted;
use super::storage::database::Database;
use super::system::{SystemClock, SystemIds, SystemRandomness};
use crate::application::access::WatchTenants;
use crate::application::access::met_tenants::MetTenants;
use crate::application::delivery::admission::Admission;
use crate::application::delivery::consumption::Limits;
use crate::application::delivery::pacing::Pacing;
use crate::application::gateway::{
    Brokered, Gateway, KafkaRestPorts, Ports, Settings, StatusWebhookParts, StatusWebhooks, TopicPorts, Transport,
    status_webhooks,
};
use crate::application::instances::{ConnectInstance, CreateInstance, EventSecrets};
use crate::application::kafka_rest::OwnTopic;
use crate::application::node::this_node::ThisNode;
use crate::application::ports::{
    ChannelSender, Channels, Clock, CredentialsCipher, MessageSource, PublishError, Stores, Tasks, TopicProducer,
};
use crate::application::subscriptions::{ReplayEvents, ShapeMessage};
use crate::application::topics::{TopicsInstance, TopicsInstanceError};
use crate::domain::access::principal::Principal;
use crate::domain::instance::Instance;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::retry::RetryPolicy;
use crate::domain::receipt::StuckAfter;
use crate::domain::topic::{RecordPosition, TopicRecord};

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
    let mut channels = channels(config, &node, &clock)?;
    let stuck_after = stuck_after(config, &channels)?;
    let (kafka, topics) = kafka(config, &node, &clock)?;
    if let Some(topics) = &topics {
        channels.add(Arc::new(KafkaTopicSender::new(topics.producer.clone(), reserved_topics(kafka.as_deref()))));
    }
    // What its operators never had to make: the topic of webhooks.
    let made = TopicsConfig { auto_create: true, ..config.topics.clone() };
    let publishes = role.accepts() && config.events.webhook.is_some();
    let webhooks = if publishes { topic_producer(&made, kafka.as_deref(), &clock)? } else { None };
    let transport = transport(role, kafka, &channels);
    let jwt = with_sign_in_secret(config)?;
    let ports = Ports {
        stores: counted(cached(database.stores.clone()), &node.events),
        channels,
        cipher,
        tokens: Arc::new(JwtVerifier::new(&jwt, clock.clone())?),
        token_issuer: Arc::new(TokenSigner::new(&jwt)?),
        passwords: Arc::new(Argon2Passwords::default()),
        expressions: Arc::new(BoundedExpressions::default()),
        schemas: Arc::new(JsonSchemas::default()),
        sources: config.sources()?,
        clock: clock.clone(),
        ids: Arc::new(SystemIds::default()),
        randomness: Arc::new(SystemRandomness),
        tasks: Arc::new(TrackedTasks(tasks.clone())),
        receiver: if role.accepts() { Some(receiver(config, webhooks)?) } else { None },
        topics,
        kafka_rest: kafka_rest(config, &transport, &clock),
    };
    let settings = settings(config, role, database.is_embedded(), stuck_after);
    Ok(Gateway::assemble(ports, transport, node, settings))
}

fn settings(config: &Config, role: Role, is_alone: bool, stuck_after: StuckAfter) -> Settings {
    Settings {
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
        is_alone,
        only_delivers: role == Role::Worker,
        broadcast_ahead: config.delivery.broadcast_ahead,
        public_url: config.providers.public_url.clone(),
        providers_are_open: config.providers.are_open,
        secret_overlap: config.providers.secret_overlap,
        stuck_after,
        sign_in_ttl: config.access.sign_in_ttl,
        request_limits: config.access.limits.requests,
    }
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

/// What a command needs that makes, lists and tries subscriptions to states, and serves nothing.
///
/// # Errors
/// When no HTTP client can be built on this machine.
pub fn subscribe_to_states(
    config: &Config,
    stores: &Stores,
    cipher: Arc<dyn CredentialsCipher>,
) -> Result<(StatusWebhooks, WatchTenants), SetupError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let node = ThisNode::new(clock.clone(), config.delivery.node_timeout);
    let tasks = Arc::new(TrackedTasks(TaskTracker::new()));
    let pacing = Pacing::new(stores.paces.clone(), clock.clone(), tasks);
    let parts = StatusWebhookParts {
        subscriptions: stores.status_subscriptions.clone(),
        channels: channels(config, &node, &clock)?,
        cipher,
        clock: clock.clone(),
        ids: Arc::new(SystemIds::default()),
        tenants: node.tenants.clone(),
        admission: Admission::new(clock, config.delivery.instance_concurrency, pacing),
        overlap: config.providers.secret_overlap,
        timeout: config.delivery.direct_timeout,
    };
    let tenants = WatchTenants { api_keys: stores.api_keys.clone(), tenants: node.tenants };
    Ok((status_webhooks(parts), tenants))
}

/// After how long messages are stuck: on channels that say what becomes of them.
///
/// # Errors
/// When another channel is named.
fn stuck_after(config: &Config, channels: &Channels) -> Result<StuckAfter, ConfigError> {
    let after = &config.providers.stuck_after;
    let gives = |name: &ChannelName| channels.find(name).is_some_and(|sender| sender.gives_receipts());
    let Some(other) = after.of_channels.keys().find(|name| !gives(name)) else { return Ok(after.clone()) };
    let known: Vec<&str> = channels.names().filter(|name| gives(name)).map(ChannelName::as_str).collect();
    let sentence = format!("names `{other}`, and receipts come on {} only", known.join(", "));
    Err(ConfigError::new(STUCK_AFTER_NAME, sentence))
}

/// What a command needs that replays events, and serves nothing: what it makes belongs to a node that is not there, so that a
/// process that serves takes it.
///
/// # Errors
/// When no HTTP client can be built on this machine.
pub fn replay_events(config: &Config, stores: &Stores) -> Result<ReplayEvents, SetupError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let node = ThisNode::new(clock.clone(), config.delivery.node_timeout);
    let channels = channels(config, &node, &clock)?;
    let shape = ShapeMessage {
        expressions: Arc::new(BoundedExpressions::default()),
        instances: stores.instances.clone(),
        channels,
        identity: None,
        ids: Arc::new(SystemIds::default()),
        clock: clock.clone(),
    };
    Ok(ReplayEvents {
        subscriptions: stores.subscriptions.clone(),
        events: stores.events.clone(),
        deliveries: stores.event_deliveries.clone(),
        shape,
        clock,
    })
}

/// This process's ways to Kafka: the one place that asks whether there is a broker. Messages travel through the first, if there
/// is one; clients publish to topics through the second.
///
/// # Errors
/// When the configuration cannot be used. A broker that is away is not an error.
fn kafka(
    config: &Config,
    node: &ThisNode,
    clock: &Arc<dyn Clock>,
) -> Result<(Option<Arc<Kafka>>, Option<TopicPorts>), ConfigError> {
    let kafka = match &config.queue {
        QueueConfig::Direct => None,
        QueueConfig::Kafka(settings) => {
            Some(Arc::new(Kafka::start(settings, node.unreconciled.clone(), clock.clone())?))
        }
    };
    let producer = topic_producer(&config.topics, kafka.as_deref(), clock)?;
    let dead_letters = config.topics.dead_letters.clone();
    let topics = producer.map(|producer| TopicPorts { producer, dead_letters });
    Ok((kafka, topics))
}

/// The instance of records that a command takes over, which publishes none itself.
///
/// # Errors
/// When it cannot be made.
pub async fn topics_instance(
    owner: &Principal,
    stores: &Stores,
    cipher: Arc<dyn CredentialsCipher>,
) -> Result<Instance, TopicsInstanceError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let sender = KafkaTopicSender::new(Arc::new(NoTopics), Vec::new());
    let create = CreateInstance {
        instances: stores.instances.clone(),
        channels: Channels::new([Arc::new(sender) as Arc<dyn ChannelSender>]),
        cipher,
        clock,
        ids: Arc::new(SystemIds::default()),
        tenants: MetTenants::default(),
    };
    TopicsInstance { instances: stores.instances.clone(), create }.of(owner).await
}

/// Publishes nothing.
struct NoTopics;

impl TopicProducer for NoTopics {
    fn publish(&self, _: &str, _: TopicRecord) -> BoxFuture<'static, Result<RecordPosition, PublishError>> {
        Box::pin(std::future::ready(Err(PublishError::unanswered("This process publishes nothing."))))
    }

    fn is_connected(&self) -> bool {
        false
    }

    fn addresses(&self) -> Vec<String> {
        Vec::new()
    }

    fn troubles(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The way to topics, where brokers are configured that have them.
fn topic_producer(
    topics: &TopicsConfig,
    kafka: Option<&Kafka>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<dyn TopicProducer>>, ConfigError> {
    Ok(match (&topics.brokers, kafka) {
        (TopicBrokers::Addresses(addresses, security), _) => {
            Some(Arc::new(start_topic_producer(topics, addresses, security, clock.clone())?))
        }
        (TopicBrokers::OfMessages, Some(kafka)) => Some(Arc::new(kafka.topic_producer(topics)?)),
        (TopicBrokers::OfMessages, None) | (TopicBrokers::None, _) => None,
    })
}

/// Topics that are not clients'.
fn reserved_topics(kafka: Option<&Kafka>) -> Vec<String> {
    kafka.map_or_else(Vec::new, |kafka| vec![kafka.topics.send.clone(), kafka.topics.dead_letters.clone()])
}

/// How messages travel in this process.
fn transport(role: Role, kafka: Option<Arc<Kafka>>, channels: &Channels) -> Transport {
    let Some(kafka) = kafka else { return Transport::Direct };
    for sentence in channels.longest_tries().filter_map(|(name, longest)| overtaken(name, longest)) {
        warn!("{sentence}");
    }
    Transport::Brokered(Brokered {
        queue: kafka.queue.clone(),
        dead_letters: kafka.dead_letter_topic.clone(),
        source: role.delivers().then(|| kafka.source(channels.longest_try()) as Arc<dyn MessageSource>),
        broker: kafka,
    })
}

/// What is asked of a Kafka beside publishing, where brokers are configured.
fn kafka_rest(config: &Config, transport: &Transport, clock: &Arc<dyn Clock>) -> Option<KafkaRestPorts> {
    let (addresses, security) = match (&config.topics.brokers, &config.queue) {
        (TopicBrokers::Addresses(addresses, security), _) => (addresses.clone(), security),
        // An embedded one has an address of its own.
        (TopicBrokers::OfMessages, QueueConfig::Kafka(kafka)) => {
            (transport.brokered()?.broker.addresses(), &kafka.security)
        }
        (TopicBrokers::OfMessages, QueueConfig::Direct) | (TopicBrokers::None, _) => return None,
    };
    let (administration, consumers) = administration(&addresses, security, clock.clone());
    let topics = Arc::new(administration.clone());
    let own_group = match &config.queue {
        QueueConfig::Kafka(kafka) => Some(kafka.group_id.clone()),
        QueueConfig::Direct => None,
    };
    let own_topics = own_topics(config);
    let (groups, consumers) = (Arc::new(administration), Arc::new(consumers));
    Some(KafkaRestPorts { topics, groups, consumers, own_group, own_topics })
}

fn own_topics(config: &Config) -> Vec<OwnTopic> {
    let mut own =
        vec![OwnTopic { name: config.topics.dead_letters.clone(), content: "the records that Kafka did not take" }];
    if let QueueConfig::Kafka(kafka) = &config.queue {
        let Topics { send, dead_letters } = Topics::new(&kafka.topic_prefix);
        own.push(OwnTopic { name: send, content: "the messages that wait for their delivery" });
        own.push(OwnTopic { name: dead_letters, content: "the messages that failed" });
    }
    own
}

/// What a command asks of a Kafka.
///
/// # Errors
/// When no brokers are configured, or those within a server.
pub fn administer_kafka(config: &Config) -> Result<(KafkaAdministration, KafkaRecordConsumers), ConfigError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    match (&config.topics.brokers, &config.queue) {
        (TopicBrokers::Addresses(addresses, security), _) => Ok(administration(addresses, security, clock)),
        (TopicBrokers::OfMessages, QueueConfig::Kafka(kafka)) => match &kafka.brokers {
            Brokers::Addresses(addresses) => Ok(administration(addresses, &kafka.security, clock)),
            Brokers::Embedded => {
                Err(ConfigError::new("KAFKA_BROKERS", "must be brokers that other processes reach, not `embedded`"))
            }
        },
        _ => Err(ConfigError::new("KAFKA_BROKERS", "must be set: brokers like `kafka-1:9092` with commas in between")),
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
    channels.connect_by(Arc::new(EvolutionConnector::new(guard.clone(), clock.clone())?));
    channels.find_groups_in(Arc::new(EvolutionGroups::new(guard, clock.clone())?));
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
        users: Arc::new(CachedUsers::new(stores.users)),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infrastructure::storage::shared::GIVE_RECEIPTS;

    fn every_channel() -> Channels {
        let config = Config::read(|_| None).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let node = ThisNode::new(clock.clone(), config.delivery.node_timeout);
        channels(&config, &node, &clock).unwrap()
    }

    #[test]
    fn what_waits_for_receipts_is_indexed_of_every_channel_that_gives_them() {
        let channels = every_channel();
        let gives = |name: &&ChannelName| channels.find(name).is_some_and(|sender| sender.gives_receipts());
        let giving: Vec<&str> = channels.names().filter(gives).map(ChannelName::as_str).collect();
        assert_eq!(giving, GIVE_RECEIPTS);
    }

    #[test]
    fn a_time_of_a_channel_without_receipts_is_refused() {
        let of = |value: &'static str| {
            let config = Config::read(|name| (name == STUCK_AFTER_NAME).then(|| value.to_owned())).unwrap();
            stuck_after(&config, &every_channel()).map_err(|error| error.to_string())
        };
        assert!(of("whatsapp_evolution=1m,whatsapp_oficial=1h").is_ok());
        let expected =
            "STUCK_AFTER: names `webhook`, and receipts come on whatsapp_evolution, whatsapp_oficial only".to_owned();
        assert_eq!(of("webhook=1m"), Err(expected));
    }
}
