use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::Stop;
use correio::application::delivery::consumption::Limits;
use correio::application::gateway::{Brokered, Gateway, Ports, Settings, Transport};
use correio::application::messages::send_message::SendMessageCommand;
use correio::application::node::this_node::ThisNode;
use correio::application::ports::*;
use correio::domain::Timestamp;
use correio::domain::access::principal::{Principal, Scope};
use correio::domain::instance::credentials::Credentials;
use correio::domain::instance::{Instance, InstanceName};
use correio::domain::message::{Content, Draft, Guard, MaxTries, Message, MessageId, MessageStatus, Recipient};
use correio::domain::node::NodeId;
use correio::domain::receipt::StuckAfter;
use correio::infrastructure::auth::XChaChaCredentialsCipher;
use correio::infrastructure::config::KafkaConfig;
use correio::infrastructure::expressions::{BoundedExpressions, JsonSchemas};
use correio::infrastructure::kafka::Kafka;
use correio::infrastructure::system::{SystemIds, SystemRandomness};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};

use super::scripted::{ManualClock, ScriptedChannel};
use crate::support::databases::Adapters;
use crate::support::given;
use crate::support::memory_broker::MemoryBroker;
use crate::support::no_sign_in::NoSignIn;

/// More than any story sends at the same time.
const REQUESTS: usize = 4_096;

pub const NODE_TIMEOUT: Duration = Duration::from_secs(15);

/// Counts what the relay takes, and so hands over.
struct CountingDueMessages {
    due: Arc<dyn DueMessages>,
    taken: Arc<AtomicUsize>,
}

#[async_trait]
impl DueMessages for CountingDueMessages {
    async fn take(&self, take: &Take) -> Result<Vec<Message>, RepositoryError> {
        let taken = self.due.take(take).await?;
        self.taken.fetch_add(taken.len(), Ordering::Relaxed);
        Ok(taken)
    }

    async fn take_in_turns(&self, turns: &Turns) -> Result<TurnsTaken, RepositoryError> {
        let taken = self.due.take_in_turns(turns).await?;
        self.taken.fetch_add(taken.messages.len(), Ordering::Relaxed);
        Ok(taken)
    }

    async fn in_delivery(&self, nodes: &[NodeId]) -> Result<Vec<Guard>, RepositoryError> {
        self.due.in_delivery(nodes).await
    }

    async fn give_back(&self, forgotten: &[Forgotten], now: Timestamp) -> Result<u64, RepositoryError> {
        self.due.give_back(forgotten, now).await
    }

    async fn make_due(&self, messages: &[(MessageId, NodeId)], now: Timestamp) -> Result<u64, RepositoryError> {
        self.due.make_due(messages, now).await
    }

    async fn retime(&self, retiming: &Retiming) -> Result<Retimed, RepositoryError> {
        self.due.retime(retiming).await
    }

    async fn recall(&self, recall: &Recall) -> Result<Retimed, RepositoryError> {
        self.due.recall(recall).await
    }

    async fn call_in(&self, now: Timestamp, limit: u32) -> Result<u64, RepositoryError> {
        self.due.call_in(now, limit).await
    }
}

struct TokioTasks;

#[async_trait]
impl Tasks for TokioTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn spawn_service(&self, _: &'static str, service: BoxFuture<'static, ()>) {
        tokio::spawn(service);
    }

    fn under_way(&self) -> usize {
        0
    }

    async fn finished(&self) {}
}

/// No token is believed here.
struct NoTokens;

#[async_trait]
impl TokenVerifier for NoTokens {
    async fn verify(&self, _: &str) -> Result<Principal, TokenError> {
        Err(TokenError::Invalid("there are no tokens here".to_owned()))
    }
}

pub fn no_tokens() -> Arc<dyn TokenVerifier> {
    Arc::new(NoTokens)
}

pub fn directly(_: &ThisNode, _: &Arc<dyn Clock>) -> Transport {
    Transport::Direct
}

pub fn through_memory(broker: &Arc<MemoryBroker>) -> impl FnOnce(&ThisNode, &Arc<dyn Clock>) -> Transport {
    let broker = broker.clone();
    move |_, _| {
        Transport::Brokered(Brokered {
            broker: broker.clone(),
            queue: broker.clone(),
            dead_letters: broker.clone(),
            source: Some(broker),
        })
    }
}

pub fn through_kafka(config: KafkaConfig) -> impl FnOnce(&ThisNode, &Arc<dyn Clock>) -> Transport {
    move |node, clock| {
        let kafka = Arc::new(Kafka::start(&config, node.unreconciled.clone(), clock.clone()).unwrap());
        Transport::Brokered(Brokered {
            queue: kafka.queue.clone(),
            dead_letters: kafka.dead_letter_topic.clone(),
            source: Some(kafka.source(Duration::from_secs(60))),
            broker: kafka,
        })
    }
}

/// One process, without its HTTP, whose services run when the test says so.
pub struct TestGateway {
    pub gateway: Arc<Gateway>,
    pub clock: Arc<ManualClock>,
    pub channel: Arc<ScriptedChannel>,
    pub instance: Instance,
    pub taken_by_relay: Arc<AtomicUsize>,
    messages: Arc<dyn MessageRepository>,
}

impl Deref for TestGateway {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.gateway
    }
}

pub const CONCURRENCY: usize = 8;
pub const INSTANCE_CONCURRENCY: usize = 2;

const NODE_WATCH: &str = "node watch";
const RELAY: &str = "relay";
const COMPARISON: &str = "comparison";
const MAINTENANCE: &str = "maintenance";

impl TestGateway {
    /// In direct mode.
    pub async fn start(adapters: &Adapters) -> Self {
        Self::through(adapters, directly).await
    }

    pub async fn through(adapters: &Adapters, transport: impl FnOnce(&ThisNode, &Arc<dyn Clock>) -> Transport) -> Self {
        Self::assemble(adapters, transport, None, None).await
    }

    /// In direct mode; keeps messages for so long.
    pub async fn keeping(adapters: &Adapters, retention: Option<Duration>) -> Self {
        Self::assemble(adapters, directly, retention, None).await
    }

    /// In direct mode, with instances that have to be connected.
    pub async fn connecting(adapters: &Adapters, connector: Arc<dyn ChannelConnector>) -> Self {
        Self::assemble(adapters, directly, None, Some(connector)).await
    }

    async fn assemble(
        adapters: &Adapters,
        transport: impl FnOnce(&ThisNode, &Arc<dyn Clock>) -> Transport,
        retention: Option<Duration>,
        connector: Option<Arc<dyn ChannelConnector>>,
    ) -> Self {
        let manual = Arc::new(ManualClock::new());
        let clock: Arc<dyn Clock> = manual.clone();
        let channel = Arc::new(ScriptedChannel::default());
        let cipher: Arc<dyn CredentialsCipher> = Arc::new(XChaChaCredentialsCipher::new(&[7; 32], &[]));
        let mut instance = given::instance("acme", "hook");
        instance.credentials = cipher.seal(instance.id, &Credentials::new("{}")).unwrap();
        match adapters.instances.insert(&instance).await {
            // Another process of the test has made it.
            Err(RepositoryError::Conflict) => {
                let Instance { tenant, channel, channel_instance_id, .. } = &instance;
                let known = adapters.instances.find_by_name(tenant, channel, channel_instance_id).await;
                instance = known.unwrap().unwrap();
            }
            made => made.unwrap(),
        }
        let taken = Arc::new(AtomicUsize::new(0));
        let counting = Arc::new(CountingDueMessages { due: adapters.due.clone(), taken: taken.clone() });
        let node = ThisNode::new(clock.clone(), NODE_TIMEOUT);
        let transport = transport(&node, &clock);
        let mut channels = Channels::new([channel.clone() as Arc<dyn ChannelSender>]);
        if let Some(connector) = connector {
            channels.connect_by(connector);
        }
        let ports = Ports {
            stores: Stores { due: counting, ..adapters.stores.clone() },
            channels,
            cipher,
            tokens: no_tokens(),
            token_issuer: Arc::new(NoSignIn),
            passwords: Arc::new(NoSignIn),
            expressions: Arc::new(BoundedExpressions::default()),
            schemas: Arc::new(JsonSchemas::default()),
            sources: Arc::new([]),
            clock,
            ids: Arc::new(SystemIds::default()),
            randomness: Arc::new(SystemRandomness),
            tasks: Arc::new(TokioTasks),
            receiver: None,
            topics: None,
            kafka_rest: None,
        };
        let settings = Settings {
            max_tries: MaxTries::new(3).unwrap(),
            retry: given::retry_policy(),
            limits: Limits { concurrency: CONCURRENCY, records: 100, bytes: 1 << 20 },
            instance_concurrency: INSTANCE_CONCURRENCY,
            requests: REQUESTS,
            shutdown_timeout: Duration::from_secs(30),
            retention,
            is_alone: false,
            only_delivers: false,
            broadcast_ahead: 5_000,
            public_url: None,
            direct_timeout: Duration::from_secs(30),
            max_open_per_tenant: None,
            providers_are_open: false,
            secret_overlap: Duration::from_secs(24 * 60 * 60),
            stuck_after: StuckAfter::default(),
            sign_in_ttl: Duration::from_secs(60 * 60),
            request_limits: None,
        };
        let gateway = Arc::new(Gateway::assemble(ports, transport.clone(), node, settings));
        if let Transport::Brokered(brokered) = transport {
            // Of a clock that stands still it would ask for ever.
            let _ = tokio::time::timeout(Duration::from_secs(5), brokered.broker.prepare()).await;
        }
        gateway.keep_node_alive.register().await.unwrap();
        let messages = adapters.messages.clone();
        Self { gateway, clock: manual, channel, instance, taken_by_relay: taken, messages }
    }

    /// Does in the background what a process does, until this is dropped.
    pub fn work(&self) -> Running {
        self.run(|service| service != MAINTENANCE)
    }

    /// Relay and comparison, with the watch over the nodes.
    fn mind_rows(&self) -> Running {
        self.run(|service| [NODE_WATCH, RELAY, COMPARISON].contains(&service))
    }

    /// Consumes in the background until this is dropped.
    pub fn consume(&self) -> Running {
        self.run(|service| service == "consumer")
    }

    /// Publishes dead letters in the background until this is dropped.
    pub fn pay_dead_letters(&self) -> Running {
        self.run(|service| [NODE_WATCH, "dead letters"].contains(&service))
    }

    /// Asks providers in the background until this is dropped.
    pub fn watch_connections(&self) -> Running {
        self.run(|service| service == "connections")
    }

    /// Empties deleted instances in the background until this is dropped.
    pub fn empty_deleted_instances(&self) -> Running {
        self.run(|service| service == "deleted instances")
    }

    fn run(&self, wanted: impl Fn(&str) -> bool) -> Running {
        let services: Vec<_> = self.services().into_iter().filter(|service| wanted(service.name())).collect();
        assert!(!services.is_empty(), "there is no such service");
        Running::start(|stop: Stop| async move {
            join_all(services.into_iter().map(|service| service.run(stop.clone()))).await;
        })
    }

    /// Lets a little time pass, with a heartbeat, and a moment of real time: where a heartbeat costs none, hours would be
    /// over before the other threads have done anything.
    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.keep_node_alive.beat().await.unwrap();
        std::thread::sleep(Duration::from_micros(200));
        tokio::task::yield_now().await;
    }

    /// Lets time pass, with heartbeats, until `wanted` finds what it looks for.
    pub async fn until<T>(&self, what: &str, wanted: impl AsyncFn() -> Option<T>) -> T {
        for _ in 0..20_000 {
            if let Some(found) = wanted().await {
                return found;
            }
            self.pass(Duration::from_millis(100)).await;
        }
        panic!("never: {what}");
    }

    pub fn stored_messages(&self) -> &dyn MessageRepository {
        self.messages.as_ref()
    }

    pub fn command(&self, recipient: &str) -> SendMessageCommand {
        let content = Content { text: Some("Olá".to_owned()), ..Content::default() };
        SendMessageCommand {
            channel: self.instance.channel.clone(),
            channel_instance_id: InstanceName::parse(self.instance.channel_instance_id.clone()).unwrap(),
            draft: Draft::new(Recipient::parse(recipient).unwrap(), content),
            request: None,
        }
    }

    pub fn caller(&self) -> Principal {
        let tenant = self.instance.tenant.clone();
        Principal { tenant, subject: "user".to_owned(), scopes: Scope::ALL.to_vec() }
    }

    /// Lets the relay run and time pass, with heartbeats, until the message is as wanted.
    pub async fn relay_until(&self, id: MessageId, wanted: MessageStatus) -> Message {
        let running = self.mind_rows();
        let mut found = None;
        // An hour of its time is the deadline.
        for _ in 0..36_000 {
            self.pass(Duration::from_millis(100)).await;
            let message = self.messages.find(id).await.unwrap();
            if message.as_ref().is_some_and(|message| message.status == wanted) {
                found = message;
                break;
            }
            let ended = message.map(|message| message.status).filter(|status| !status.is_open());
            assert_eq!(ended, None, "message {id} ended otherwise");
        }
        running.stop().await;
        found.unwrap_or_else(|| panic!("message {id} never became {wanted}"))
    }

    pub fn cipher(&self) -> XChaChaCredentialsCipher {
        XChaChaCredentialsCipher::new(&[7; 32], &[])
    }

    pub fn credentials(&self) -> Credentials {
        Credentials::new("{}")
    }

    /// Lets the relay run and time pass until the message was put off so often.
    pub async fn until_put_off(&self, id: MessageId, times: u32) -> Message {
        let running = self.mind_rows();
        let put_off = async || self.messages.find(id).await.unwrap().filter(|message| message.deferrals >= times);
        let message = self.until("the message is put off", put_off).await;
        running.stop().await;
        message
    }

    /// Lets the relay run for so long of its time.
    pub async fn relay_for(&self, duration: Duration) {
        let running = self.mind_rows();
        let end = self.clock.monotonic() + duration;
        while self.clock.monotonic() < end {
            self.pass(Duration::from_millis(500)).await;
        }
        running.stop().await;
    }
}

/// A loop in the background.
pub struct Running {
    stop: Option<futures::channel::oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(Stop) -> F) -> Self {
        let (stop, stopped) = futures::channel::oneshot::channel::<()>();
        let stopped: Stop = stopped.map(|_| ()).boxed().shared();
        Self { stop: Some(stop), task: tokio::spawn(run(stopped)) }
    }

    /// Stops it in good order.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.task).await.unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
