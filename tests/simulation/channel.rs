//! The channel of the simulation: takes messages, refuses them, is slow, and loses its answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::node::answered_claims::AnsweredClaims;
use correio::application::ports::*;
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::credentials::Credentials;
use correio::domain::instance::{ConnectionStatus, InstanceId};
use correio::domain::message::delivery::{Acceptance, DeliveryError};
use correio::domain::message::{Content, Guard, MessageId, MessageStatus};
use correio::domain::problem::FieldProblem;
use uuid::Uuid;

use super::scheduler::{OUTSIDE, ProcessId, Scheduler, TOLD_TO_PANIC};

/// Longer than `NODE_TIMEOUT`.
pub const LONGEST_TRY: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug, Default)]
pub struct Mood {
    pub transient: f64,
    pub permanent: f64,
    /// The request never arrives, and nobody learns of that either.
    pub request_lost: f64,
    /// It took the message, and nobody learns of it.
    pub answer_lost: f64,
    pub slow: f64,
    pub panics: f64,
    /// Calls of the second instance take as long as they may.
    pub second_hangs: bool,
}

/// The name of the instance that may hang.
pub const SECOND: &str = "second";

/// What it did with a message that it was called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Taken,
    TakenUnanswered,
    NeverArrived,
    RefusedForNow,
    RefusedForGood,
    Panicked,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub message: MessageId,
    /// Who called.
    pub by: ProcessId,
    pub at: Duration,
    pub deed: Deed,
}

#[derive(Clone)]
pub struct SimChannel {
    scheduler: Scheduler,
    /// Who calls through this one.
    process: ProcessId,
    mood: Arc<Mutex<Mood>>,
    calls: Arc<Mutex<Vec<Call>>>,
    /// Who hears later what became of what it took.
    provider: Option<Arc<dyn Provider>>,
    /// Loses what it knows of a try that panics: a planted mistake.
    forgets: Option<AnsweredClaims>,
}

/// Whoever says later what became of messages.
pub trait Provider: Send + Sync {
    fn has_taken(&self, taken: Taken);
}

/// A message that the channel has.
#[derive(Clone, Debug)]
pub struct Taken {
    pub message: MessageId,
    pub instance: InstanceId,
    /// By which the channel knows it.
    pub name: String,
    /// How often it had been replayed.
    pub run: u32,
    /// What is said of it later repeats our own id.
    pub has_our_id: bool,
}

pub const FIRST_ID: InstanceId = InstanceId(Uuid::from_u128(1));

/// Of the instance that may hang, and may be deleted.
pub const SECOND_ID: InstanceId = InstanceId(Uuid::from_u128(2));

impl SimChannel {
    pub fn new(scheduler: Scheduler, provider: Option<Arc<dyn Provider>>) -> Self {
        Self { scheduler, process: OUTSIDE, mood: Arc::default(), calls: Arc::default(), provider, forgets: None }
    }

    /// By which name the channel knows what it takes, and by which we do when it does not answer: the first instance takes a name
    /// of ours, which is the same on every try of a run; the second gives one of its own to each try, and repeats our id.
    fn names(&self, delivery: &Delivery) -> (String, String) {
        let ours = delivery.message_id.to_string();
        if delivery.channel_instance_id == SECOND {
            return (format!("{ours} taken {}", self.calls.lock().unwrap().len()), ours);
        }
        let name = format!("{ours} in run {}", delivery.run);
        (name.clone(), name)
    }

    /// It has the message, and hears later what becomes of it.
    fn takes(&self, delivery: &Delivery, name: &str) {
        // Of what tells of others nothing is said.
        if delivery.channel_instance_id.starts_with("status:") {
            return;
        }
        let is_second = delivery.channel_instance_id == SECOND;
        let instance = if is_second { SECOND_ID } else { FIRST_ID };
        let (message, name, run) = (delivery.message_id, name.to_owned(), delivery.run);
        if let Some(provider) = &self.provider {
            provider.has_taken(Taken { message, instance, name, run, has_our_id: is_second });
        }
    }

    /// The same channel, as this process reaches it.
    pub fn of(&self, process: ProcessId, forgets: Option<AnsweredClaims>) -> Self {
        Self { process, forgets, ..self.clone() }
    }

    pub fn mood(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    fn forget(&self, id: MessageId) {
        for try_number in self.forgets.iter().flat_map(|_| 0..100) {
            let guard = Guard { id, status: MessageStatus::Processing, node: None, try_number };
            self.forgets.iter().for_each(|answered| answered.forget(&guard));
        }
    }
}

#[async_trait]
impl ChannelSender for SimChannel {
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
        LONGEST_TRY
    }

    fn gives_receipts(&self) -> bool {
        self.provider.is_some()
    }

    async fn send(&self, delivery: &Delivery) -> Result<Acceptance, DeliveryError> {
        let mood = *self.mood.lock().unwrap();
        let scheduler = &self.scheduler;
        let drawn = scheduler.draw(fastrand::Rng::f64);
        let steps = [
            (mood.transient, Deed::RefusedForNow),
            (mood.permanent, Deed::RefusedForGood),
            (mood.request_lost, Deed::NeverArrived),
            (mood.answer_lost, Deed::TakenUnanswered),
            (mood.panics, Deed::Panicked),
        ];
        let mut upto = 0.0;
        let deed = steps.into_iter().find(|(likely, _)| {
            upto += likely;
            drawn < upto
        });
        let deed = deed.map_or(Deed::Taken, |(_, deed)| deed);
        let at = scheduler.now();
        let call = Call { message: delivery.message_id, by: self.process, at, deed };
        self.calls.lock().unwrap().push(call);
        let (name, known_as) = self.names(delivery);
        if matches!(deed, Deed::Taken | Deed::TakenUnanswered) {
            self.takes(delivery, &name);
        }
        if mood.second_hangs && delivery.channel_instance_id == SECOND {
            scheduler.sleep(LONGEST_TRY).await;
        } else if scheduler.chance(mood.slow) {
            // Most take less time than others wait for a node, some take more.
            let longest = if scheduler.chance(0.1) { LONGEST_TRY } else { Duration::from_secs(3) };
            scheduler.sleep(scheduler.between(Duration::from_millis(10), longest)).await;
        } else {
            scheduler.sleep(scheduler.between(Duration::ZERO, Duration::from_millis(50))).await;
        }
        let error = match deed {
            Deed::Taken => return Ok(Acceptance { channel_message_id: Some(name), http_status: Some(200) }),
            Deed::TakenUnanswered | Deed::NeverArrived => DeliveryError::unknown("no answer"),
            Deed::RefusedForNow => DeliveryError::transient("away"),
            Deed::RefusedForGood => DeliveryError::refused("no such number"),
            Deed::Panicked => {
                self.forget(delivery.message_id);
                std::panic::panic_any(TOLD_TO_PANIC)
            }
        };
        Err(error.known_as(&known_as))
    }
}
