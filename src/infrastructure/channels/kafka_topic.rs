use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::http::credentials_object;
use crate::application::ports::{
    ChannelSender, Delivery, LONGEST_PUBLICATION, NewCredentials, PublishError, PublishErrorKind, Refusal,
    TopicProducer,
};
use crate::application::topics::{self, RefusedFor};
use crate::domain::access::principal::Scope;
use crate::domain::instance::ConnectionStatus;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::Credentials;
use crate::domain::message::Content;
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::problem::FieldProblem;
use crate::domain::topic::{Origin, TopicName, TopicRecord};

/// Publishes messages as records: the recipient is the topic, the payload or the text the value.
pub struct KafkaTopicSender {
    producer: Arc<dyn TopicProducer>,
    /// Topics that other messages travel through.
    reserved: Vec<String>,
}

/// A record that no broker answers about, or that found no room in the producer, asks again after this.
const UNANSWERED_PAUSE: Duration = Duration::from_secs(2);

/// What records of an ERP have said of themselves since before Correio.
const SOURCE: &str = "protheus-middleware";

impl KafkaTopicSender {
    pub fn new(producer: Arc<dyn TopicProducer>, reserved: Vec<String>) -> Self {
        Self { producer, reserved }
    }
}

#[async_trait]
impl ChannelSender for KafkaTopicSender {
    fn channel(&self) -> ChannelName {
        ChannelName::new(topics::CHANNEL)
    }

    fn scope(&self) -> Option<Scope> {
        Some(Scope::TopicsWrite)
    }

    fn initial_status(&self) -> ConnectionStatus {
        ConnectionStatus::Connected
    }

    fn check_address(&self, _address: &str) -> Result<(), Vec<FieldProblem>> {
        Ok(())
    }

    fn check_credentials(&self, given: Option<&Value>) -> Result<NewCredentials, Vec<FieldProblem>> {
        match given {
            None | Some(Value::Null) => Ok(NewCredentials { credentials: Credentials::new("{}"), reveal: None }),
            Some(_) => Err(vec![FieldProblem::new(
                credentials_object::PATH,
                "must be absent: the brokers are the installation's (KAFKA_BROKERS)",
            )]),
        }
    }

    fn check_message(&self, recipient: &str, content: &Content) -> Result<(), Vec<FieldProblem>> {
        let mut problems = Vec::new();
        match TopicName::parse(recipient) {
            Err(error) => problems.push(FieldProblem::new("/remoteJid", error.to_string())),
            Ok(topic) if self.reserved.iter().any(|reserved| reserved == topic.as_str()) => {
                problems.push(FieldProblem::new("/remoteJid", "names a topic that messages travel through"));
            }
            Ok(_) => {}
        }
        if content.media.is_some() {
            problems.push(FieldProblem::new("/mediaUrl", "is not known to this channel"));
        }
        if content.text.is_some() && content.payload.is_some() {
            problems
                .push(FieldProblem::new("/message", "must be absent where there is a payload: a record has one value"));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// A topic takes many records at once. Those of one key are in order when they are published one after the other.
    fn keeps_order(&self) -> bool {
        false
    }

    fn keeps_trying(&self) -> bool {
        true
    }

    fn backoff(&self) -> Option<&[Duration]> {
        Some(&topics::BACKOFF)
    }

    fn owes_dead_letters(&self) -> bool {
        true
    }

    fn longest_try(&self) -> Duration {
        LONGEST_PUBLICATION
    }

    async fn send(&self, delivery: &Delivery) -> Result<Acceptance, DeliveryError> {
        let record = topics::record(delivery.content.clone()).map_err(DeliveryError::misconfigured)?;
        let record = with_headers_of(delivery, record);
        match self.producer.publish(&delivery.recipient, record).await {
            Ok(position) => Ok(Acceptance { channel_message_id: Some(position.to_string()), http_status: None }),
            Err(error) => Err(translate(error)),
        }
    }
}

fn with_headers_of(delivery: &Delivery, mut record: TopicRecord) -> TopicRecord {
    if record.origin == Origin::Erp {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let retries = delivery.tries.saturating_sub(1);
        record.headers.push(("message-id".to_owned(), text(&delivery.message_id.to_string())));
        record.headers.push(match retries {
            0 => ("source".to_owned(), text(SOURCE)),
            retries => ("retry-count".to_owned(), text(&retries.to_string())),
        });
    }
    record
}

fn translate(error: PublishError) -> DeliveryError {
    match error.kind {
        // Only what Kafka answers is a try.
        PublishErrorKind::Unanswered => DeliveryError::no_place(error.reason, UNANSWERED_PAUSE),
        PublishErrorKind::Refused => DeliveryError::transient(error.reason),
        PublishErrorKind::RefusedForGood(refusal) => {
            let refused_for = match refusal {
                Refusal::TooLarge => RefusedFor::Size,
                Refusal::Invalid => RefusedFor::Content,
            };
            DeliveryError::refused(error.reason).with_http_status(refused_for.http_status())
        }
    }
}
