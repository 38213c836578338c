use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, select};
use tracing::warn;

use crate::application::Stop;
use crate::application::ports::{Clock, Storage};

/// Does now and then what the database needs: see [`Storage::maintain`].
pub struct MaintainStorage {
    pub storage: Arc<dyn Storage>,
    pub clock: Arc<dyn Clock>,
}

impl MaintainStorage {
    pub async fn run(&self, stop: Stop) {
        const INTERVAL: Duration = Duration::from_secs(10 * 60);
        loop {
            if let Err(error) = self.storage.maintain(self.clock.now()).await {
                warn!(%error, "the database could not be maintained; tried again later");
            }
            if let Either::Left(_) = select(stop.clone(), self.clock.sleep(INTERVAL).boxed()).await {
                return;
            }
        }
    }
}
