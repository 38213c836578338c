//! A message that a channel reports as sent, without a name that one of ours has: which of ours it is, by recipient, text and time.

use chrono::TimeDelta;

use super::ChannelMessage;
use crate::domain::Timestamp;
use crate::domain::message::MessageId;

/// What a provider says was sent through an instance, by us or by another of its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedSend {
    pub of: ChannelMessage,
    /// The digits of a person's number, or what the channel calls a group, or a person whose number it does not say.
    pub chat: String,
    pub text: String,
    pub at: Timestamp,
}

/// A message of ours that failed, and may have been delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFailure {
    pub message: MessageId,
    pub recipient: String,
    pub text: Option<String>,
    pub tried_at: Timestamp,
    /// As it is known so far.
    pub name: Option<String>,
}

/// The provider's clock says whole seconds, and may be behind.
const BEFORE: TimeDelta = TimeDelta::seconds(60);

/// Evolution goes on with a send that its caller has given up on.
const AFTER: TimeDelta = TimeDelta::minutes(30);

/// Digits that are compared: a Brazilian number has a ninth digit in one place and none in another.
const LAST_DIGITS: usize = 8;

impl ReportedSend {
    /// When a message was tried that this may be.
    pub fn tried_within(&self) -> (Timestamp, Timestamp) {
        (self.at - AFTER, self.at + BEFORE)
    }

    /// The one of these that it is: of several, the one that was tried first.
    pub fn among<'a>(&self, failures: &'a [UnknownFailure]) -> Option<&'a UnknownFailure> {
        let (since, until) = self.tried_within();
        let is_it = |failure: &&UnknownFailure| {
            (since..=until).contains(&failure.tried_at)
                && failure.text.as_deref() == Some(self.text.as_str())
                && is_same_recipient(&failure.recipient, &self.chat)
        };
        failures.iter().filter(is_it).min_by_key(|failure| failure.tried_at)
    }
}

/// As a client of ours wrote it, and as the channel calls it.
fn is_same_recipient(recipient: &str, chat: &str) -> bool {
    const GROUP: &str = "@g.us";
    if let Some(group) = chat.strip_suffix(GROUP) {
        return recipient.strip_suffix(GROUP).unwrap_or(recipient) == group;
    }
    let last = |address: &str| -> Vec<u8> {
        let user = address.split('@').next().unwrap_or_default();
        let digits: Vec<u8> = user.bytes().filter(u8::is_ascii_digit).collect();
        digits[digits.len().saturating_sub(LAST_DIGITS)..].to_vec()
    };
    let (digits, of_chat) = (last(recipient), last(chat));
    recipient == chat || (!recipient.ends_with(GROUP) && digits.len() == LAST_DIGITS && digits == of_chat)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::instance::InstanceId;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds)
    }

    fn failure(number: u128, recipient: &str, text: &str, tried: i64) -> UnknownFailure {
        let (message, recipient) = (MessageId(Uuid::from_u128(number)), recipient.to_owned());
        UnknownFailure { message, recipient, text: Some(text.to_owned()), tried_at: at(tried), name: None }
    }

    #[test]
    fn it_is_the_first_that_was_tried_to_this_recipient_with_this_text_about_then() {
        let of = ChannelMessage { instance: InstanceId(Uuid::nil()), id: "3EB0".to_owned() };
        let sent = ReportedSend { of, chat: "558599999999".to_owned(), text: "Olá".to_owned(), at: at(0) };
        let found = |failures: &[UnknownFailure]| sent.among(failures).map(|it| it.message.0.as_u128());
        let of = |recipient: &str| found(&[failure(1, recipient, "Olá", -100)]);
        for recipient in ["558599999999", "5585999999999", "+55 85 99999-9999", "5585999999999@s.whatsapp.net"] {
            assert_eq!(of(recipient), Some(1), "{recipient}");
        }
        for recipient in ["5585988888888", "9999", "", "558599999999@g.us", "123@lid"] {
            assert_eq!(of(recipient), None, "{recipient}");
        }
        let tried = |seconds| found(&[failure(1, "558599999999", "Olá", seconds)]);
        assert_eq!([-1_801, -1_800, 0, 60, 61].map(tried), [None, Some(1), Some(1), Some(1), None]);
        assert_eq!(found(&[failure(1, "558599999999", "Oi", 0)]), None);
        let several = [failure(1, "558599999999", "Olá", -5), failure(2, "558599999999", "Olá", -9)];
        assert_eq!(found(&several), Some(2));
        assert!(is_same_recipient("120363", "120363@g.us") && !is_same_recipient("120363@g.us", "120364@g.us"));
    }
}
