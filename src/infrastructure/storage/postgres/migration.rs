//! Bringing the tables up to date.

use std::time::Duration;

use sqlx::migrate::MigrateError;
use sqlx::{Connection, PgConnection};

use super::connections::PgDatabase;
use super::{error, weeks};
use crate::application::ports::RepositoryError;
use crate::infrastructure::storage::shared::migrations;

/// How often a migration of tables that are in use is tried, and the pause in between.
const MIGRATION_TRIES: u32 = 60;
const MIGRATION_PAUSE: Duration = Duration::from_secs(1);

impl PgDatabase {
    /// Brings the tables up to date. Safe to run in several processes concurrently.
    ///
    /// # Errors
    /// When the database does not answer, or holds what a newer version made.
    pub async fn migrate(&self) -> Result<(), RepositoryError> {
        for _ in 0..MIGRATION_TRIES {
            match self.migrate_once().await {
                // A long transaction reads the table; behind a migration that waits for it all others would wait, too.
                Err(error) if error::is_lock_timeout(&error) => {
                    tracing::warn!(%error, "the tables are in use; the migration is tried again");
                    tokio::time::sleep(MIGRATION_PAUSE).await;
                }
                Err(error) => {
                    return Err(error::translate_migration(error, self.server.options.get_username()));
                }
                Ok(()) => {
                    weeks::keep(self, chrono::Utc::now()).await;
                    return Ok(());
                }
            }
        }
        Err(RepositoryError::Unavailable("the tables are in use, so that they cannot be migrated".to_owned()))
    }

    async fn migrate_once(&self) -> Result<(), MigrateError> {
        // On a connection without a limit: another process may be migrating, and some migrations take their time.
        let mut connection = PgConnection::connect_with(&self.server.options).await?;
        // Notices that the tables exist already are noise, and a failed start has one line to say why.
        sqlx::query("set client_min_messages to warning").execute(&mut connection).await?;
        migrations::POSTGRES.run(&mut connection).await?;
        Ok(connection.close().await?)
    }
}
