//! A start whose database is away: webhooks go to the spool meanwhile, and the process becomes whole when the database comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::time::sleep;
use tracing::{info, warn};

use super::installation::{FirstKey, check_credentials, ensure_installation, settle};
use crate::application::Stop;
use crate::application::gateway::Gateway;
use crate::domain::node::NodeId;
use crate::infrastructure::config::{Config, Role};
use crate::infrastructure::spool;
use crate::infrastructure::storage::database::Database;
use crate::presentation::cli::error::CommandError;
use crate::presentation::http::{self, Limits, Readiness};

/// How long a start waits for its database before it serves without it.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Pause between two looks whether the database is there.
const LOOKS_EVERY: Duration = Duration::from_millis(500);

/// A database that answers, and with which a start fails so often, is not away.
const MOST_FAILURES: u32 = 5;

/// Whether this installation may start without its database: it takes webhooks, and has been served from this database before. A
/// first start whose settings are wrong says so and ends.
pub fn is_allowed(config: &Config, role: Role) -> bool {
    let Some(place) = Database::place(config) else { return false };
    role.accepts() && config.events.webhook.is_some() && spool::is_known(&config.storage.data_dir, &place)
}

/// For the next start.
pub fn remember(config: &Config, role: Role) {
    let Some(place) = Database::place(config).filter(|_| role.accepts() && config.events.webhook.is_some()) else {
        return;
    };
    if let Err(error) = spool::know(&config.storage.data_dir, &place) {
        warn!(%error, "a start while the database is away will not serve: DATA_DIR cannot be written to");
    }
}

/// A process that listens, and has no database yet.
pub struct Early<'p> {
    pub config: &'p Config,
    pub role: Role,
    /// Where it listens.
    pub address: SocketAddr,
    pub database: &'p Database,
    pub gateway: Arc<Gateway>,
    pub readiness: Readiness,
}

impl Early<'_> {
    /// Serves what needs no database, and everything once it is there, until `stop`.
    ///
    /// # Errors
    /// When it answers, and the process cannot work with it.
    pub async fn live(
        self,
        listener: TcpListener,
        app: Router,
        limits: Limits,
        stop: Stop,
    ) -> Result<(), CommandError> {
        if let Some(receiver) = &self.gateway.receiver {
            receiver.gate.close("it is away since the start");
        }
        warn!(
            "the database is away: webhooks are taken in and wait in the spool, everything else is answered 503 until it is back"
        );
        let (address, role) = (self.address, self.role);
        info!(%address, %role, version = env!("CARGO_PKG_VERSION"), "listening");
        let intake = tokio::spawn(http::serve(listener, app, limits, stop.clone()));
        let is_whole = tokio::select! {
            whole = self.become_whole() => {
                whole?;
                true
            }
            () = stop.clone() => false,
        };
        if is_whole {
            self.gateway.live(|_| async move { drop(intake.await) }, stop).await;
        } else {
            drop(intake.await);
        }
        Ok(())
    }

    async fn become_whole(&self) -> Result<(), CommandError> {
        let (mut node, mut failures) = (None, 0);
        loop {
            if self.database.stores.storage.ping().await.is_err() {
                failures = 0;
                sleep(LOOKS_EVERY).await;
                continue;
            }
            match self.try_to_become_whole(&mut node).await {
                Ok(first_key) => {
                    self.readiness.whole();
                    info!("the database is there: everything is served from now on");
                    remember(self.config, self.role);
                    first_key.hand_over(self.address, self.config.has_sandbox(), self.role.accepts());
                    return Ok(());
                }
                Err(error) if failures >= MOST_FAILURES => return Err(error),
                Err(error) => {
                    let error = error.sentence();
                    warn!(%error, "the database answers, and the start does not succeed; tried again");
                }
            }
            failures += 1;
            sleep(LOOKS_EVERY).await;
        }
    }

    async fn try_to_become_whole(&self, node: &mut Option<NodeId>) -> Result<FirstKey, CommandError> {
        self.database.examine().await?;
        self.database.migrate().await?;
        if let Some(shortage) = self.database.shortage().await? {
            warn!("{shortage}");
        }
        if node.is_none() {
            check_credentials(&self.gateway).await?;
            *node = Some(settle(&self.gateway).await?);
        }
        ensure_installation(self.config, &self.gateway).await
    }
}
