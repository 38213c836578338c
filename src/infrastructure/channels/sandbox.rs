use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::http::credentials_object;
use crate::application::ports::{ChannelSender, Clock, Delivery, NewCredentials};
use crate::domain::instance::ConnectionStatus;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::Credentials;
use crate::domain::message::Content;
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::problem::FieldProblem;

/// However often a recipient says `slow-`, a try takes no longer than one of a real channel.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Delivers nowhere: the recipient says how a try shall end. For trying out a client without a channel behind it.
pub struct SandboxSender {
    clock: Arc<dyn Clock>,
}

impl SandboxSender {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock }
    }
}

#[async_trait]
impl ChannelSender for SandboxSender {
    fn channel(&self) -> ChannelName {
        ChannelName::new("sandbox")
    }

    fn initial_status(&self) -> ConnectionStatus {
        ConnectionStatus::Connected
    }

    fn check_address(&self, _address: &str) -> Result<(), Vec<FieldProblem>> {
        Ok(())
    }

    fn check_credentials(&self, given: Option<&Value>) -> Result<NewCredentials, Vec<FieldProblem>> {
        match given {
            None | Some(Value::Null) => {}
            Some(Value::Object(members)) if members.is_empty() => {}
            Some(_) => {
                return Err(vec![FieldProblem::new(
                    credentials_object::PATH,
                    "must be absent: the sandbox takes none",
                )]);
            }
        }
        Ok(NewCredentials { credentials: Credentials::new(Value::Object(Map::new()).to_string()), reveal: None })
    }

    fn check_message(&self, _recipient: &str, _content: &Content) -> Result<(), Vec<FieldProblem>> {
        Ok(())
    }

    /// Recipients are commands, not people: tests send one command many times at once, and must not be serialised.
    fn keeps_order(&self) -> bool {
        false
    }

    fn longest_try(&self) -> Duration {
        LONGEST_WAIT
    }

    async fn send(&self, delivery: &Delivery) -> Result<Acceptance, DeliveryError> {
        let (wait, rest) = wait_asked(&delivery.recipient);
        self.clock.sleep(wait).await;
        if rest.starts_with("fail-transient") {
            return Err(DeliveryError::transient("The sandbox simulates a failure that may pass"));
        }
        if rest.starts_with("fail-permanent") {
            return Err(DeliveryError::refused("The sandbox simulates a refused recipient"));
        }
        Ok(Acceptance { channel_message_id: Some(format!("sandbox-{}", delivery.message_id)), http_status: None })
    }
}

/// How long `recipient` asks to wait, and what it asks for then.
fn wait_asked(recipient: &str) -> (Duration, &str) {
    let mut wait = Duration::ZERO;
    let mut rest = recipient;
    while let Some((milliseconds, after)) = slow(rest) {
        wait = wait.saturating_add(Duration::from_millis(milliseconds)).min(LONGEST_WAIT);
        rest = after;
    }
    (wait, rest)
}

/// Reads `slow-<n>ms`, and the `-` that may follow.
fn slow(text: &str) -> Option<(u64, &str)> {
    let (digits, rest) = text.strip_prefix("slow-")?.split_once("ms")?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than fit are simply long.
    let milliseconds = digits.parse().unwrap_or(u64::MAX);
    Some((milliseconds, rest.strip_prefix('-').unwrap_or(rest)))
}
