//! How a try ended, as columns.

use super::bounds::UNSTORABLE;
use crate::application::ports::Outcome;
use crate::domain::message::transition::Ending;

/// The columns that the end of a try writes, in the message and in its attempt.
#[derive(Clone, Debug)]
pub struct OutcomeRow {
    pub ending: Ending,
    /// Whether the attempt has a row of its own: a first one that succeeded is in the message's row.
    pub has_row: bool,
    /// Whether receipts may name it.
    pub has_receipts: bool,
}

impl OutcomeRow {
    pub fn of(outcome: &Outcome) -> Self {
        let ending = outcome.ending();
        let has_row = ending.sent_at.is_none() || outcome.guard.try_number != 1;
        Self { ending, has_row, has_receipts: outcome.has_receipts }
    }

    /// The name by which receipts will name the message.
    pub fn name(&self) -> Option<&str> {
        self.ending.channel_message_id.as_deref().filter(|_| self.has_receipts)
    }

    /// The same outcome without the channel's words.
    pub fn without_texts(mut self) -> Self {
        let replaced = |text: &mut Option<String>| *text = text.take().map(|_| UNSTORABLE.to_owned());
        replaced(&mut self.ending.channel_message_id);
        replaced(&mut self.ending.error);
        self.has_receipts = false;
        self
    }
}
