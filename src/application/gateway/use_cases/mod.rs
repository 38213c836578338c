//! The use cases, each with the ports that it asks for.

mod campaigns;
mod events;
mod instances;
mod messages;
mod operations;
mod receipts;
