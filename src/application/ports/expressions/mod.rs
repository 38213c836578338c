//! What tenants write that is evaluated over events: filters, templates and schemas.

mod event_expressions;
mod event_schemas;
mod expression_error;

pub use event_expressions::EventExpressions;
pub use event_schemas::EventSchemas;
pub use expression_error::{EvaluationError, ExpressionError};
