//! The driver's errors, in the application's words.

use sqlx::migrate::MigrateError;

use crate::application::ports::RepositoryError;

const UNIQUE_VIOLATION: &str = "23505";
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK_DETECTED: &str = "40P01";
const LOCK_NOT_AVAILABLE: &str = "55P03";
const QUERY_CANCELED: &str = "57014";
const READ_ONLY_TRANSACTION: &str = "25006";

const TOO_MANY_CONNECTIONS: &str = "53300";
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// What a server says in many ways.
pub(super) const REFUSES_CONNECTIONS: &str = "the server refuses further connections: max_connections, or the connection limit of \
     the role or of the database, is reached; raise it, or set a smaller DATABASE_POOL_SIZE";

/// The words of PgBouncer. Its SQLSTATE is that of any breach of the protocol.
const UNSUPPORTED_PARAMETER: &str = "unsupported startup parameter: ";

/// Of prepared statements, which stay on a server's connection that others have next.
const DUPLICATE_STATEMENT: &str = "42P05";
const NO_SUCH_STATEMENT: &str = "26000";

/// What a pooler in transaction mode is refused with.
pub(super) const NEEDS_SESSIONS: &str = "a pooler gives the server's connections to others between two statements: Correio \
     needs connections of its own (PgBouncer: pool_mode = session)";

pub(super) fn translate(error: sqlx::Error) -> RepositoryError {
    let text = error.to_string();
    match error {
        sqlx::Error::Database(error) => {
            if let Some(parameter) = error.message().strip_prefix(UNSUPPORTED_PARAMETER) {
                return RepositoryError::Refused(format!(
                    "a pooler refuses the connection's parameter {parameter}: set ignore_startup_parameters = \
                     {parameter} in the configuration of PgBouncer"
                ));
            }
            let code = error.code().unwrap_or_default();
            match code.get(..2) {
                _ if code == UNIQUE_VIOLATION => RepositoryError::Conflict,
                _ if [SERIALIZATION_FAILURE, DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE].contains(&&*code) => {
                    RepositoryError::Contested(text)
                }
                // Wrong data, a violated constraint, more than fits:
                // https://www.postgresql.org/docs/current/errcodes-appendix.html
                Some("22" | "23" | "54") => RepositoryError::Refused(text),
                _ if [DUPLICATE_STATEMENT, NO_SUCH_STATEMENT].contains(&&*code) => {
                    RepositoryError::Unavailable(format!("{text}; {NEEDS_SESSIONS}"))
                }
                _ if code == TOO_MANY_CONNECTIONS => {
                    RepositoryError::Unavailable(format!("{text}; {REFUSES_CONNECTIONS}"))
                }
                // Connections, resources, an operator, the system, ...: it may pass.
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

/// Whether the server ended a statement because it took too long, or because an operator told it to.
pub(super) fn is_cancelled(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some(QUERY_CANCELED)
}

/// Whether the server has shown that it takes no writes. That a connection was ended (57P01 to 57P03) shows nothing: an
/// operator may have ended this one alone.
pub(super) fn is_of_a_former_primary(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some(READ_ONLY_TRANSACTION)
}

/// Whether a statement timed out waiting for a lock.
pub(super) fn is_lock_timeout(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else { return false };
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some(LOCK_NOT_AVAILABLE)
}

/// `user`: the role that migrates.
pub(super) fn translate_migration(error: MigrateError, user: &str) -> RepositoryError {
    match error {
        MigrateError::Execute(sqlx::Error::Database(error))
        | MigrateError::ExecuteMigration(sqlx::Error::Database(error), _)
            if error.code().as_deref() == Some(INSUFFICIENT_PRIVILEGE) =>
        {
            RepositoryError::Refused(format!(
                "the role {user} may not make or change tables ({}): it needs CREATE and USAGE on the schema, in which Correio \
                 makes tables at its start and each week, and has to own the tables that are there",
                error.message()
            ))
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => translate(error),
        other => RepositoryError::Corrupt(other.to_string()),
    }
}
