/// The end of a sentence that begins with "the filter" or "the template".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(pub String);

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// It would be the same another time. The end of a sentence that begins with "the filter", "the template" or "the schema".
    #[error("{0}")]
    Unfit(String),
    /// It was not begun: the tenant's others have not ended yet, or those of too many tenants. The same end of a sentence.
    #[error("{0}")]
    Busy(String),
}

impl From<ExpressionError> for EvaluationError {
    fn from(ExpressionError(sentence): ExpressionError) -> Self {
        Self::Unfit(sentence)
    }
}
