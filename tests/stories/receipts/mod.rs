//! What becomes of messages afterwards, as their channels say.

mod floods;
mod large_reports;
mod signed_reports;
mod stuck;
