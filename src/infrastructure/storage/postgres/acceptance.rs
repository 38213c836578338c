//! Whether a message would be accepted now, as far as that can be seen without storing one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::{Instant, timeout};

use super::PgDatabase;
use super::error::REFUSES_CONNECTIONS;
use crate::application::ports::RepositoryError;

/// How long an answer is good for: any client may ask as often as it likes.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// How long a connection of the pool is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

const MAY_NOT_WRITE: &str = "the role that Correio connects as may not read and write its tables any more: give it back what it \
     had (as a rule it owns them)";

const NO_TABLES: &str = "the database has no tables of Correio: it is another one than at the start, or an empty one; restart the \
     process to make them";

/// Whether the role may do what an accept does. Asks the catalogue alone, and waits for no lock.
const ASK: &str = "
    select has_table_privilege('messaging_messages', 'select')
       and has_table_privilege('messaging_messages', 'insert')
       and has_table_privilege('messaging_messages', 'update')
       and has_table_privilege('messaging_message_attempts', 'insert')
       and has_table_privilege('messaging_idempotency_keys', 'select')
       and has_table_privilege('messaging_idempotency_keys', 'insert')
       and has_table_privilege('messaging_idempotency_keys', 'update')";

/// When it was looked at, and what was found.
type Found = (Instant, Result<(), RepositoryError>);

/// Asks on the ways that requests take; clones share the last answer.
#[derive(Clone)]
pub(super) struct Acceptance {
    database: PgDatabase,
    last: Arc<Mutex<Option<Found>>>,
}

impl Acceptance {
    pub(super) fn new(database: PgDatabase) -> Self {
        Self { database, last: Arc::default() }
    }

    /// Succeeds if it would be, now or a second ago.
    pub(super) async fn look(&self) -> Result<(), RepositoryError> {
        if let Some((_, answer)) = self.last().filter(|(at, _)| at.elapsed() < GOOD_FOR) {
            return answer;
        }
        let answer = self.ask().await;
        self.keep(answer.clone());
        answer
    }

    /// It was found on another way already.
    pub(super) fn cannot_look(&self, error: &RepositoryError) {
        self.keep(Err(error.clone()));
    }

    fn keep(&self, answer: Result<(), RepositoryError>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), answer));
    }

    /// What an operator has to put right, by the last answer.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        let (_, answer) = self.last()?;
        let cause = answer.err()?.to_string();
        [REFUSES_CONNECTIONS, MAY_NOT_WRITE, NO_TABLES].into_iter().find(|sentence| cause.ends_with(sentence))
    }

    fn last(&self) -> Option<Found> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A way on which something is under way need not be tried: it is open.
    async fn ask(&self) -> Result<(), RepositoryError> {
        let database = &self.database;
        for connection in [&database.names, &database.accepts] {
            if let Some(may_write) = connection.run_unless_busy(may_write).await {
                judge(may_write?)?;
            }
        }
        if database.is_pool_at_work() {
            return Ok(());
        }
        match timeout(PATIENCE, database.run(may_write)).await {
            Ok(Ok(may_write)) => judge(may_write),
            // A pool does not say why it gets no connection. If one can be had after all, it gets one, too.
            Err(_) | Ok(Err(RepositoryError::Unavailable(_))) if !database.is_pool_at_work() => {
                database.server.connect_apart().await.map(drop)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Ok(()),
        }
    }
}

/// None when there are no such tables.
async fn may_write(connection: &mut PgConnection) -> Result<Option<bool>, sqlx::Error> {
    const UNDEFINED_TABLE: &str = "42P01";
    match sqlx::query_scalar(ASK).fetch_one(connection).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => Ok(None),
        asked => asked.map(Some),
    }
}

fn judge(may_write: Option<bool>) -> Result<(), RepositoryError> {
    let trouble = match may_write {
        Some(true) => return Ok(()),
        Some(false) => MAY_NOT_WRITE,
        None => NO_TABLES,
    };
    Err(RepositoryError::Unavailable(trouble.to_owned()))
}
