use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::application::Stop;
use crate::application::ports::{Clock, RepositoryError, Storage};
use crate::application::service::Repeated;

/// Does now and then what the database needs: see [`Storage::maintain`].
pub struct MaintainStorage {
    pub storage: Arc<dyn Storage>,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Repeated for MaintainStorage {
    fn name(&self) -> &'static str {
        "maintenance"
    }

    fn purpose(&self) -> &'static str {
        "maintain the database"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(10 * 60)
    }

    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        self.storage.maintain(self.clock.now()).await
    }
}
