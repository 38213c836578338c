use crate::domain::text::{InvalidText, bounded};

/// What an instance is called, by its client (`channelInstanceId`) or by people: 1 to 255 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstanceName(String);

impl InstanceName {
    /// Characters at most.
    pub const LONGEST: usize = 255;

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

/// An instance's own address, e.g. the sender's number or a URL: 1 to 2,048 characters. What it has to look like is the
/// channel's to check.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstanceAddress(String);

impl InstanceAddress {
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
