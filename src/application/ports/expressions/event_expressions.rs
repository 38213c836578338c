use async_trait::async_trait;
use serde_json::Value;

/// Filters (CEL) and templates (Jinja) over an event. The variables of both are the members of an object: `event`, `data` and
/// `source`. Whatever a tenant writes, an evaluation ends soon, and takes little memory.
#[async_trait]
pub trait EventExpressions: Send + Sync {
    /// # Errors
    /// What is wrong with it: the end of a sentence that begins with "the filter".
    fn check_filter(&self, filter: &str) -> Result<(), ExpressionError>;

    /// # Errors
    /// What is wrong with it: the end of a sentence that begins with "the template".
    fn check_template(&self, template: &str) -> Result<(), ExpressionError>;

    /// Whether the filter holds.
    ///
    /// # Errors
    /// When it cannot be evaluated over these variables, or is neither true nor false.
    async fn holds(&self, filter: &str, variables: &Value) -> Result<bool, ExpressionError>;

    /// The text that the template makes.
    ///
    /// # Errors
    /// When it cannot be evaluated over these variables, or its text is too long.
    async fn render(&self, template: &str, variables: &Value) -> Result<String, ExpressionError>;
}

/// The end of a sentence that begins with "the filter" or "the template".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ExpressionError(pub String);
