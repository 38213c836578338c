use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::lock::Mutex as AsyncMutex;

use crate::application::ports::{BroadcastRepository, Clock, MessageSearch, RepositoryError};
use crate::domain::access::principal::Tenant;

/// Bounds how many messages of one tenant may be open, over all its instances, and with them the recipients of broadcasts that
/// have no message yet. Each process counts anew several times a second, and before it refuses: what several processes accept in
/// between may be more by that; what one does is not.
pub struct OpenBound {
    search: Arc<dyn MessageSearch>,
    broadcasts: Arc<dyn BroadcastRepository>,
    clock: Arc<dyn Clock>,
    /// None: as many as there are.
    limit: Option<u64>,
    standings: Mutex<HashMap<Tenant, Standing>>,
}

/// How a tenant stands, as far as this process knows.
#[derive(Clone, Default)]
struct Standing {
    /// How many were open when they were counted last, and when that was begun, by the monotonic clock.
    counted: Option<(u64, Duration)>,
    /// When the last count was begun that has ended, with an answer or without one.
    asked: Option<Duration>,
    /// How many have entered by then.
    entered_then: u64,
    /// How many have entered in all.
    entered: u64,
    /// Those that have entered, and of which it is not known yet whether they are stored.
    under_way: u64,
    /// Held by who counts: however many come at once, they are counted for together.
    counting: Arc<AsyncMutex<()>>,
}

/// They have entered. To be dropped when they are stored, or not: from then on counts have them.
pub struct Entered<'a> {
    bound: &'a OpenBound,
    tenant: Tenant,
    messages: u64,
}

/// So many more would be too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyOpen {
    pub open: u64,
    pub limit: u64,
}

/// How long a count is as good as new.
const FRESH: Duration = Duration::from_millis(250);

/// How often it is counted before some are refused that came while others were on their way, and the pause in between.
const COUNTS: usize = 2;
const PAUSE: Duration = Duration::from_millis(50);

/// Of so many tenants counts are kept.
const MOST_TENANTS: usize = 1_000;

impl Standing {
    fn open(&self) -> Option<u64> {
        self.counted.map(|(open, _)| open + self.entered.saturating_sub(self.entered_then))
    }

    fn is_fresh(&self, now: Duration) -> bool {
        self.counted.is_some_and(|(_, at)| now.saturating_sub(at) < FRESH)
    }
}

impl OpenBound {
    pub fn new(
        search: Arc<dyn MessageSearch>,
        broadcasts: Arc<dyn BroadcastRepository>,
        clock: Arc<dyn Clock>,
        limit: Option<u64>,
    ) -> Self {
        Self { search, broadcasts, clock, limit, standings: Mutex::default() }
    }

    /// So many more, all or none. None without a bound.
    ///
    /// # Errors
    /// When the tenant has as many as it may, or would have more.
    pub async fn enter(&self, tenant: &Tenant, messages: u64) -> Result<Option<Entered<'_>>, TooManyOpen> {
        let Some(limit) = self.limit else { return Ok(None) };
        for _ in 0..COUNTS {
            let (came, known) = (self.clock.monotonic(), self.standing(tenant));
            if known.is_fresh(came) && self.admits(tenant, messages, limit).is_ok() {
                return Ok(Some(self.entered(tenant, messages)));
            }
            let before = self.counted_since(tenant, came, known).await;
            match self.admits(tenant, messages, limit) {
                Ok(()) => return Ok(Some(self.entered(tenant, messages))),
                // What was on its way then may have been counted twice.
                Err(_) if before.under_way > 0 => self.clock.sleep(PAUSE).await,
                Err(refused) => return Err(refused),
            }
        }
        Err(TooManyOpen { open: self.standing(tenant).open().unwrap_or(limit), limit })
    }

    /// Counts, unless another has begun to after `came`. Returns how the tenant stood before.
    async fn counted_since(&self, tenant: &Tenant, came: Duration, known: Standing) -> Standing {
        let _counting = known.counting.lock().await;
        let (now, before) = (self.clock.monotonic(), self.standing(tenant));
        if before.asked.is_none_or(|began| began < came) {
            let counted = self.count(tenant).await;
            self.has_counted(tenant, counted, &before, now);
        }
        before
    }

    fn entered(&self, tenant: &Tenant, messages: u64) -> Entered<'_> {
        Entered { bound: self, tenant: tenant.clone(), messages }
    }

    /// Enters so many, if they are not too many by what is known.
    fn admits(&self, tenant: &Tenant, messages: u64, limit: u64) -> Result<(), TooManyOpen> {
        let mut standings = self.standings();
        let standing = standings.entry(tenant.clone()).or_default();
        // Nothing is known while the database does not answer: the accept finds that out.
        let open = standing.open().unwrap_or_default();
        if open + messages > limit {
            return Err(TooManyOpen { open, limit });
        }
        standing.entered += messages;
        standing.under_way += messages;
        Ok(())
    }

    fn standing(&self, tenant: &Tenant) -> Standing {
        let now = self.clock.monotonic();
        let mut standings = self.standings();
        if standings.len() >= MOST_TENANTS {
            let is_in_use = |standing: &Standing| standing.under_way > 0 || Arc::strong_count(&standing.counting) > 1;
            standings.retain(|_, standing| is_in_use(standing) || standing.is_fresh(now));
        }
        standings.entry(tenant.clone()).or_default().clone()
    }

    /// Without an answer what was counted before holds. What was on its way to be stored when that began may be counted or not.
    fn has_counted(&self, tenant: &Tenant, counted: Result<u64, RepositoryError>, before: &Standing, began: Duration) {
        let mut standings = self.standings();
        let standing = standings.entry(tenant.clone()).or_default();
        standing.asked = Some(began);
        if let Ok(open) = counted {
            (standing.counted, standing.entered_then) = (Some((open + before.under_way, began)), before.entered);
        }
    }

    /// The recipients first: one that gets its message in between is counted twice, and not missed.
    async fn count(&self, tenant: &Tenant) -> Result<u64, RepositoryError> {
        let unmade = self.broadcasts.unmade(tenant).await?;
        Ok(unmade + self.search.count_open(Some(tenant)).await?)
    }

    fn standings(&self) -> MutexGuard<'_, HashMap<Tenant, Standing>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if let Some(standing) = self.bound.standings().get_mut(&self.tenant) {
            standing.under_way = standing.under_way.saturating_sub(self.messages);
        }
    }
}
