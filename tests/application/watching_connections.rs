//! Instances that say nothing of themselves are asked about, by one process each.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::{Account, ChannelConnector, Clock, Connection, EventAddress};
use correio::domain::instance::ConnectionStatus;
use correio::domain::instance::channel::ChannelName;

use super::gateway::TestGateway;
use crate::contracts::on_every_adapter;
use crate::support::adapters::Adapters;
use crate::support::given;

on_every_adapter![an_instance_that_says_nothing_is_asked_about, of_two_processes_one_asks];

/// A provider that says of its instances what the test wants.
struct ScriptedConnector {
    channel: ChannelName,
    says: Mutex<Connection>,
    asked: Mutex<usize>,
}

impl ScriptedConnector {
    fn of(channel: &ChannelName) -> Arc<Self> {
        let says = Mutex::new(Connection::of(ConnectionStatus::Disconnected));
        Arc::new(Self { channel: channel.clone(), says, asked: Mutex::default() })
    }

    fn says(&self, connection: Connection) {
        *self.says.lock().unwrap() = connection;
    }

    fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    fn answer(&self) -> Connection {
        self.says.lock().unwrap().clone()
    }
}

#[async_trait]
impl ChannelConnector for ScriptedConnector {
    fn channel(&self) -> ChannelName {
        self.channel.clone()
    }

    fn longest_call(&self) -> Duration {
        Duration::from_secs(1)
    }

    async fn connect(&self, _: &Account, _: Option<&EventAddress>) -> Connection {
        self.answer()
    }

    async fn code(&self, _: &Account) -> Connection {
        self.answer()
    }

    async fn standing(&self, _: &Account) -> Connection {
        *self.asked.lock().unwrap() += 1;
        self.answer()
    }

    async fn takes_one_call(&self, _: &Account) -> Option<bool> {
        Some(true)
    }

    async fn restart(&self, _: &Account) -> Connection {
        self.answer()
    }

    async fn log_out(&self, _: &Account) -> Connection {
        self.answer()
    }

    async fn remove(&self, _: &Account) -> Result<(), String> {
        Ok(())
    }
}

async fn an_instance_that_says_nothing_is_asked_about(adapters: &Adapters) {
    let connector = ScriptedConnector::of(&given::instance("acme", "hook").channel);
    let gateway = TestGateway::connecting(adapters, connector.clone()).await;
    let stored = async || adapters.instances.find_any(gateway.instance.id).await.unwrap().unwrap();
    let _running = gateway.watch_connections();
    let becomes = async |status: ConnectionStatus| {
        gateway.until("its status is written", async || (stored().await.status == status).then_some(())).await;
    };
    becomes(ConnectionStatus::Disconnected).await;
    gateway.until("what it takes is known", async || stored().await.one_call_at_a_time).await;
    connector.says(Connection::of(ConnectionStatus::Connected));
    becomes(ConnectionStatus::Connected).await;

    // A provider that does not answer says nothing.
    connector.says(Connection::unanswered("it is away"));
    let asked = connector.asked();
    gateway.until("it is asked again", async || (connector.asked() >= asked + 2).then_some(())).await;
    assert_eq!(stored().await.status, ConnectionStatus::Connected);
    connector.says(Connection::failed("it has no such instance"));
    becomes(ConnectionStatus::Error).await;
}

/// For five minutes.
async fn asks(gateway: &TestGateway, connector: &ScriptedConnector) -> bool {
    let (before, since) = (connector.asked(), gateway.clock.monotonic());
    let _running = gateway.watch_connections();
    let is_over = || gateway.clock.monotonic().saturating_sub(since) >= Duration::from_secs(300);
    gateway.until("it asks, or does not", async || (connector.asked() > before || is_over()).then_some(())).await;
    connector.asked() > before
}

async fn of_two_processes_one_asks(adapters: &Adapters) {
    let connector = ScriptedConnector::of(&given::instance("acme", "hook").channel);
    let first = TestGateway::connecting(adapters, connector.clone()).await;
    let second = TestGateway::connecting(adapters, connector.clone()).await;
    assert_eq!(first.instance.id, second.instance.id);
    assert_ne!(asks(&first, &connector).await, asks(&second, &connector).await);
}
