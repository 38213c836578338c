use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, WeakShared};

use crate::application::ports::{RepositoryError, Storage};

type Ping = BoxFuture<'static, Result<(), RepositoryError>>;

/// Asks whether the database answers: once at a time, however many callers want to know.
pub struct SharedPing {
    storage: Arc<dyn Storage>,
    /// There while a caller waits for it.
    under_way: Mutex<Option<WeakShared<Ping>>>,
}

impl SharedPing {
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage, under_way: Mutex::default() }
    }

    /// # Errors
    /// When the database does not answer.
    pub async fn ping(&self) -> Result<(), RepositoryError> {
        let ping = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            match under_way.as_ref().and_then(WeakShared::upgrade).filter(|ping| ping.peek().is_none()) {
                Some(ping) => ping,
                None => {
                    let storage = self.storage.clone();
                    let ping = async move { storage.ping().await }.boxed().shared();
                    *under_way = ping.downgrade();
                    ping
                }
            }
        };
        ping.await
    }
}
