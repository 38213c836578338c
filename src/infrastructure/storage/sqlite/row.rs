//! Rows, as SQLite gives their columns, and the values that it is given.

use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row as _, Sqlite, Type};
use uuid::Uuid;

use super::error::translate;
use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::infrastructure::storage::shared::rows::Row;

pub(super) use crate::infrastructure::storage::shared::columns::{message_columns, message_columns_with_content_if};
pub(super) use crate::infrastructure::storage::shared::rows::{
    count_of, id, message, messages, number_option, parsed, parsed_option, scopes, status, tenant, time, time_option,
};

impl Row for SqliteRow {
    const KEEPS_JSON: bool = false;

    fn id(&self, column: &str) -> Result<Option<Uuid>, RepositoryError> {
        parsed_option(self, column, |text| Uuid::from_str(text).ok())
    }

    fn text(&self, column: &str) -> Result<Option<&str>, RepositoryError> {
        get(self, column)
    }

    fn json(&self, column: &str) -> Result<Option<String>, RepositoryError> {
        get(self, column)
    }

    fn number(&self, column: &str) -> Result<Option<i64>, RepositoryError> {
        get(self, column)
    }

    fn flag(&self, column: &str) -> Result<Option<bool>, RepositoryError> {
        get::<Option<i64>>(self, column).map(|flag| flag.map(|flag| flag != 0))
    }

    fn time(&self, column: &str) -> Result<Option<Timestamp>, RepositoryError> {
        parsed_option(self, column, parse_time)
    }
}

/// How many rows a list found, of which these fit into an answer: each says it.
pub(super) fn count_of_found(rows: &[SqliteRow]) -> Result<i64, RepositoryError> {
    rows.first().map_or(Ok(0), |row| get(row, "count"))
}

pub(super) fn get<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(
    row: &'r SqliteRow,
    column: &str,
) -> Result<T, RepositoryError> {
    row.try_get(column).map_err(translate)
}

pub(super) fn sha256(row: &SqliteRow, column: &str) -> Result<[u8; 32], RepositoryError> {
    let bytes: &[u8] = get(row, column)?;
    bytes.try_into().map_err(|_| RepositoryError::Corrupt(format!("{column} has {} bytes", bytes.len())))
}

fn parse_time(text: &str) -> Option<Timestamp> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

/// A time as it is stored: always the same length, so that the order of texts is the order in time.
pub(super) fn time_text(time: Timestamp) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn time_text_option(time: Option<Timestamp>) -> Option<String> {
    time.map(time_text)
}

/// Ids as one parameter, for `json_each`.
pub(super) fn id_list(ids: impl IntoIterator<Item = Uuid>) -> String {
    let quoted: Vec<String> = ids.into_iter().map(|id| format!("\"{}\"", id.hyphenated())).collect();
    format!("[{}]", quoted.join(","))
}
