use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::in_flight::keep_counting;
use crate::presentation::http::wire::problem::Problem;

/// A use case that ran to its end, whatever became of its caller.
///
/// # Errors
/// 500 when it panicked.
pub async fn to_its_end<T: Send + 'static>(
    tasks: &TaskTracker,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Problem> {
    // Kilobytes, which would be moved again and again on their way into the task, and out of it.
    let work = Box::pin(work);
    tasks
        .spawn(keep_counting(work).in_current_span())
        .await
        .map_err(|error| Problem::internal(format!("a task ended: {error}")))
}
