use crate::application::ports::RepositoryError;
use crate::domain::event::{Event, EventId, EventStatus, HistoryEntry, Step};
use crate::infrastructure::storage::shared::rows::{Row, id, parsed, parsed_option, tenant, time};

/// # Errors
/// When something of the row cannot be read.
pub fn event(row: &impl Row) -> Result<Event, RepositoryError> {
    Ok(Event {
        id: EventId(id(row, "id")?),
        tenant: tenant(row)?,
        source: text(row, "source")?,
        name: text(row, "name")?,
        key: text_option(row, "key")?,
        kind: text(row, "type")?,
        origin: text_option(row, "origin")?,
        claimed_origin: text_option(row, "claimed_origin")?,
        ordering_key: text_option(row, "ordering_key")?,
        data: text(row, "data")?,
        via: text_option(row, "via")?,
        occurred_at: row.time("occurred_at")?,
        received_at: time(row, "received_at")?,
        status: parsed(row, "status", EventStatus::parse)?,
        error: text_option(row, "error")?,
        updated_at: time(row, "updated_at")?,
    })
}

/// # Errors
/// When something of the row cannot be read.
pub fn entry(row: &impl Row) -> Result<HistoryEntry, RepositoryError> {
    Ok(HistoryEntry {
        status: parsed(row, "status", EventStatus::parse)?,
        step: parsed_option(row, "step", Step::parse)?,
        at: time(row, "at")?,
        reason: text_option(row, "reason")?,
    })
}

fn text(row: &impl Row, column: &str) -> Result<String, RepositoryError> {
    parsed(row, column, |text| Some(text.to_owned()))
}

fn text_option(row: &impl Row, column: &str) -> Result<Option<String>, RepositoryError> {
    parsed_option(row, column, |text| Some(text.to_owned()))
}
