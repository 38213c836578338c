//! What becomes of messages afterwards, as their channels say.

mod signed_reports;
mod stuck;
