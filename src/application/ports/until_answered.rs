use std::future::Future;
use std::time::Duration;

use tracing::warn;

use super::{Clock, RepositoryError};

/// Repeats `ask` until the database has answered. For what must not be given up: unless the row says what we know,
/// another node delivers a second time.
///
/// # Errors
/// What the database answered, never an error that [may pass](RepositoryError::may_pass).
pub async fn until_answered<T, F>(clock: &dyn Clock, mut ask: impl FnMut() -> F) -> Result<T, RepositoryError>
where
    F: Future<Output = Result<T, RepositoryError>>,
{
    const LONGEST_WAIT: Duration = Duration::from_secs(2);
    let mut wait = Duration::from_millis(50);
    loop {
        match ask().await {
            Err(error) if error.may_pass() => {
                warn!(%error, "the database did not answer; tried again");
                clock.sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            answer => return answer,
        }
    }
}
