//! What Meta reports: statuses of messages, and what people write. Signed, of one number or of several.

mod events;
mod inbound;
mod report;
mod signature;

pub use events::MetaEvents;
