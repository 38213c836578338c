use std::sync::Arc;
use std::time::Duration;

use futures::lock::Mutex;

use crate::application::ports::{Clock, MessageSearch, Storage, Stores, WeeksStanding};

/// How long a look is good for: any client may ask for the health of a process, as often as it likes.
const GOOD_FOR: Duration = Duration::from_secs(2);

/// Looks at what is stored, once in two seconds at most, however many callers ask.
pub struct LookAtStores {
    storage: Arc<dyn Storage>,
    search: Arc<dyn MessageSearch>,
    clock: Arc<dyn Clock>,
    /// The last look, and when it ended by the monotonic clock. Held while a look is under way: callers that come
    /// meanwhile wait for that one.
    last: Mutex<Option<(Duration, Look)>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Messages of all tenants that still have to be delivered; none when the database did not answer, or takes no messages.
    pub open: Option<u64>,
    pub weeks: Option<WeeksStanding>,
    /// What is wrong with the database, a sentence each.
    pub troubles: Vec<String>,
}

impl LookAtStores {
    pub fn new(stores: &Stores, clock: Arc<dyn Clock>) -> Self {
        let (storage, search) = (stores.storage.clone(), stores.search.clone());
        Self { storage, search, clock, last: Mutex::default() }
    }

    /// The last look, or a new one when that is too old.
    pub async fn recent(&self) -> Look {
        let mut last = self.last.lock().await;
        if let Some((at, look)) = &*last
            && self.clock.monotonic().saturating_sub(*at) < GOOD_FOR
        {
            return look.clone();
        }
        let look = self.look().await;
        *last = Some((self.clock.monotonic(), look.clone()));
        look
    }

    async fn look(&self) -> Look {
        let is_well = self.storage.ping().await.is_ok();
        let troubles = self.storage.troubles();
        // A database that does not answer one of these is not asked more.
        let open = if is_well { self.search.count_open(None).await.ok() } else { None };
        let Some(open) = open else { return Look { troubles, ..Look::default() } };
        let weeks = self.storage.weeks(self.clock.now()).await.unwrap_or_default();
        Look { open: Some(open), weeks, troubles }
    }
}
