//! Which connections are used without being tried, and which are not used again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::{Instant, timeout};
use tracing::warn;

/// A connection that was idle for longer is tried before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// Between asking a new connection whether its server takes writes and the moment that its pool counts its age from.
const ENTERING_A_POOL: Duration = Duration::from_secs(1);

/// How long a server may take to answer a connection that is tried.
const TRIED: Duration = Duration::from_secs(5);

/// Pause between two lines that say the same.
const SAID_EVERY: Duration = Duration::from_secs(60);

/// How long what a server was found to be explains that there is no connection.
const EXPLAINS: Duration = Duration::from_secs(10);

/// What callers are told of a server that takes no writes.
pub(super) const TAKES_NO_WRITES: &str =
    "the server takes no writes: it is a standby, or has default_transaction_read_only on";

/// On a standby it is so whatever its settings.
pub(super) const ASK_FOR_WRITES: &str = "select not current_setting('transaction_read_only')::bool as takes_writes";

/// What the connections to one address have in common. Clones share it.
#[derive(Clone, Default)]
pub(in crate::infrastructure::storage::postgres) struct Trust(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// When the database last failed to answer a caller: connections that were idle then may be broken, too.
    lost: Option<Instant>,
    /// When a server last showed that it takes no writes. Another one may answer at the same address by now, to which only
    /// new connections lead: what was opened before is closed, wherever it is, also what only reads.
    renounced: Option<Instant>,
    said: Option<Instant>,
}

impl Trust {
    pub(super) fn lose(&self) {
        self.state().lost = Some(Instant::now());
    }

    pub(super) fn covers(&self, idle_since: Instant) -> bool {
        let lost = self.state().lost;
        idle_since.elapsed() < TRUSTED_IDLE && lost.is_none_or(|lost| lost < idle_since)
    }

    /// A connection has met a server that takes no writes.
    pub(super) fn renounce(&self) {
        let mut state = self.state();
        let now = Instant::now();
        state.renounced = Some(now);
        if state.said.is_none_or(|said| now.duration_since(said) >= SAID_EVERY) {
            state.said = Some(now);
            warn!("{TAKES_NO_WRITES}; connections to it are closed, and opened anew until they lead to one that does");
        }
    }

    /// Whether a connection may lead to a server that is no longer the one that takes writes.
    pub(super) fn has_renounced(&self, opened: Instant) -> bool {
        self.state().renounced.is_some_and(|renounced| opened <= renounced)
    }

    /// The same for a connection of a pool, by its age.
    pub(super) fn has_renounced_pooled(&self, age: Duration) -> bool {
        let opened = Instant::now().checked_sub(age.saturating_add(ENTERING_A_POOL));
        // Older than this clock can say: it is older than anything that was renounced.
        opened.map_or_else(|| self.state().renounced.is_some(), |opened| self.has_renounced(opened))
    }

    /// Whether the connection, which was idle, leads to a server that answers and takes writes.
    pub(super) async fn is_confirmed_by(&self, connection: &mut PgConnection) -> bool {
        match timeout(TRIED, takes_writes(connection)).await {
            Ok(Ok(true)) => true,
            Ok(Ok(false)) => {
                self.renounce();
                false
            }
            // It is closed, and a new one finds out more; what else was idle is tried, too.
            Ok(Err(_)) | Err(_) => {
                self.lose();
                false
            }
        }
    }

    /// Whether no connection may be there because of it.
    pub(super) fn has_just_renounced(&self) -> bool {
        self.state().renounced.is_some_and(|renounced| renounced.elapsed() < EXPLAINS)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a server answers, and takes writes: a connection that is alive may lead to one that has become a standby.
pub(in crate::infrastructure::storage::postgres) async fn takes_writes(
    connection: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(ASK_FOR_WRITES).fetch_one(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_idle_when_the_database_did_not_answer_is_tried_first() {
        let (trust, now) = (Trust::default(), Instant::now());
        let earlier = now.checked_sub(Duration::from_millis(1)).unwrap();
        assert!(trust.covers(earlier));
        assert!(!trust.covers(now.checked_sub(TRUSTED_IDLE).unwrap()));
        trust.lose();
        assert!(!trust.covers(earlier));
        assert!(trust.covers(Instant::now() + Duration::from_millis(1)));
    }

    #[test]
    fn what_was_opened_before_a_server_refused_to_write_is_not_used_again() {
        let (trust, opened) = (Trust::default(), Instant::now());
        assert!(!trust.has_renounced(opened) && !trust.has_just_renounced());
        assert!(!trust.has_renounced_pooled(Duration::ZERO) && !trust.has_renounced_pooled(Duration::MAX));
        trust.renounce();
        assert!(trust.has_renounced(opened) && trust.has_just_renounced());
        assert!(trust.has_renounced_pooled(Duration::ZERO), "its age may begin after it was asked");
        assert!(!trust.has_renounced(Instant::now() + Duration::from_millis(1)));
    }
}
