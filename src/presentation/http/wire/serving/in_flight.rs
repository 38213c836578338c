use std::future::ready;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

use crate::presentation::http::wire::held::HeldBytes;

tokio::task_local! {
    /// The place of the request that this task works for.
    static PLACE: Place;
}

/// Bounds the requests that are being handled. One over the bound is refused before anything is done for it.
#[derive(Clone)]
pub struct InFlight {
    places: Arc<Semaphore>,
    most: usize,
    is_full: Arc<AtomicBool>,
}

/// A request's place among those that are being handled, free when the last copy is dropped.
#[derive(Clone)]
pub struct Place(Arc<Taken>);

struct Taken {
    in_flight: InFlight,
    /// None while the request's body is on its way.
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    body: Mutex<Option<HeldBytes>>,
}

impl InFlight {
    pub fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        Self { places: Arc::new(Semaphore::new(most)), most, is_full: Arc::default() }
    }

    /// Does the work in a place of its own, which is the request's until its answer is written; `None` when there is none.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Option<(T, Place)> {
        let permit = Mutex::new(Some(self.enter()?));
        let place = Place(Arc::new(Taken { in_flight: self.clone(), permit, body: Mutex::default() }));
        let done = PLACE.scope(place.clone(), work).await;
        // All that used the body has ended.
        drop(locked(&place.0.body).take());
        Some((done, place))
    }

    /// Waits for a place, for work that has a bound of its own.
    pub async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.ok()
    }

    fn enter(&self) -> Option<OwnedSemaphorePermit> {
        let Ok(permit) = self.places.clone().try_acquire_owned() else {
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
        Some(permit)
    }
}

/// Waits for what a client still has to send. Meanwhile this task's request leaves its place to others: a client may take its
/// time. `None` when there is no place afterwards.
pub async fn wait_for_client<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    tokio::select! {
        // Most of it is there with the head.
        biased;
        done = &mut work => return Some(done),
        () = ready(()) => {}
    }
    let Ok(place) = PLACE.try_with(Place::clone) else { return Some(work.await) };
    drop(locked(&place.0.permit).take());
    let done = work.await;
    *locked(&place.0.permit) = Some(place.0.in_flight.enter()?);
    Some(done)
}

/// Leaves the place of this task's request to others for good: what goes on of it [waits](InFlight::wait) for one each time.
pub fn leave_place() {
    let _without_a_place = PLACE.try_with(|place| drop(locked(&place.0.permit).take()));
}

/// Holds the bytes of its body until the work for this task's request has ended.
pub fn hold_body(held: HeldBytes) {
    let _without_a_place = PLACE.try_with(|place| *locked(&place.0.body) = Some(held));
}

/// Keeps the place of this task's request until the work has ended, also when the request's own task is given up because
/// its caller has gone.
pub fn keep_counting<T>(work: impl Future<Output = T> + Unpin) -> impl Future<Output = T> {
    let place = PLACE.try_with(Place::clone).ok();
    async move {
        let done = work.await;
        drop(place);
        done
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
