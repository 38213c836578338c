use async_trait::async_trait;
use serde_json::Value;

use super::{EvaluationError, ExpressionError};
use crate::domain::access::principal::Tenant;

/// Filters (CEL) and templates (Jinja) over an event. The variables of both are the members of an object: `event`, `data` and
/// `source`. Whatever a tenant writes, an evaluation ends soon, takes little memory, and holds up no other tenant's.
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
    async fn holds(&self, tenant: &Tenant, filter: &str, variables: &Value) -> Result<bool, EvaluationError>;

    /// The text that the template makes.
    ///
    /// # Errors
    /// When it cannot be evaluated over these variables, or its text is too long.
    async fn render(&self, tenant: &Tenant, template: &str, variables: &Value) -> Result<String, EvaluationError>;
}
