//! How every message ends: the relay, the comparison, the dead letters.

pub mod give_back_forgotten;
pub mod pay_dead_letters;
pub mod relay_due_messages;
