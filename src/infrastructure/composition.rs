//! The composition root: picks adapters from the configuration and gives them to the use cases.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio_util::task::TaskTracker;

use crate::application::access::authenticate::Authenticate;
use crate::application::access::issue_api_key::IssueApiKey;
use crate::application::delivery::consume_messages::ConsumeMessages;
use crate::application::delivery::consumption::Limits;
use crate::application::delivery::deliver_message::DeliverMessage;
use crate::application::instances::create_instance::CreateInstance;
use crate::application::instances::delete_instance::DeleteInstance;
use crate::application::instances::read_instances::ReadInstances;
use crate::application::instances::update_instance::UpdateInstance;
use crate::application::messages::lanes::Lanes;
use crate::application::messages::read_messages::ReadMessages;
use crate::application::messages::replay_messages::ReplayMessages;
use crate::application::messages::send_message::SendMessage;
use crate::application::node::held_messages::HeldMessages;
use crate::application::node::keep_node_alive::KeepNodeAlive;
use crate::application::node::node_identity::NodeIdentity;
use crate::application::node::tally::Tally;
use crate::application::node::unreconciled::Unreconciled;
use crate::application::operations::maintain_storage::MaintainStorage;
use crate::application::operations::prepare_installation::PrepareInstallation;
use crate::application::operations::report_health::ReportHealth;
use crate::application::ports::{
    ApiKeyRepository, ChannelSender, Channels, Clock, CredentialsCipher, Ids, InstanceRepository, MessageQueue,
    MessageSource, Tasks,
};
use crate::application::recovery::give_back_forgotten::GiveBackForgotten;
use crate::application::recovery::pay_dead_letters::PayDeadLetters;
use crate::application::recovery::relay_due_messages::{RelayDueMessages, RelaySettings};
use crate::domain::message::retry::RetryPolicy;
use crate::infrastructure::auth::JwtVerifier;
use crate::infrastructure::channels::{
    EvolutionSettings, SandboxSender, WebhookSender, WebhookSettings, WhatsappEvolutionSender,
};
use crate::infrastructure::config::{Config, ConfigError, Role};
use crate::infrastructure::kafka::Kafka;
use crate::infrastructure::storage::database::Database;
use crate::infrastructure::storage::shared::CachedApiKeys;
use crate::infrastructure::storage::shared::CachedInstances;
use crate::infrastructure::system::{SystemClock, SystemIds, SystemRandomness};
use crate::infrastructure::transport::Transport;

/// The use cases of one process, on the adapters that its configuration asks for.
pub struct Composition {
    pub authenticate: Arc<Authenticate>,
    pub send_message: Arc<SendMessage>,
    pub read_messages: Arc<ReadMessages>,
    pub replay_messages: Arc<ReplayMessages>,
    pub create_instance: Arc<CreateInstance>,
    pub read_instances: Arc<ReadInstances>,
    pub update_instance: Arc<UpdateInstance>,
    pub delete_instance: Arc<DeleteInstance>,
    pub report_health: Arc<ReportHealth>,
    pub prepare_installation: PrepareInstallation,
    pub keep_node_alive: Arc<KeepNodeAlive>,
    pub give_back_forgotten: Arc<GiveBackForgotten>,
    pub relay_due_messages: Arc<RelayDueMessages>,
    pub pay_dead_letters: Arc<PayDeadLetters>,
    pub maintain_storage: Arc<MaintainStorage>,
    /// None in a process that calls no channels for others.
    pub consume_messages: Option<Arc<ConsumeMessages>>,
    pub queue: Arc<dyn MessageQueue>,
    /// Its work in the background, where there is a broker.
    pub kafka: Option<Arc<Kafka>>,
}

/// Every channel there is. A new one is one line here.
fn channels(config: &Config, clock: &Arc<dyn Clock>) -> Result<Channels, ConfigError> {
    let webhook = WebhookSettings { block_private: config.webhook_block_private, ..WebhookSettings::default() };
    let unusable = |error: crate::infrastructure::channels::ChannelSetupError| {
        ConfigError::new("WEBHOOK_BLOCK_PRIVATE", error.to_string())
    };
    let senders: Vec<Arc<dyn ChannelSender>> = vec![
        Arc::new(SandboxSender),
        Arc::new(WebhookSender::new(webhook, clock.clone()).map_err(unusable)?),
        Arc::new(WhatsappEvolutionSender::new(EvolutionSettings::default(), clock.clone()).map_err(unusable)?),
    ];
    Ok(Channels::new(senders))
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
) -> Result<Composition, ConfigError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ids: Arc<dyn Ids> = Arc::new(SystemIds::default());
    let api_keys: Arc<dyn ApiKeyRepository> = Arc::new(CachedApiKeys::new(database.api_keys.clone()));
    let instances: Arc<dyn InstanceRepository> = Arc::new(CachedInstances::new(database.instances.clone()));
    let channels = channels(config, &clock)?;
    let identity = NodeIdentity::new(clock.clone(), config.node_timeout);
    let held = HeldMessages::default();
    let unreconciled = Unreconciled::default();
    let tally = Tally::default();
    let tasks: Arc<dyn Tasks> = Arc::new(TrackedTasks(tasks.clone()));

    let transport = Transport::start(config, role, &clock, &unreconciled, |dead_letters| DeliverMessage {
        messages: database.messages.clone(),
        instances: instances.clone(),
        channels: channels.clone(),
        cipher: cipher.clone(),
        identity: identity.clone(),
        held: held.clone(),
        clock: clock.clone(),
        randomness: Arc::new(SystemRandomness),
        policy: RetryPolicy { backoff: config.retry_backoff.clone() },
        dead_letters,
        tally: tally.clone(),
    })?;
    let queue = transport.queue.clone();
    let (broker, dead_letter_topic) = (transport.broker(), transport.dead_letter_topic());
    let source = transport.consumer.as_ref().map(|consumer| consumer.source.clone() as Arc<dyn MessageSource>);
    let consume_messages = transport.consumer.zip(dead_letter_topic.clone()).map(|(consumer, dead_letters)| {
        Arc::new(ConsumeMessages {
            source: consumer.source,
            process: consumer.process,
            messages: database.messages.clone(),
            dead_letters,
            channels: channels.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
            limits: Limits::of(config.worker_concurrency),
        })
    });
    let create_instance = Arc::new(CreateInstance {
        instances: instances.clone(),
        channels: channels.clone(),
        cipher: cipher.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
    });

    Ok(Composition {
        authenticate: Arc::new(Authenticate {
            api_keys: api_keys.clone(),
            tokens: Arc::new(JwtVerifier::new(&config.jwt, clock.clone())?),
            clock: clock.clone(),
        }),
        send_message: Arc::new(SendMessage {
            messages: database.messages.clone(),
            instances: instances.clone(),
            channels: channels.clone(),
            queue: queue.clone(),
            identity: identity.clone(),
            held: held.clone(),
            lanes: Lanes::default(),
            unreconciled: unreconciled.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            tally: tally.clone(),
            max_tries: config.max_tries,
        }),
        read_messages: Arc::new(ReadMessages { search: database.search.clone(), channels: channels.clone() }),
        replay_messages: Arc::new(ReplayMessages { failed: database.failed.clone(), clock: clock.clone() }),
        read_instances: Arc::new(ReadInstances { instances: instances.clone(), channels: channels.clone() }),
        update_instance: Arc::new(UpdateInstance {
            instances: instances.clone(),
            channels,
            cipher,
            clock: clock.clone(),
        }),
        delete_instance: Arc::new(DeleteInstance {
            instances: instances.clone(),
            clock: clock.clone(),
            dead_letters: transport.dead_letters,
        }),
        report_health: Arc::new(ReportHealth {
            storage: database.storage.clone(),
            search: database.search.clone(),
            clock: clock.clone(),
            tally: tally.clone(),
            broker,
            // A process for everything is ready as soon as it can accept.
            required_source: source.filter(|_| role == Role::Worker),
            started_at: clock.monotonic(),
        }),
        prepare_installation: PrepareInstallation {
            api_keys: api_keys.clone(),
            issue_api_key: IssueApiKey { api_keys, clock: clock.clone(), ids: ids.clone() },
            create_instance: create_instance.clone(),
        },
        create_instance,
        keep_node_alive: Arc::new(KeepNodeAlive {
            nodes: database.nodes.clone(),
            due: database.due.clone(),
            identity: identity.clone(),
            clock: clock.clone(),
            ids,
            unreconciled: unreconciled.clone(),
            duties: transport.duties,
        }),
        give_back_forgotten: Arc::new(GiveBackForgotten {
            due: database.due.clone(),
            identity: identity.clone(),
            held: held.clone(),
            clock: clock.clone(),
        }),
        relay_due_messages: Arc::new(RelayDueMessages {
            due: database.due.clone(),
            nodes: database.nodes.clone(),
            queue: queue.clone(),
            identity: identity.clone(),
            held,
            unreconciled,
            clock: clock.clone(),
            tasks: tasks.clone(),
            settings: RelaySettings::default(),
        }),
        pay_dead_letters: Arc::new(PayDeadLetters {
            owed: database.owed_dead_letters.clone(),
            nodes: database.nodes.clone(),
            topic: dead_letter_topic,
            identity,
            clock: clock.clone(),
            tasks,
            tally,
        }),
        maintain_storage: Arc::new(MaintainStorage { storage: database.storage.clone(), clock }),
        consume_messages,
        queue,
        kafka: transport.kafka,
    })
}

/// Tasks that a stopping process waits for.
struct TrackedTasks(TaskTracker);

impl Tasks for TrackedTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.spawn(task);
    }
}
