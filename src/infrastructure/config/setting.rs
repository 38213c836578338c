//! A setting: one variable, how its value is read, and what operators read about it.

use super::error::ConfigError;
use super::values::Parsed;
use super::variables::Variables;

/// A variable with a default.
///
/// The default is text, and the parser of values reads it too: what is documented is what applies.
pub struct Setting<T> {
    pub name: &'static str,
    pub default: &'static str,
    pub about: &'static str,
    pub parse: fn(&str) -> Parsed<T>,
}

/// A variable that may stay unset.
pub struct OptionalSetting<T> {
    pub name: &'static str,
    /// What applies while the variable is unset; empty where nothing does.
    pub unset: &'static str,
    /// A value to start from, for `.env.example`; may be empty.
    pub example: &'static str,
    pub about: &'static str,
    pub parse: fn(&str) -> Parsed<T>,
}

/// What operators read about one setting. `.env.example` and `docs/configuration.md` are made of these.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub name: &'static str,
    pub when_unset: WhenUnset,
    /// The value that `.env.example` shows.
    pub example: &'static str,
    /// One to three sentences.
    pub about: &'static str,
}

#[derive(Clone, Copy, Debug)]
pub enum WhenUnset {
    Value(&'static str),
    /// What applies instead of a value, in words; empty where nothing does.
    Words(&'static str),
}

/// Settings that belong together.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    pub title: &'static str,
    /// What holds for all its settings; may be empty.
    pub about: &'static str,
    pub settings: &'static [Entry],
}

impl<T> Setting<T> {
    pub const fn entry(&self) -> Entry {
        Entry { name: self.name, when_unset: WhenUnset::Value(self.default), example: self.default, about: self.about }
    }

    pub fn read(&self, variables: &Variables) -> Result<T, ConfigError> {
        let value = variables.value(self.name)?;
        let text = value.as_deref().unwrap_or(self.default);
        (self.parse)(text).map_err(|sentence| ConfigError::new(self.name, sentence))
    }
}

impl<T> OptionalSetting<T> {
    pub const fn entry(&self) -> Entry {
        Entry { name: self.name, when_unset: WhenUnset::Words(self.unset), example: self.example, about: self.about }
    }

    pub fn read(&self, variables: &Variables) -> Result<Option<T>, ConfigError> {
        let Some(text) = variables.value(self.name)? else { return Ok(None) };
        (self.parse)(&text).map(Some).map_err(|sentence| ConfigError::new(self.name, sentence))
    }
}
