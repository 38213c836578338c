//! The API of those who report events, and read what became of them.

pub mod event_tally;
pub mod read_events;
pub mod register_type;
pub mod report_event;

pub use read_events::ReadEvents;
pub use register_type::RegisterType;
pub use report_event::ReportEvent;
