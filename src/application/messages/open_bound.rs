use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::application::ports::{Clock, MessageFilter, MessageSearch};
use crate::domain::access::principal::Tenant;
use crate::domain::message::{Direction, MessageStatus};

/// Bounds how many messages of one tenant may be open, over all its instances. Each process counts anew several times a second, and
/// before it refuses one: what several processes accept in between may be more by that.
pub struct OpenBound {
    search: Arc<dyn MessageSearch>,
    clock: Arc<dyn Clock>,
    /// None: as many as there are.
    limit: Option<u64>,
    counts: Mutex<HashMap<Tenant, Counted>>,
}

#[derive(Clone, Copy)]
struct Counted {
    open: u64,
    /// By the monotonic clock.
    at: Duration,
    accepted_since: u64,
}

/// One more would be too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyOpen {
    pub open: u64,
    pub limit: u64,
}

/// How long a count is as good as new.
const FRESH: Duration = Duration::from_millis(250);

/// Of so many tenants counts are kept.
const MOST_TENANTS: usize = 1_000;

impl OpenBound {
    pub fn new(search: Arc<dyn MessageSearch>, clock: Arc<dyn Clock>, limit: Option<u64>) -> Self {
        Self { search, clock, limit, counts: Mutex::default() }
    }

    /// Counts one more.
    ///
    /// # Errors
    /// When the tenant has as many as it may.
    pub async fn enter(&self, tenant: &Tenant) -> Result<(), TooManyOpen> {
        let Some(limit) = self.limit else { return Ok(()) };
        if self.admits(tenant, limit) {
            return Ok(());
        }
        let filter = MessageFilter { direction: Some(Direction::Sent), ..MessageFilter::default() };
        let counted = self.search.count(tenant, &filter).await;
        let now = self.clock.monotonic();
        // Without an answer what was counted before holds; without that the accept finds out whether the database answers.
        let open = match counted {
            Ok(counts) => MessageStatus::OPEN.iter().filter_map(|status| counts.get(status)).sum(),
            Err(_) => self.counts().get(tenant).map_or(0, |counted| counted.open + counted.accepted_since),
        };
        if open >= limit {
            self.counts().remove(tenant);
            return Err(TooManyOpen { open, limit });
        }
        let mut counts = self.counts();
        if counts.len() >= MOST_TENANTS {
            counts.retain(|_, counted| now.saturating_sub(counted.at) < FRESH);
        }
        counts.insert(tenant.clone(), Counted { open, at: now, accepted_since: 1 });
        Ok(())
    }

    fn admits(&self, tenant: &Tenant, limit: u64) -> bool {
        let now = self.clock.monotonic();
        let mut counts = self.counts();
        let fresh = counts.get_mut(tenant).filter(|counted| now.saturating_sub(counted.at) < FRESH);
        let Some(counted) = fresh.filter(|counted| counted.open + counted.accepted_since < limit) else { return false };
        counted.accepted_since += 1;
        true
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Tenant, Counted>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
