use crate::domain::text::{InvalidText, bounded};

/// What people call a group: 1 to 255 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupName(String);

impl GroupName {
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

/// What people say of a group: at most 2,048 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription(String);

impl GroupDescription {
    /// Characters at most.
    pub const LONGEST: usize = 2_048;

    /// An empty one is taken, as existing clients send it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidText> {
        match bounded(text.into(), Self::LONGEST) {
            Err(InvalidText::Empty) => Ok(Self(String::new())),
            parsed => parsed.map(Self),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_string(self) -> String {
        self.0
    }
}
