/// Why a start is refused: the variable to look at, and a sentence that never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {sentence}")]
pub struct ConfigError {
    pub variable: &'static str,
    pub sentence: String,
}

impl ConfigError {
    pub fn new(variable: &'static str, sentence: impl Into<String>) -> Self {
        Self { variable, sentence: sentence.into() }
    }
}
