//! What a gateway of the tests has from outside: time that the test moves, and a channel that does what it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::*;
use correio::domain::Timestamp;
use correio::domain::instance::ConnectionStatus;
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::credentials::Credentials;
use correio::domain::message::delivery::{Acceptance, DeliveryError};
use correio::domain::message::{Content, MessageId};
use correio::domain::problem::FieldProblem;
use tokio::sync::{Semaphore, watch};

use crate::support::given;

/// Time that passes when the test says so, and a wall clock that it may set.
pub struct ManualClock(watch::Sender<Duration>, Mutex<chrono::TimeDelta>);

impl ManualClock {
    pub fn new() -> Self {
        Self(watch::Sender::new(Duration::ZERO), Mutex::default())
    }

    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| *now += by);
    }

    /// Sets the wall clock by so many seconds.
    pub fn set_by(&self, seconds: i64) {
        *self.1.lock().unwrap() += chrono::TimeDelta::seconds(seconds);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        given::at(0) + *self.0.borrow() + *self.1.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        *self.0.borrow()
    }

    async fn sleep(&self, duration: Duration) {
        let end = self.monotonic() + duration;
        let _ = self.0.subscribe().wait_for(|now| *now >= end).await;
    }
}

/// What the channel does with the next message; without a word it accepts it.
pub enum Act {
    Fail(DeliveryError),
    Panic,
    /// Accepts it once the gate has been opened.
    Wait(Arc<Semaphore>),
}

#[derive(Default)]
pub struct ScriptedChannel {
    script: Mutex<VecDeque<Act>>,
    script_for: Mutex<HashMap<String, VecDeque<Act>>>,
    calls: Mutex<Vec<MessageId>>,
}

impl ScriptedChannel {
    pub fn next(&self, act: Act) {
        self.script.lock().unwrap().push_back(act);
    }

    /// What it does with the next message to this recipient.
    pub fn next_to(&self, recipient: &str, act: Act) {
        self.script_for.lock().unwrap().entry(recipient.to_owned()).or_default().push_back(act);
    }

    /// The messages that it was asked to deliver, in order.
    pub fn calls(&self) -> Vec<MessageId> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl ChannelSender for ScriptedChannel {
    fn channel(&self) -> ChannelName {
        ChannelName::new("webhook")
    }

    fn initial_status(&self) -> ConnectionStatus {
        ConnectionStatus::Connected
    }

    fn check_address(&self, _: &str) -> Result<(), Vec<FieldProblem>> {
        Ok(())
    }

    fn check_credentials(&self, _: Option<&serde_json::Value>) -> Result<NewCredentials, Vec<FieldProblem>> {
        Ok(NewCredentials { credentials: Credentials::new("{}"), reveal: None })
    }

    fn check_message(&self, _: &str, _: &Content) -> Result<(), Vec<FieldProblem>> {
        Ok(())
    }

    fn longest_try(&self) -> Duration {
        Duration::from_secs(30)
    }

    async fn send(&self, delivery: &Delivery) -> Result<Acceptance, DeliveryError> {
        self.calls.lock().unwrap().push(delivery.message_id);
        let own = self.script_for.lock().unwrap().get_mut(&delivery.recipient).and_then(VecDeque::pop_front);
        let act = own.or_else(|| self.script.lock().unwrap().pop_front());
        match act {
            None => {}
            Some(Act::Fail(error)) => return Err(error),
            Some(Act::Panic) => panic!("told to"),
            Some(Act::Wait(gate)) => drop(gate.acquire().await),
        }
        Ok(Acceptance { channel_message_id: Some("accepted".to_owned()), http_status: Some(200) })
    }
}
