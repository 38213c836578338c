//! Things to begin a story with.

use correio::application::ports::{Duties, Ids, Outcome, Take};
use correio::domain::Timestamp;
use correio::domain::channel::ChannelName;
use correio::domain::delivery::{Acceptance, DeliveryError, FailureKind};
use correio::domain::idempotency::{IdempotencyKey, IdempotentRequest};
use correio::domain::instance::{ConnectionStatus, Instance, InstanceId};
use correio::domain::message::{Content, Draft, Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use correio::domain::principal::{Principal, Scope, Tenant};
use correio::domain::retry::NextStep;
use correio::domain::secret::SealedCredentials;
use correio::infrastructure::system::SystemIds;
use std::sync::LazyLock;
use uuid::Uuid;

use crate::support::databases::Adapters;

static IDS: LazyLock<SystemIds> = LazyLock::new(SystemIds::default);

pub fn id() -> Uuid {
    IDS.next()
}

/// Noon, and so many seconds.
pub fn at(seconds: i64) -> Timestamp {
    "2026-11-23T12:00:00Z".parse::<Timestamp>().unwrap() + chrono::Duration::seconds(seconds)
}

pub fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

pub fn node() -> NodeId {
    NodeId(Uuid::new_v4())
}

pub fn instance(tenant_name: &str, name: &str) -> Instance {
    Instance {
        id: InstanceId(id()),
        tenant: tenant(tenant_name),
        user_id: "user".to_owned(),
        name: Some("Pedidos".to_owned()),
        channel: ChannelName::new("webhook"),
        channel_instance_id: name.to_owned(),
        channel_phone_or_id: "https://example.org/hook".to_owned(),
        status: ConnectionStatus::Connected,
        credentials: SealedCredentials(vec![0, 1, 255]),
        max_retries: Some(5),
        metadata: Some(r#"{"b":1.00,"a":"é"}"#.to_owned()),
        created_at: at(0),
        updated_at: at(0),
    }
}

/// A message of an instance, not stored yet.
pub fn message_of(instance: &Instance, status: MessageStatus, owner: NodeId) -> Message {
    let sender = Principal { tenant: instance.tenant.clone(), subject: "user".to_owned(), scopes: Scope::ALL.to_vec() };
    let content = Content { text: Some("Olá".to_owned()), ..Content::default() };
    let draft = Draft { recipient: "5585999999999".to_owned(), content, max_retries: None };
    Message::accept(&sender, instance, draft, 3, status, owner, MessageId(id()), at(0))
}

pub fn message(status: MessageStatus, owner: NodeId) -> Message {
    message_of(&instance("acme", "hook"), status, owner)
}

pub fn request(key: &str, fingerprint: u8) -> IdempotentRequest {
    IdempotentRequest { key: IdempotencyKey::parse(key.as_bytes()).unwrap(), fingerprint: [fingerprint; 32] }
}

/// How the try of `message` ended, ten seconds after noon.
pub fn outcome(message: &Message, next: NextStep) -> Outcome {
    let failed = matches!(next, NextStep::Failed { .. });
    Outcome {
        guard: message.guard(),
        next,
        started_at: at(9),
        finished_at: at(10),
        dead_lettered_at: failed.then(|| at(10)),
    }
}

pub fn sent() -> NextStep {
    NextStep::Sent(Acceptance { channel_message_id: Some("wamid.1".to_owned()), http_status: Some(201) })
}

pub fn retry(seconds: i64) -> NextStep {
    NextStep::Retry { at: at(seconds), error: DeliveryError::transient("away").with_http_status(503) }
}

pub fn failed() -> NextStep {
    let error = DeliveryError::refused("no such number").with_http_status(422);
    NextStep::Failed { failure: FailureKind::Recipient, error }
}

/// What a relay asks for that finds every known node alive, a consumer among them.
pub fn take(taker: NodeId, now: i64) -> Take {
    Take {
        node: taker,
        gone: vec![],
        left: vec![],
        unconsumed: false,
        lost_before: None,
        held: vec![],
        limit: 100,
        now: at(now),
    }
}

impl Adapters {
    pub async fn stored(&self, message: Message) -> Message {
        self.messages.accept(&message, None).await.unwrap();
        message
    }

    /// A node that is registered.
    pub async fn live_node(&self) -> NodeId {
        let node = node();
        self.nodes.register(node, Duties { publishes: true, consumes: true }, at(0)).await.unwrap();
        node
    }

    /// A stored message in one of the open states.
    pub async fn open(&self, status: MessageStatus, owner: NodeId) -> Message {
        match status {
            MessageStatus::Processing => {
                let message = self.stored(message(MessageStatus::Queued, owner)).await;
                self.messages.claim(message.id, owner, at(1)).await.unwrap().unwrap()
            }
            waiting => self.stored(message(waiting, owner)).await,
        }
    }

    /// A queued message that is due so many seconds after noon.
    pub async fn timed(&self, owner: NodeId, due: i64) -> Message {
        let claimed = self.open(MessageStatus::Processing, owner).await;
        assert!(self.messages.record(&outcome(&claimed, retry(due))).await.unwrap());
        self.now(&claimed).await
    }

    /// A queued message, failed by its first try ten seconds after noon.
    pub async fn failed(&self, message: Message, dead_lettered_at: Option<Timestamp>) -> Message {
        let message = self.stored(message).await;
        let claimed = self.messages.claim(message.id, message.node.unwrap(), at(1)).await.unwrap().unwrap();
        let outcome = Outcome { dead_lettered_at, ..outcome(&claimed, failed()) };
        assert!(self.messages.record(&outcome).await.unwrap());
        self.now(&claimed).await
    }

    pub async fn now(&self, message: &Message) -> Message {
        self.messages.find(message.id).await.unwrap().unwrap()
    }

    pub async fn taken(&self, take: &Take) -> Vec<MessageId> {
        self.due.take(take).await.unwrap().iter().map(|message| message.id).collect()
    }
}
