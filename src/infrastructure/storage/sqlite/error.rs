//! The driver's errors, in the application's words.

use sqlx::error::DatabaseError;
use sqlx::migrate::MigrateError;

use crate::application::ports::RepositoryError;

// Primary result codes, https://www.sqlite.org/rescode.html; an extended one has them in its lowest eight bits.
const INTERRUPT: i32 = 9;
const CORRUPT: i32 = 11;
const TOO_BIG: i32 = 18;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;
const NOT_A_DATABASE: i32 = 26;

const CONSTRAINT_PRIMARY_KEY: i32 = 1555;
const CONSTRAINT_UNIQUE: i32 = 2067;

/// Whether a statement was ended before it had come to its end.
pub(super) fn is_interrupted(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| code(error) & 0xff == INTERRUPT)
}

pub(super) fn translate(error: sqlx::Error) -> RepositoryError {
    let text = error.to_string();
    match error {
        sqlx::Error::Database(error) => {
            let code = code(error.as_ref());
            match (code, code & 0xff) {
                (CONSTRAINT_UNIQUE | CONSTRAINT_PRIMARY_KEY, _) => RepositoryError::Conflict,
                (_, CONSTRAINT | TOO_BIG | MISMATCH) => RepositoryError::Refused(text),
                (_, CORRUPT | NOT_A_DATABASE) => RepositoryError::Corrupt(text),
                // Busy, full, an error of the disk, ...: it may pass.
                _ => RepositoryError::Unavailable(text),
            }
        }
        sqlx::Error::Encode(_) => RepositoryError::Refused(text),
        sqlx::Error::ColumnDecode { index, source } => {
            RepositoryError::Corrupt(format!("{}: {source}", index.trim_matches('"')))
        }
        sqlx::Error::Decode(_)
        | sqlx::Error::ColumnNotFound(_)
        | sqlx::Error::ColumnIndexOutOfBounds { .. }
        | sqlx::Error::TypeNotFound { .. }
        | sqlx::Error::RowNotFound => RepositoryError::Corrupt(text),
        _ => RepositoryError::Unavailable(text),
    }
}

fn code(error: &dyn DatabaseError) -> i32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or_default()
}

pub(super) fn translate_migration(error: MigrateError) -> RepositoryError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => translate(error),
        other => RepositoryError::Corrupt(other.to_string()),
    }
}
