use sqlx::PgConnection;

use super::own_connection::OwnConnection;
use super::pool::{options_of, with_name};
use super::server::Server;
use crate::application::ports::RepositoryError;
use crate::infrastructure::storage::limits::Limits;

/// One connection to a database that need not be the installation's, opened when it is needed, with all that those to the
/// installation's have: limits of time, and a server that takes no writes is left.
pub struct PgConnectionApart(OwnConnection);

impl PgConnectionApart {
    /// # Errors
    /// When this is not the URL of a PostgreSQL; no error holds it.
    pub fn to(url: &str) -> Result<Self, RepositoryError> {
        let server = Server::new(with_name(options_of(url)?), Limits::default());
        Ok(Self(OwnConnection::new(server, "")))
    }

    /// Runs `work`, one call after the other.
    ///
    /// # Errors
    /// As the database's other errors.
    pub async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, RepositoryError> {
        self.0.run(work).await
    }
}
