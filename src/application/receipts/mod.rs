//! What channels say of messages later.

pub mod heard_instances;

pub mod noted_connections;

pub mod refused_names;

pub mod receive_events;
pub use receive_events::ReceiveEvents;

pub mod receive_receipts;
pub use receive_receipts::ReceiveReceipts;

pub mod receive_signed_events;
pub use receive_signed_events::ReceiveSignedEvents;

pub mod sweep_receipts;
pub use sweep_receipts::SweepReceipts;
