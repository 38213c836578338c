use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

tokio::task_local! {
    /// The place of the request that this task works for.
    static PLACE: Arc<OwnedSemaphorePermit>;
}

/// Bounds the requests that are being handled. One over the bound is refused before anything is done for it.
#[derive(Clone)]
pub struct InFlight {
    places: Arc<Semaphore>,
    most: usize,
    is_full: Arc<AtomicBool>,
}

impl InFlight {
    pub fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(most)), most, is_full: Arc::default() }
    }

    /// Does the work in a place of its own; `None` when there is none.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            if !self.is_full.swap(true, Ordering::Relaxed) {
                warn!(most = self.most, "MAX_IN_FLIGHT reached: further requests get 503");
            }
            return None;
        };
        if self.is_full.load(Ordering::Relaxed)
            && self.places.available_permits() > self.most / 2
            && self.is_full.swap(false, Ordering::Relaxed)
        {
            info!("fewer than half of MAX_IN_FLIGHT requests are being handled again");
        }
        Some(PLACE.scope(Arc::new(place), work).await)
    }
}

/// Keeps the place of this task's request until the work has ended, also when the request's own task is given up because
/// its caller has gone.
pub fn keep_counting<T>(work: impl Future<Output = T> + Unpin) -> impl Future<Output = T> {
    let place = PLACE.try_with(Arc::clone).ok();
    async move {
        let done = work.await;
        drop(place);
        done
    }
}
