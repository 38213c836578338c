use crate::domain::text::{InvalidText, bounded};

/// Where a message goes on its channel, e.g. a phone number, a JID or a topic: 1 to 2,048 characters. What it has to look
/// like is the channel's to check.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recipient(String);

impl Recipient {
    /// Characters at most.
    pub const LONGEST: usize = 2_048;

    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidText> {
        bounded(text.into(), Self::LONGEST).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}
