use serde_json::Value;

use crate::domain::problem::FieldProblem;

/// JSON Schemas of event types.
pub trait EventSchemas: Send + Sync {
    /// # Errors
    /// What is wrong with it: the end of a sentence that begins with "the schema".
    fn check(&self, schema: &Value) -> Result<(), String>;

    /// What of the data does not follow the schema, with paths into the data; at most some dozens.
    ///
    /// # Errors
    /// When the schema cannot be used.
    fn problems(&self, schema: &str, data: &Value) -> Result<Vec<FieldProblem>, String>;
}
