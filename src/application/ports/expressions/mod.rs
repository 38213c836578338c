//! What tenants write that is evaluated over events: filters, templates and schemas.

mod event_expressions;
mod event_schemas;

pub use event_expressions::{EventExpressions, ExpressionError};
pub use event_schemas::EventSchemas;
