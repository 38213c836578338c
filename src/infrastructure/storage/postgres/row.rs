//! Rows, as PostgreSQL gives their columns.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgRow, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Postgres, Row as _, Type, TypeInfo};
use uuid::Uuid;

use super::error::translate;
use crate::application::ports::RepositoryError;
use crate::domain::Timestamp;
use crate::infrastructure::storage::shared::rows::Row;

pub(super) use crate::infrastructure::storage::shared::columns::{message_columns, message_columns_with_content_if};
pub(super) use crate::infrastructure::storage::shared::rows::{
    count_of, id, message, messages, number_option, parsed, parsed_option, scopes, status, tenant, time, time_option,
};

impl Row for PgRow {
    const KEEPS_JSON: bool = true;

    fn id(&self, column: &str) -> Result<Option<Uuid>, RepositoryError> {
        get(self, column)
    }

    fn text(&self, column: &str) -> Result<Option<&str>, RepositoryError> {
        get(self, column)
    }

    fn json(&self, column: &str) -> Result<Option<String>, RepositoryError> {
        get::<Option<Json>>(self, column).map(|json| json.map(|json| json.0))
    }

    fn number(&self, column: &str) -> Result<Option<i64>, RepositoryError> {
        get::<Option<Number>>(self, column).map(|number| number.map(|number| number.0))
    }

    fn flag(&self, column: &str) -> Result<Option<bool>, RepositoryError> {
        get(self, column)
    }

    fn time(&self, column: &str) -> Result<Option<Timestamp>, RepositoryError> {
        get::<Option<Time>>(self, column).map(|time| time.map(|time| time.0))
    }
}

/// The row of a statement that gives one or none.
///
/// Statements that write are read to their end (`fetch_all`): the first row comes before the commit, which may fail.
pub(super) fn only(rows: Vec<PgRow>) -> Option<PgRow> {
    rows.into_iter().next()
}

/// How many rows a list found, of which these fit into an answer: each says it.
pub(super) fn count_of_found(rows: &[PgRow]) -> Result<i64, RepositoryError> {
    rows.first().map_or(Ok(0), |row| get(row, "count"))
}

pub(super) fn get<'r, T: Decode<'r, Postgres> + Type<Postgres>>(
    row: &'r PgRow,
    column: &str,
) -> Result<T, RepositoryError> {
    row.try_get(column).map_err(translate)
}

pub(super) fn sha256(row: &PgRow, column: &str) -> Result<[u8; 32], RepositoryError> {
    let bytes: &[u8] = get(row, column)?;
    bytes.try_into().map_err(|_| RepositoryError::Corrupt(format!("{column} has {} bytes", bytes.len())))
}

/// The text of a `json`, not what it says.
struct Json(String);

impl Type<Postgres> for Json {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("JSON")
    }

    fn compatible(given: &PgTypeInfo) -> bool {
        given.name() == "JSON"
    }
}

impl<'r> Decode<'r, Postgres> for Json {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(value.as_str()?.to_owned()))
    }
}

/// A whole number, however wide its column is.
struct Number(i64);

impl Type<Postgres> for Number {
    fn type_info() -> PgTypeInfo {
        <i64 as Type<Postgres>>::type_info()
    }

    fn compatible(given: &PgTypeInfo) -> bool {
        ["INT2", "INT4", "INT8"].contains(&given.name())
    }
}

impl<'r> Decode<'r, Postgres> for Number {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        if value.format() == PgValueFormat::Text {
            return Ok(Self(value.as_str()?.parse()?));
        }
        let bytes = value.as_bytes()?;
        Ok(Self(match bytes.len() {
            2 => i16::from_be_bytes(bytes.try_into()?).into(),
            4 => i32::from_be_bytes(bytes.try_into()?).into(),
            _ => i64::from_be_bytes(bytes.try_into()?),
        }))
    }
}

/// PostgreSQL knows `infinity`, and more years than we do; sqlx panics at them.
struct Time(Timestamp);

impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        <Timestamp as Type<Postgres>>::type_info()
    }
}

impl<'r> Decode<'r, Postgres> for Time {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        const MICROSECONDS_TO_2000: i64 = 946_684_800_000_000;
        if value.format() == PgValueFormat::Text {
            return <Timestamp as Decode<Postgres>>::decode(value).map(Time);
        }
        let since_2000 = <i64 as Decode<Postgres>>::decode(value)?;
        let since_1970 = since_2000.checked_add(MICROSECONDS_TO_2000);
        let time = since_1970.and_then(Timestamp::from_timestamp_micros);
        time.map(Time).ok_or_else(|| "is not a time of the calendar".into())
    }
}
