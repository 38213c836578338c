use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{Either, select};

use crate::application::Stop;
use crate::application::ports::{Clock, RepositoryError, Storage};
use crate::application::service::Repeated;

/// Does what the database needs and what may take hours, beside everything else: see [`Storage::overhaul`].
pub struct OverhaulStorage {
    pub storage: Arc<dyn Storage>,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Repeated for OverhaulStorage {
    fn name(&self) -> &'static str {
        "overhaul"
    }

    fn purpose(&self) -> &'static str {
        "overhaul the database"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(10 * 60)
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        // A process that stops does not wait for it: the database goes on, or the next process begins again.
        match select(self.storage.overhaul(self.clock.now()), stop.clone()).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => Ok(()),
        }
    }
}
