//! What channels say of messages later.

pub mod count_stuck;
pub use count_stuck::{CountStuck, StuckCounts};

pub mod heard_instances;

pub mod noted_connections;

pub mod noted_receipts;

pub mod refused_names;

pub mod receive_events;
pub use receive_events::ReceiveEvents;

pub mod receive_receipts;
pub use receive_receipts::ReceiveReceipts;

pub mod receive_signed_events;
pub use receive_signed_events::ReceiveSignedEvents;

pub mod shake_hands;
pub use shake_hands::ShakeHands;

pub mod stuck_rule;
pub use stuck_rule::StuckRule;

pub mod sweep_receipts;
pub use sweep_receipts::SweepReceipts;
