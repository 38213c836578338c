//! How every message ends: the relay, the comparison, the dead letters; and the end of the nodes that had them.

pub mod forget_ended_nodes;
pub use forget_ended_nodes::ForgetEndedNodes;

pub mod give_back_forgotten;
pub use give_back_forgotten::GiveBackForgotten;

pub mod pay_dead_letters;
pub use pay_dead_letters::PayDeadLetters;

pub mod relay_due_messages;
pub use relay_due_messages::RelayDueMessages;

mod recalling;
mod timing_anew;
