use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::application::Stop;
use crate::application::ports::{RepositoryError, Storage};
use crate::application::service::Repeated;

/// Keeps counts quick to read: see [`Storage::roll_up`].
pub struct RollUpCounts {
    pub storage: Arc<dyn Storage>,
}

#[async_trait]
impl Repeated for RollUpCounts {
    fn name(&self) -> &'static str {
        "counts"
    }

    fn purpose(&self) -> &'static str {
        "roll up the counts of messages"
    }

    /// At full speed a thousand changes a second come together; as many as are read in a millisecond.
    fn interval(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn round(&mut self, _: &Stop) -> Result<(), RepositoryError> {
        self.storage.roll_up().await
    }
}
