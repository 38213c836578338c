use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;

use crate::application::Stop;
use crate::application::ports::{Clock, ReceivedMessages, RepositoryError};
use crate::application::service::Repeated;

/// Decides which of the messages that an instance has sent were written on its phone: those whose name none of ours has, once
/// every try that was under way when they came has ended.
///
/// A provider reports what we send, too, and may do so before it answers us: by the name alone, which we learn from the answer, it
/// cannot be told from what was written on a linked device.
pub struct DecidePhoneMessages {
    pub received: Arc<dyn ReceivedMessages>,
    pub clock: Arc<dyn Clock>,
    /// How long a try may take.
    pub longest_try: Duration,
}

/// For the outcome of a try to be recorded.
const RECORDING: Duration = Duration::from_secs(30);

#[async_trait]
impl Repeated for DecidePhoneMessages {
    fn name(&self) -> &'static str {
        "phone-messages"
    }

    fn purpose(&self) -> &'static str {
        "store what was written on phones"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        let now = self.clock.now();
        let before = now - (self.longest_try + RECORDING);
        while self.received.decide(before, now).await? {
            if stop.clone().now_or_never().is_some() {
                break;
            }
        }
        Ok(())
    }
}
