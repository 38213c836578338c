use std::sync::Arc;

use chrono::SecondsFormat;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::application::node::node_identity::NodeIdentity;
use crate::application::ports::{
    Channels, Clock, EvaluationError, EventExpressions, Ids, InstanceRepository, RepositoryError,
};
use crate::domain::Timestamp;
use crate::domain::access::principal::Principal;
use crate::domain::event::Event;
use crate::domain::message::{Content, Draft, MaxTries, Message, MessageId, MessageStatus, Recipient};
use crate::domain::node::NodeId;
use crate::domain::subscription::Subscription;

/// Tries of a message that an event became: one, and three more after 1, 4 and 16 s, as the installation's pauses are by default.
const TRIES: u64 = 4;

/// Makes of an event what a subscription sends.
#[derive(Clone)]
pub struct ShapeMessage {
    pub expressions: Arc<dyn EventExpressions>,
    pub instances: Arc<dyn InstanceRepository>,
    pub channels: Channels,
    /// None: of a command, whose messages no process has taken upon itself yet.
    pub identity: Option<NodeIdentity>,
    pub ids: Arc<dyn Ids>,
    pub clock: Arc<dyn Clock>,
}

/// Why a subscription cannot make a message of an event.
#[derive(Debug, thiserror::Error)]
pub enum ShapeError {
    /// A sentence for the event's history.
    #[error("{0}")]
    Unfit(String),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
}

impl ShapeMessage {
    /// Whether the filter lets it through.
    ///
    /// # Errors
    /// When the filter cannot be evaluated over it.
    pub async fn holds(&self, subscription: &Subscription, event: &Event) -> Result<bool, ShapeError> {
        let Some(filter) = &subscription.filter else { return Ok(true) };
        let held = self.expressions.holds(&subscription.tenant, filter, &variables(event)).await;
        held.map_err(|error| unfit(error, |sentence| format!("the filter of `{}` {sentence}", subscription.name)))
    }

    /// What is sent.
    ///
    /// # Errors
    /// When a template cannot be rendered over it.
    pub async fn draft(&self, subscription: &Subscription, event: &Event) -> Result<Draft, ShapeError> {
        let name = &subscription.name;
        let variables = variables(event);
        let recipient = match &subscription.recipient {
            None => event.name.clone(),
            Some(template) => {
                let rendered = self.expressions.render(&subscription.tenant, template, &variables).await;
                let told = |sentence: &str| format!("the remoteJid of `{name}` {sentence}");
                rendered.map_err(|error| unfit(error, told))?.trim().to_owned()
            }
        };
        let recipient = Recipient::parse(recipient)
            .map_err(|error| ShapeError::Unfit(format!("the remoteJid that `{name}` makes {error}")))?;
        let content = match &subscription.template {
            None => Content { payload: Some(told(event)), ..Content::default() },
            Some(template) => {
                let rendered = self.expressions.render(&subscription.tenant, template, &variables).await;
                let told = |sentence: &str| format!("the template of `{name}` {sentence}");
                content(rendered.map_err(|error| unfit(error, told))?)
            }
        };
        let max_tries = MaxTries::new(TRIES).ok();
        Ok(Draft { max_tries, ..Draft::new(recipient, content) })
    }

    /// The message, ready to be stored: the relay hands it over.
    ///
    /// # Errors
    /// When its instance is not there, or its channel would refuse it.
    pub async fn message(&self, subscription: &Subscription, event: &Event) -> Result<Message, ShapeError> {
        let draft = self.draft(subscription, event).await?;
        let (name, instance_name) = (&subscription.name, subscription.channel_instance_id.as_str());
        let found = self.instances.find_by_name(&subscription.tenant, &subscription.channel, instance_name).await?;
        let instance = found.ok_or_else(|| {
            ShapeError::Unfit(format!("the instance `{instance_name}` of `{name}` is not there any more"))
        })?;
        let sender = self.channels.find(&subscription.channel);
        let sender = sender.ok_or_else(|| ShapeError::Unfit(format!("the channel of `{name}` is not there")))?;
        sender.check_message(draft.recipient.as_str(), &draft.content).map_err(|problems| {
            let told: Vec<String> = problems.iter().map(|it| format!("{} {}", it.path, it.detail)).collect();
            ShapeError::Unfit(format!("the channel refuses what `{name}` makes: {}", told.join("; ")))
        })?;
        let node = match &self.identity {
            Some(identity) => Some(identity.current_or_wait().await?),
            None => None,
        };
        let sender = Principal {
            tenant: subscription.tenant.clone(),
            subject: subscription.user_id.clone(),
            scopes: Vec::new(),
        };
        let (id, now) = (MessageId(self.ids.next()), self.clock.now());
        let default = MaxTries::new(TRIES).map_err(|error| ShapeError::Unfit(error.to_string()))?;
        let accepted =
            Message::accept(&sender, &instance, draft, default, MessageStatus::Queued, NodeId(Uuid::nil()), id, now);
        Ok(Message { node, next_attempt_at: Some(now), ..accepted })
    }
}

/// One that was not evaluated yet is tried again, as what the database did not answer.
fn unfit(error: EvaluationError, told: impl FnOnce(&str) -> String) -> ShapeError {
    match error {
        EvaluationError::Unfit(sentence) => ShapeError::Unfit(told(&sentence)),
        EvaluationError::Busy(sentence) => ShapeError::Repository(RepositoryError::Unavailable(told(&sentence))),
    }
}

/// What filters and templates look at.
fn variables(event: &Event) -> Value {
    let data: Value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
    json!({
        "event": {
            "id": event.name,
            "type": event.kind,
            "origin": event.origin,
            "claimedOrigin": event.claimed_origin,
            "timestamp": text(event.occurred_at.unwrap_or(event.received_at)),
            "receivedAt": text(event.received_at),
        },
        "data": data,
        "source": { "name": event.source },
    })
}

fn text(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// The event as JSON, its data byte for byte as they came.
fn told(event: &Event) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let option = |text: &Option<String>| text.as_deref().map_or_else(|| "null".to_owned(), quoted);
    format!(
        r#"{{"id":{},"type":{},"source":{},"origin":{},"claimedOrigin":{},"timestamp":{},"receivedAt":{},"data":{}}}"#,
        quoted(&event.name),
        quoted(&event.kind),
        quoted(&event.source),
        option(&event.origin),
        option(&event.claimed_origin),
        quoted(&text(event.occurred_at.unwrap_or(event.received_at))),
        quoted(&text(event.received_at)),
        event.data
    )
}

/// What is a JSON object or list is sent as such, everything else as a text.
fn content(rendered: String) -> Content {
    let is_json = matches!(serde_json::from_str(rendered.trim()), Ok(Value::Object(_) | Value::Array(_)));
    if is_json {
        Content { payload: Some(rendered.trim().to_owned()), ..Content::default() }
    } else {
        Content { text: Some(rendered), ..Content::default() }
    }
}
