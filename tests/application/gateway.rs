use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::Stop;
use correio::application::delivery::consume_messages::ConsumeMessages;
use correio::application::delivery::consumption::Limits;
use correio::application::delivery::deliver_message::DeliverMessage;
use correio::application::delivery::direct_message_queue::DirectMessageQueue;
use correio::application::messages::lanes::Lanes;
use correio::application::messages::send_message::{SendMessage, SendMessageCommand};
use correio::application::node::held_messages::HeldMessages;
use correio::application::node::keep_node_alive::KeepNodeAlive;
use correio::application::node::node_identity::NodeIdentity;
use correio::application::node::tally::Tally;
use correio::application::node::unreconciled::Unreconciled;
use correio::application::ports::*;
use correio::application::recovery::give_back_forgotten::GiveBackForgotten;
use correio::application::recovery::pay_dead_letters::PayDeadLetters;
use correio::application::recovery::relay_due_messages::{RelayDueMessages, RelaySettings};
use correio::domain::Timestamp;
use correio::domain::access::principal::{Principal, Scope};
use correio::domain::instance::Instance;
use correio::domain::instance::credentials::Credentials;
use correio::domain::message::dead_letter::DeadLetterPolicy;
use correio::domain::message::retry::RetryPolicy;
use correio::domain::message::{Content, Draft, Message, MessageId, MessageStatus};
use correio::infrastructure::auth::XChaChaCredentialsCipher;
use correio::infrastructure::config::KafkaConfig;
use correio::infrastructure::kafka::Kafka;
use correio::infrastructure::system::{SystemIds, SystemRandomness};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::scripted::{ManualClock, ScriptedChannel};
use crate::support::databases::Adapters;
use crate::support::given;
use crate::support::memory_broker::MemoryBroker;

pub const NODE_TIMEOUT: Duration = Duration::from_secs(15);

/// Counts what the relay hands over.
struct CountingQueue {
    queue: Arc<dyn MessageQueue>,
    handed_over: Arc<AtomicUsize>,
}

#[async_trait]
impl MessageQueue for CountingQueue {
    fn waiting_status(&self) -> MessageStatus {
        self.queue.waiting_status()
    }

    fn scope(&self) -> QueueScope {
        self.queue.scope()
    }

    fn free_capacity(&self) -> usize {
        self.queue.free_capacity()
    }

    async fn hand_over(&self, message: &Message) -> Result<Handover, QueueError> {
        self.handed_over.fetch_add(1, Ordering::Relaxed);
        self.queue.hand_over(message).await
    }

    fn lost_before(&self) -> Option<Timestamp> {
        self.queue.lost_before()
    }

    async fn close(&self) {
        self.queue.close().await;
    }
}

struct TokioTasks;

impl Tasks for TokioTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

/// How messages travel in a gateway.
pub struct Transport {
    pub queue: Arc<dyn MessageQueue>,
    /// Where they come back, and where they end when they cannot be delivered; none when handing over is delivering.
    pub broker: Option<(Arc<dyn MessageSource>, Arc<dyn DeadLetterTopic>)>,
    /// Its work in the background.
    pub kafka: Option<Arc<Kafka>>,
}

/// What a transport is made of.
pub struct Parts {
    pub process: Arc<DeliverMessage>,
    pub unreconciled: Unreconciled,
    pub clock: Arc<dyn Clock>,
}

pub fn directly(parts: &Parts) -> Transport {
    let queue = Arc::new(DirectMessageQueue::new(parts.process.clone(), 64));
    Transport { queue, broker: None, kafka: None }
}

pub fn through_memory(broker: &Arc<MemoryBroker>) -> impl FnOnce(&Parts) -> Transport {
    let broker = broker.clone();
    move |_| Transport { queue: broker.clone(), broker: Some((broker.clone(), broker)), kafka: None }
}

pub fn through_kafka(config: KafkaConfig) -> impl FnOnce(&Parts) -> Transport {
    move |parts| {
        let kafka = Arc::new(Kafka::start(&config, parts.unreconciled.clone(), parts.clock.clone()).unwrap());
        let broker = Some((kafka.source() as Arc<dyn MessageSource>, kafka.dead_letter_topic.clone() as _));
        Transport { queue: kafka.queue.clone(), broker, kafka: Some(kafka) }
    }
}

/// One process, without its HTTP.
pub struct Gateway {
    pub clock: Arc<ManualClock>,
    pub channel: Arc<ScriptedChannel>,
    pub instance: Instance,
    pub send_message: Arc<SendMessage>,
    pub keep_node_alive: KeepNodeAlive,
    pub queue: Arc<dyn MessageQueue>,
    pub identity: NodeIdentity,
    pub handed_over_by_relay: Arc<AtomicUsize>,
    pub unreconciled: Unreconciled,
    pub held: HeldMessages,
    relay: Arc<RelayDueMessages>,
    give_back: Arc<GiveBackForgotten>,
    pay_dead_letters: Arc<PayDeadLetters>,
    consume: Option<Arc<ConsumeMessages>>,
    kafka: Option<Arc<Kafka>>,
    messages: Arc<dyn MessageRepository>,
}

impl Gateway {
    /// In direct mode.
    pub async fn start(adapters: &Adapters) -> Self {
        Self::assemble(adapters, adapters.messages.clone(), DeadLetterPolicy::Row, directly).await
    }

    /// In direct mode, with a repository of the test's for what is accepted.
    pub async fn with_messages(adapters: &Adapters, accepting: Arc<dyn MessageRepository>) -> Self {
        Self::assemble(adapters, accepting, DeadLetterPolicy::Row, directly).await
    }

    /// With a broker.
    pub async fn through(adapters: &Adapters, transport: impl FnOnce(&Parts) -> Transport) -> Self {
        Self::assemble(adapters, adapters.messages.clone(), DeadLetterPolicy::Topic, transport).await
    }

    async fn assemble(
        adapters: &Adapters,
        accepting: Arc<dyn MessageRepository>,
        dead_letters: DeadLetterPolicy,
        transport: impl FnOnce(&Parts) -> Transport,
    ) -> Self {
        let manual = Arc::new(ManualClock::new());
        let clock: Arc<dyn Clock> = manual.clone();
        let channel = Arc::new(ScriptedChannel::default());
        let channels = Channels::new([channel.clone() as Arc<dyn ChannelSender>]);
        let cipher: Arc<dyn CredentialsCipher> = Arc::new(XChaChaCredentialsCipher::new(&[7; 32], &[]));
        let mut instance = given::instance("acme", "hook");
        instance.credentials = cipher.seal(instance.id, &Credentials::new("{}")).unwrap();
        adapters.instances.insert(&instance).await.unwrap();
        let identity = NodeIdentity::new(clock.clone(), NODE_TIMEOUT);
        let (held, unreconciled, tally) = (HeldMessages::default(), Unreconciled::default(), Tally::default());
        let ids: Arc<dyn Ids> = Arc::new(SystemIds::default());
        let tasks: Arc<dyn Tasks> = Arc::new(TokioTasks);
        let process = Arc::new(DeliverMessage {
            messages: adapters.messages.clone(),
            instances: adapters.instances.clone(),
            channels: channels.clone(),
            cipher,
            identity: identity.clone(),
            held: held.clone(),
            clock: clock.clone(),
            randomness: Arc::new(SystemRandomness),
            policy: RetryPolicy { backoff: [1, 4, 16].map(Duration::from_secs).to_vec() },
            dead_letters,
            tally: tally.clone(),
        });
        let parts = Parts { process: process.clone(), unreconciled: unreconciled.clone(), clock: clock.clone() };
        let Transport { queue, broker, kafka } = transport(&parts);
        let is_brokered = broker.is_some();
        let (source, topic) = broker.unzip();
        let consume = source.zip(topic.clone()).map(|(source, dead_letters)| {
            Arc::new(ConsumeMessages {
                source,
                process,
                messages: adapters.messages.clone(),
                dead_letters,
                channels: channels.clone(),
                clock: clock.clone(),
                tasks: tasks.clone(),
                limits: Limits { concurrency: 8, records: 100, bytes: 1 << 20 },
            })
        });
        let handed_over_by_relay = Arc::new(AtomicUsize::new(0));
        let gateway = Self {
            send_message: Arc::new(SendMessage {
                messages: accepting,
                instances: adapters.instances.clone(),
                channels,
                queue: queue.clone(),
                identity: identity.clone(),
                held: held.clone(),
                lanes: Lanes::default(),
                unreconciled: unreconciled.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
                tally: tally.clone(),
                max_tries: 3,
            }),
            keep_node_alive: KeepNodeAlive {
                nodes: adapters.nodes.clone(),
                due: adapters.due.clone(),
                identity: identity.clone(),
                clock: clock.clone(),
                ids,
                unreconciled: unreconciled.clone(),
                duties: Duties { publishes: is_brokered, consumes: is_brokered },
            },
            give_back: Arc::new(GiveBackForgotten {
                due: adapters.due.clone(),
                identity: identity.clone(),
                held: held.clone(),
                clock: clock.clone(),
            }),
            relay: Arc::new(RelayDueMessages {
                due: adapters.due.clone(),
                nodes: adapters.nodes.clone(),
                queue: Arc::new(CountingQueue { queue: queue.clone(), handed_over: handed_over_by_relay.clone() }),
                identity: identity.clone(),
                held: held.clone(),
                unreconciled: unreconciled.clone(),
                clock: clock.clone(),
                tasks: tasks.clone(),
                settings: RelaySettings::default(),
            }),
            pay_dead_letters: Arc::new(PayDeadLetters {
                owed: adapters.owed_dead_letters.clone(),
                nodes: adapters.nodes.clone(),
                topic,
                identity: identity.clone(),
                clock,
                tasks,
                tally,
            }),
            consume,
            kafka,
            messages: adapters.messages.clone(),
            clock: manual,
            channel,
            instance,
            queue,
            identity,
            handed_over_by_relay,
            unreconciled,
            held,
        };
        if let Some(kafka) = &gateway.kafka {
            // Of a clock that nobody moves it would ask for ever.
            let _ = tokio::time::timeout(Duration::from_secs(5), kafka.prepare_topics()).await;
        }
        gateway.keep_node_alive.register().await.unwrap();
        gateway
    }

    /// Does in the background what a process does: relay, dead letters, and what its transport needs. Until this is dropped.
    pub fn work(&self) -> Vec<Running> {
        let kafka = self.kafka.clone();
        let mut work = vec![self.mind_rows(), self.pay_dead_letters()];
        work.extend(self.consume.is_some().then(|| self.consume()));
        work.extend(kafka.map(|kafka| Running::start(async move |stop| kafka.run(stop).await)));
        work
    }

    /// Relay and comparison.
    fn mind_rows(&self) -> Running {
        let (relay, give_back) = (self.relay.clone(), self.give_back.clone());
        Running::start(async move |stop: Stop| _ = futures::join!(relay.run(stop.clone()), give_back.run(stop)))
    }

    /// Consumes in the background until this is dropped.
    pub fn consume(&self) -> Running {
        let consume = self.consume.clone().expect("a gateway with a broker");
        Running::start(|stop| consume.run(stop))
    }

    /// Publishes dead letters in the background until this is dropped.
    pub fn pay_dead_letters(&self) -> Running {
        let settle = self.pay_dead_letters.clone();
        Running::start(|stop| settle.run(stop))
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

    pub fn command(&self, recipient: &str) -> SendMessageCommand {
        let content = Content { text: Some("Olá".to_owned()), ..Content::default() };
        SendMessageCommand {
            channel: self.instance.channel.clone(),
            channel_instance_id: self.instance.channel_instance_id.clone(),
            draft: Draft { recipient: recipient.to_owned(), content, max_tries: None },
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
