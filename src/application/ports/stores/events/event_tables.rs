use async_trait::async_trait;

use crate::application::ports::RepositoryError;
use crate::domain::event::EventId;
use crate::domain::event::table::{EntityRow, LogRow};

/// Tables that people read events in.
///
/// `tests/contracts/events/event_tables.rs` proves what is promised here.
#[async_trait]
pub trait EventTables: Send + Sync {
    /// Writes the rows of an event, together and once: a second time changes nothing. Tables and columns that are planned and
    /// not there are made first.
    ///
    /// # Errors
    /// When nothing was written.
    async fn write(&self, event: EventId, log: &LogRow, row: Option<&EntityRow>) -> Result<(), RepositoryError>;
}
