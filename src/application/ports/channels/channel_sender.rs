use std::borrow::Cow;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::Timestamp;
use crate::domain::access::principal::Scope;
use crate::domain::instance::ConnectionStatus;
use crate::domain::instance::channel::ChannelName;
use crate::domain::instance::credentials::Credentials;
use crate::domain::message::delivery::{Acceptance, DeliveryError};
use crate::domain::message::{Content, MessageId};
use crate::domain::problem::FieldProblem;

/// One way to deliver a message. Adding a channel is one implementation, registered in the composition root.
///
/// `tests/contracts/delivery/channel_sender.rs` proves what is promised here for every implementation.
#[async_trait]
pub trait ChannelSender: Send + Sync {
    fn channel(&self) -> ChannelName;

    /// What a caller must be allowed beside the route's own scope to send through it and to configure it: where messages could go
    /// around a scope of their own.
    fn scope(&self) -> Option<Scope> {
        None
    }

    /// The state of an instance that was just configured.
    fn initial_status(&self) -> ConnectionStatus;

    /// Checks an instance's address (`channelPhoneOrId`).
    ///
    /// # Errors
    /// All that is wrong with it, with paths into the request, e.g. `/channelPhoneOrId`.
    fn check_address(&self, address: &str) -> Result<(), Vec<FieldProblem>>;

    /// Checks credentials as the client gave them (any JSON value, or none) and completes them, e.g. with a generated
    /// secret, which is then in [`NewCredentials::reveal`].
    ///
    /// # Errors
    /// All that is wrong with them, with paths into the request, e.g. `/credentials/baseUrl`.
    fn check_credentials(&self, given: Option<&serde_json::Value>) -> Result<NewCredentials, Vec<FieldProblem>>;

    /// Checks, before a message is accepted, for what the channel will refuse.
    ///
    /// # Errors
    /// All that is wrong, with paths into the request: `/remoteJid`, `/message`, `/mediaUrl`, `/mediaType`, `/payload`,
    /// `/template`.
    fn check_message(&self, recipient: &str, content: &Content) -> Result<(), Vec<FieldProblem>>;

    /// What a recipient is called whose address can be written in several ways: two of which this is the same are one. What is none
    /// is as it is written.
    fn same_as<'a>(&self, recipient: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(recipient)
    }

    /// Whether messages to one recipient have to leave one after the other.
    fn keeps_order(&self) -> bool {
        true
    }

    /// Whether it has templates. Without, a message with one is refused before it is asked.
    fn takes_templates(&self) -> bool {
        false
    }

    /// Whether the channel says later what became of a message, by the name that its acceptance gave it.
    fn gives_receipts(&self) -> bool {
        false
    }

    /// Whether a message whose answer was lost is tried again, unless its instance says otherwise. Only where its recipient can
    /// tell that it is the same message.
    fn retries_unknown(&self) -> bool {
        true
    }

    /// Whether a message whose caller waits, and whose first try failed, is tried again like any other: what was accepted is
    /// kept.
    fn keeps_trying(&self) -> bool {
        false
    }

    /// The waits between its tries; none: the installation's.
    fn backoff(&self) -> Option<&[Duration]> {
        None
    }

    /// Whether its messages that fail owe a record on a topic of dead letters, however messages travel.
    fn owes_dead_letters(&self) -> bool {
        false
    }

    /// How long a try may take at the most.
    fn longest_try(&self) -> Duration;

    /// Delivers the message: one try, which ends within [`longest_try`](Self::longest_try). The error says whether another
    /// try makes sense, and never holds a credential.
    async fn send(&self, delivery: &Delivery) -> Result<Acceptance, DeliveryError>;
}

/// One message on its way out, with everything that a channel needs.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The same on every try: the idempotency key, where the channel takes one.
    pub message_id: MessageId,
    /// How often it was replayed. An operator who replays a message wants it to be sent again: where the channel shows an id of
    /// ours once, each run has its own, and what is said of an earlier one is not said of this.
    pub run: u32,
    pub channel_instance_id: String,
    /// The instance's `channelPhoneOrId`.
    pub address: String,
    pub credentials: Credentials,
    pub recipient: String,
    pub content: Content,
    /// Tries begun since it was accepted or last replayed, this one included.
    pub tries: u32,
    pub created_at: Timestamp,
}

pub struct NewCredentials {
    /// What is stored.
    pub credentials: Credentials,
    /// What the client is shown, this once: members of `data.credentials` in the answer.
    pub reveal: Option<serde_json::Value>,
}
