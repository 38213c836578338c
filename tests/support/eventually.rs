use std::time::{Duration, Instant};

/// How long anything may take that is expected to happen soon.
pub const SOON: Duration = Duration::from_secs(20);

/// Asks again until there is something.
///
/// # Panics
/// At the deadline, saying what was waited for.
pub async fn eventually<T>(deadline: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < end, "waited {deadline:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
