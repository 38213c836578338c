//! One try at delivering a message.

use super::delivery::DeliveryErrorKind;
use super::{Message, MessageStatus};
use crate::domain::Timestamp;

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    Sent,
    Transient,
    Permanent,
    /// The channel's answer was lost, or the process died before it could record it.
    Unknown,
}

impl AttemptOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptOutcome::Sent => "sent",
            AttemptOutcome::Transient => "transient",
            AttemptOutcome::Permanent => "permanent",
            AttemptOutcome::Unknown => "unknown",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Sent, Self::Transient, Self::Permanent, Self::Unknown].into_iter().find(|it| it.as_str() == text)
    }
}

impl From<DeliveryErrorKind> for AttemptOutcome {
    fn from(kind: DeliveryErrorKind) -> Self {
        match kind {
            DeliveryErrorKind::Transient { .. }
            | DeliveryErrorKind::NotNow { .. }
            | DeliveryErrorKind::InstanceOff { .. } => AttemptOutcome::Transient,
            DeliveryErrorKind::Unknown => AttemptOutcome::Unknown,
            DeliveryErrorKind::Permanent { .. } => AttemptOutcome::Permanent,
        }
    }
}

/// One try, as it is shown; a row in `messaging_message_attempts` unless it was a first try that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The message's `try`: counts from 1 and goes on counting after a replay.
    pub number: u32,
    pub started_at: Option<Timestamp>,
    /// None while it runs, and when it is unknown.
    pub finished_at: Option<Timestamp>,
    /// None while it runs.
    pub outcome: Option<AttemptOutcome>,
    pub error: Option<String>,
    pub http_status: Option<u16>,
}

/// At most this many attempts without a row are listed, the latest: a hand-edited count can be arbitrarily large.
const MOST_WITHOUT_ROW: u32 = 1_000;

/// Every try of `message`, whether or not it has a row of its own: `recorded` are those that have one, in their order.
///
/// A try without a row is the running one, a first one that succeeded, or one whose process died.
pub fn every_attempt(message: &Message, recorded: Vec<Attempt>) -> Vec<Attempt> {
    let first = message.try_number.saturating_sub(MOST_WITHOUT_ROW) + 1;
    let mut recorded = recorded.into_iter().filter(|attempt| attempt.number > 0).peekable();
    let mut attempts = Vec::new();
    while let Some(earlier) = recorded.next_if(|attempt| attempt.number < first) {
        attempts.push(earlier);
    }
    for number in first..=message.try_number {
        let attempt = recorded.next_if(|attempt| attempt.number == number);
        attempts.push(attempt.unwrap_or_else(|| without_row(message, number)));
    }
    attempts
}

fn without_row(message: &Message, number: u32) -> Attempt {
    let last = number == message.try_number;
    let running = last && matches!(message.status, MessageStatus::Pending | MessageStatus::Processing);
    let succeeded = last && message.sent_at.is_some();
    let outcome = match (running, succeeded) {
        (true, _) => None,
        (_, true) => Some(AttemptOutcome::Sent),
        _ => Some(AttemptOutcome::Unknown),
    };
    Attempt {
        number,
        started_at: message.attempt_started_at.filter(|_| last),
        finished_at: message.sent_at.filter(|_| succeeded),
        outcome,
        error: None,
        http_status: message.attempt_http_status.filter(|_| succeeded),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::domain::access::principal::{Principal, Tenant};
    use crate::domain::instance::channel::ChannelName;
    use crate::domain::instance::credentials::SealedCredentials;
    use crate::domain::instance::{ConnectionStatus, Instance, InstanceId};
    use crate::domain::message::{Content, Draft, MaxTries, MessageId, Recipient};
    use crate::domain::node::NodeId;

    pub fn message(tries: u32) -> Message {
        let (tenant, now) = (Tenant::new("acme").unwrap(), Timestamp::UNIX_EPOCH);
        let sender = Principal { tenant: tenant.clone(), subject: "ana".to_owned(), scopes: Vec::new() };
        let instance = Instance {
            id: InstanceId(uuid::Uuid::nil()),
            tenant,
            user_id: "ana".to_owned(),
            name: None,
            channel: ChannelName::new("sandbox"),
            channel_instance_id: "sandbox".to_owned(),
            channel_phone_or_id: "sandbox".to_owned(),
            status: ConnectionStatus::Connected,
            credentials: SealedCredentials(Vec::new()),
            max_tries: None,
            event_secret: None,
            retry_unknown: None,
            one_call_at_a_time: None,
            rate_limit_per_minute: None,
            burst: None,
            metadata: None,
            created_at: now,
            updated_at: now,
        };
        let draft = Draft::new(Recipient::parse("a").unwrap(), Content::default());
        let (node, id) = (NodeId(uuid::Uuid::nil()), MessageId(uuid::Uuid::nil()));
        let max_tries = MaxTries::new(3).unwrap();
        let message = Message::accept(&sender, &instance, draft, max_tries, MessageStatus::Queued, node, id, now);
        Message { try_number: tries, ..message }
    }

    fn recorded(number: u32) -> Attempt {
        let message = message(number);
        Attempt { error: Some("recorded".to_owned()), ..without_row(&message, number) }
    }

    #[test]
    fn every_try_is_told_whether_or_not_it_has_a_row() {
        let shown = every_attempt(&message(3), vec![recorded(2)]);
        assert_eq!(shown.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(shown[1].error.as_deref(), Some("recorded"));
        assert!(every_attempt(&message(0), Vec::new()).is_empty());
    }

    #[test]
    fn a_count_that_somebody_wrote_does_not_become_as_many_tries() {
        let shown = every_attempt(&message(u32::MAX), vec![recorded(0), recorded(7), recorded(u32::MAX - 1)]);
        assert_eq!(shown.len(), 1 + MOST_WITHOUT_ROW as usize);
        let has_row: Vec<u32> =
            shown.iter().filter(|attempt| attempt.error.is_some()).map(|attempt| attempt.number).collect();
        assert_eq!(has_row, [7, u32::MAX - 1]);
        assert_eq!(shown.last().map(|attempt| attempt.number), Some(u32::MAX));
    }
}
