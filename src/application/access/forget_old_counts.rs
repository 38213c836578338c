use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::application::Stop;
use crate::application::ports::{Clock, RepositoryError, RequestAllowances, SignInFailures};
use crate::application::service::Repeated;
use crate::domain::access::lockout::LASTS;
use crate::domain::access::request_limit::MINUTE;

/// Forgets failures to sign in that lock nothing any more, and requests that count no more.
pub struct ForgetOldCounts {
    pub failures: Arc<dyn SignInFailures>,
    pub allowances: Arc<dyn RequestAllowances>,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Repeated for ForgetOldCounts {
    fn name(&self) -> &'static str {
        "old counts"
    }

    fn purpose(&self) -> &'static str {
        "forget old failures to sign in and old requests"
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(5 * 60)
    }

    async fn round(&mut self, stop: &Stop) -> Result<(), RepositoryError> {
        let now = self.clock.now();
        // Twice as long as they count, for processes whose clocks differ.
        while stop.peek().is_none() && self.failures.forget(now - 2 * LASTS).await? {}
        while stop.peek().is_none() && self.allowances.forget(now - 10 * MINUTE).await? {}
        Ok(())
    }
}
