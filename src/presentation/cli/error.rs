use crate::application::ports::{RepositoryError, SearchError};
use crate::infrastructure::composition::SetupError;
use crate::infrastructure::config::ConfigError;

/// Why a command ended without doing what it was asked.
pub enum CommandError {
    /// What it was given cannot be used.
    Config(ConfigError),
    /// It is not for this installation.
    Usage(String),
    /// Anything else, as a sentence.
    Other(String),
}

impl CommandError {
    pub fn sentence(&self) -> String {
        match self {
            Self::Config(error) => error.to_string(),
            Self::Usage(sentence) | Self::Other(sentence) => sentence.clone(),
        }
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

impl From<String> for CommandError {
    fn from(sentence: String) -> Self {
        Self::Other(sentence)
    }
}

impl From<RepositoryError> for CommandError {
    fn from(error: RepositoryError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<SearchError> for CommandError {
    fn from(error: SearchError) -> Self {
        Self::Other(error.to_string())
    }
}

impl From<SetupError> for CommandError {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Config(error) => Self::Config(error),
            SetupError::Http(error) => Self::Other(error.to_string()),
        }
    }
}
