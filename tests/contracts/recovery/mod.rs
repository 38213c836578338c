//! How every message ends, whatever dies.

mod due_messages;
mod lost_messages;
mod owed_dead_letters;
mod postgres_looks;
mod recalling;
mod retiming;
mod turns;
