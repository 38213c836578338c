//! What a channel says about one try.

use std::time::Duration;

/// The channel took the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The channel's own id of the message: receipts name it.
    pub channel_message_id: Option<String>,
    pub http_status: Option<u16>,
}

/// The channel did not take the message, as far as we know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DeliveryError {
    pub kind: DeliveryErrorKind,
    /// One sentence for the row and for the caller. Never holds a credential.
    pub reason: String,
    pub http_status: Option<u16>,
    /// The id under which the channel knows the message, if it took it, or took an earlier try: of interest where that is unknown.
    pub channel_message_id: Option<String>,
}

/// Whether another try makes sense: a typed decision of the channel's adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryErrorKind {
    /// It may work later.
    Transient { retry_after: Option<Duration> },
    /// Perhaps it was taken: its answer was lost. Whether it is tried again, which can deliver it twice, is a choice.
    Unknown,
    /// It was not called: here and now it cannot be. Another process may know better, or this one later.
    NotNow {
        pause: Duration,
        /// Whether perhaps no process can ever deliver it. Otherwise it waits for a place, however long that takes.
        is_undeliverable: bool,
    },
    /// It was not taken, and no other message of its instance would be: the instance is not connected, or not let in. It is
    /// worth asking again after this pause.
    InstanceOff { pause: Duration, cause: OffCause },
    /// It will not work, however often it is tried.
    Permanent { failure: FailureKind },
}

/// Why an instance takes nothing: what ends it before it is asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffCause {
    /// Its connection was lost: anything that comes or goes through it shows that it is back.
    Disconnected,
    /// It was never connected: its provider says when it is.
    NeverConnected,
    /// A licence, a key, an account: connected or not.
    Other,
}

impl DeliveryErrorKind {
    /// Whether perhaps no process can ever deliver the message. Not while it waits for a place of its instance.
    pub fn is_undeliverable(self) -> bool {
        !matches!(self, Self::NotNow { is_undeliverable: false, .. })
    }
}

/// The end of the sentence of a failure whose outcome is unknown.
pub const MAY_HAVE_BEEN_DELIVERED: &str = " It may have been delivered.";

/// The same where it is an earlier try whose outcome is unknown.
pub const EARLIER_MAY_HAVE_BEEN_DELIVERED: &str = " An earlier try may have been delivered.";

/// Whose fault it is that a message failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// This recipient or this content was refused for good.
    Recipient,
    /// The channel: it is away, misconfigured, or did not answer in time.
    Channel,
    /// Not known: the channel may have taken it.
    Unknown,
}

impl FailureKind {
    const ALL: [FailureKind; 3] = [Self::Recipient, Self::Channel, Self::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            FailureKind::Recipient => "recipient",
            FailureKind::Channel => "channel",
            FailureKind::Unknown => "unknown",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

impl DeliveryError {
    pub fn transient(reason: impl Into<String>) -> Self {
        Self::new(DeliveryErrorKind::Transient { retry_after: None }, reason)
    }

    pub fn unknown(reason: impl Into<String>) -> Self {
        Self::new(DeliveryErrorKind::Unknown, reason)
    }

    /// Not to be tried before `pause` has passed; at first not much later either, however long it is.
    pub fn not_now(reason: impl Into<String>, pause: Duration) -> Self {
        Self::new(DeliveryErrorKind::NotNow { pause, is_undeliverable: true }, reason)
    }

    /// As long as its instance has no place for it.
    pub fn no_place(reason: impl Into<String>, pause: Duration) -> Self {
        Self::new(DeliveryErrorKind::NotNow { pause, is_undeliverable: false }, reason)
    }

    /// Nothing can be sent through the instance for now.
    pub fn instance_off(reason: impl Into<String>, pause: Duration) -> Self {
        Self::new(DeliveryErrorKind::InstanceOff { pause, cause: OffCause::Other }, reason)
    }

    /// The same, until the instance is connected.
    pub fn instance_disconnected(reason: impl Into<String>, pause: Duration, cause: OffCause) -> Self {
        Self::new(DeliveryErrorKind::InstanceOff { pause, cause }, reason)
    }

    /// This recipient or this content is refused for good.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::new(DeliveryErrorKind::Permanent { failure: FailureKind::Recipient }, reason)
    }

    /// The instance is configured such that nothing can be sent through it.
    pub fn misconfigured(reason: impl Into<String>) -> Self {
        Self::new(DeliveryErrorKind::Permanent { failure: FailureKind::Channel }, reason)
    }

    pub fn with_http_status(mut self, status: u16) -> Self {
        self.http_status = Some(status);
        self
    }

    /// Only a transient failure can say when to come back; on others this does nothing. None: as it was said before.
    pub fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        if let DeliveryErrorKind::Transient { retry_after } = &mut self.kind {
            *retry_after = wait.or(*retry_after);
        }
        self
    }

    /// The id is ours, and the same on every try: a receipt that names it tells what became of a message whose answer was lost.
    pub fn known_as(mut self, channel_message_id: &str) -> Self {
        self.channel_message_id = Some(channel_message_id.to_owned());
        self
    }

    fn new(kind: DeliveryErrorKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into(), http_status: None, channel_message_id: None }
    }
}
