/// Why a start is refused: the variable to look at, and a sentence that never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {sentence}")]
pub struct ConfigError {
    pub variable: &'static str,
    pub sentence: String,
    /// The setting may be right: what it names does not answer, and the same may succeed later.
    pub may_pass: bool,
}

impl ConfigError {
    pub fn new(variable: &'static str, sentence: impl Into<String>) -> Self {
        Self { variable, sentence: sentence.into(), may_pass: false }
    }

    /// Of what does not answer now.
    pub fn passing(variable: &'static str, sentence: impl Into<String>) -> Self {
        Self { may_pass: true, ..Self::new(variable, sentence) }
    }
}
