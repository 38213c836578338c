//! An instance, a message of it and the channels that there are, as tests and benches begin with them.

use std::sync::{Arc, LazyLock};

use correio::application::ports::{Channels, Ids};
use correio::domain::Timestamp;
use correio::domain::access::principal::{Principal, Scope, Tenant};
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::credentials::SealedCredentials;
use correio::domain::instance::{ConnectionStatus, Instance, InstanceId};
use correio::domain::message::{Content, Draft, MaxTries, Message, MessageId, MessageStatus, Recipient};
use correio::domain::node::NodeId;
use correio::infrastructure::channels::SandboxSender;
use correio::infrastructure::system::{SystemClock, SystemIds};
use uuid::Uuid;

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
        max_tries: Some(5),
        event_secret: None,
        retry_unknown: None,
        one_call_at_a_time: None,
        rate_limit_per_minute: None,
        burst: None,
        metadata: Some(r#"{"b":1.00,"a":"é"}"#.to_owned()),
        created_at: at(0),
        updated_at: at(0),
    }
}

/// A message of an instance, not stored yet.
pub fn message_of(instance: &Instance, status: MessageStatus, owner: NodeId) -> Message {
    let sender = Principal { tenant: instance.tenant.clone(), subject: "user".to_owned(), scopes: Scope::ALL.to_vec() };
    let content = Content { text: Some("Olá".to_owned()), ..Content::default() };
    let draft = Draft::new(Recipient::parse("5585999999999").unwrap(), content);
    let tries = MaxTries::new(3).unwrap();
    Message::accept(&sender, instance, draft, tries, status, owner, MessageId(id()), at(0))
}

/// The sandbox alone.
#[allow(dead_code, reason = "for the unit tests of the crate and for benches")]
pub fn channels() -> Channels {
    Channels::new([Arc::new(SandboxSender::new(Arc::new(SystemClock::new()))) as _])
}
