use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::application::ports::{Allowance, RepositoryError, RequestAllowances};
use crate::domain::Timestamp;
use crate::domain::access::request_limit::{Counted, MINUTE};

/// Callers that are counted at the same time. Beyond it those whose minute is over go, and if there are none, all.
const MOST: usize = 100_000;

/// What callers of an installation that has one process were allowed. Copies share it.
#[derive(Clone, Default)]
pub struct ProcessRequestAllowances(Arc<Mutex<HashMap<Counted, (Timestamp, u32)>>>);

impl ProcessRequestAllowances {
    fn minutes(&self) -> MutexGuard<'_, HashMap<Counted, (Timestamp, u32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RequestAllowances for ProcessRequestAllowances {
    async fn take(
        &self,
        counted: &Counted,
        limit: u32,
        wanted: u32,
        now: Timestamp,
    ) -> Result<Allowance, RepositoryError> {
        let is_running = |began_at: Timestamp| began_at <= now && began_at > now - MINUTE;
        let mut minutes = self.minutes();
        if minutes.len() >= MOST && !minutes.contains_key(counted) {
            minutes.retain(|_, (began_at, _)| is_running(*began_at));
            if minutes.len() >= MOST {
                minutes.clear();
            }
        }
        let minute = minutes.entry(counted.clone()).or_insert((now, 0));
        if !is_running(minute.0) {
            *minute = (now, 0);
        }
        let allowance = Allowance::after(minute.1, minute.0, limit, wanted);
        minute.1 = allowance.taken;
        Ok(allowance)
    }

    async fn forget(&self, time: Timestamp) -> Result<bool, RepositoryError> {
        self.minutes().retain(|_, (began_at, _)| *began_at >= time);
        Ok(false)
    }
}
