use async_trait::async_trait;
use serde_json::Value;

use super::EvaluationError;
use crate::domain::access::principal::Tenant;
use crate::domain::problem::FieldProblem;

/// JSON Schemas of event types. Whatever a tenant writes, a validation ends soon, takes little memory, and holds up no other
/// tenant's.
#[async_trait]
pub trait EventSchemas: Send + Sync {
    /// # Errors
    /// What is wrong with it: the end of a sentence that begins with "the schema".
    async fn check(&self, tenant: &Tenant, schema: &Value) -> Result<(), EvaluationError>;

    /// What of the data does not follow the schema, with paths into the data; at most some dozens.
    ///
    /// # Errors
    /// When the schema cannot be used.
    async fn problems(&self, tenant: &Tenant, schema: &str, data: &Value)
    -> Result<Vec<FieldProblem>, EvaluationError>;
}
