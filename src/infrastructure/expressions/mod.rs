//! Filters, templates and schemas that tenants write.

mod event_expressions;
mod filter;
mod permitted_filter;
mod permitted_schema;
mod permitted_template;
mod places;
mod schemas;
mod template;

pub use event_expressions::BoundedExpressions;
pub use schemas::JsonSchemas;
