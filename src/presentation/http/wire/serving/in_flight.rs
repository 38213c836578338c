use std::collections::HashMap;
use std::future::ready;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

use crate::application::access::met_tenants::MetTenants;
use crate::domain::access::principal::Tenant;
use crate::presentation::http::wire::held::HeldBytes;

tokio::task_local! {
    /// The place of the request that this task works for.
    static PLACE: Place;
}

/// Bounds the requests that are being handled. One over the bound is refused before anything is done for it; and one of a tenant that
/// has three quarters of the places, once there are several tenants, as soon as it is known whose it is.
#[derive(Clone)]
pub struct InFlight {
    places: Arc<Semaphore>,
    most: usize,
    is_full: Arc<AtomicBool>,
    met: MetTenants,
    tenants: Arc<Mutex<HashMap<Tenant, usize>>>,
}

/// As many requests of its tenant are being handled as may.
#[derive(Debug)]
pub struct TooManyOfTenant;

/// A request's place among those that are being handled, free when the last copy is dropped.
#[derive(Clone)]
pub struct Place(Arc<Taken>);

struct Taken {
    in_flight: InFlight,
    /// None while the request's body is on its way.
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    body: Mutex<Option<HeldBytes>>,
    /// Once that is known, and likewise.
    tenant: Mutex<Option<CountedTenant>>,
}

/// A request of a tenant, until this is dropped.
struct CountedTenant {
    tenant: Tenant,
    tenants: Arc<Mutex<HashMap<Tenant, usize>>>,
}

impl Drop for CountedTenant {
    fn drop(&mut self) {
        let mut tenants = locked(&self.tenants);
        if let Some(count) = tenants.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                tenants.remove(&self.tenant);
            }
        }
    }
}

impl InFlight {
    pub fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(most));
        Self { places, most, is_full: Arc::default(), met: MetTenants::default(), tenants: Arc::default() }
    }

    /// One tenant leaves a quarter of the places to the others, once there are others. Half may wait for its receivers: so there are some
    /// for what else it asks.
    pub fn among(self, met: MetTenants) -> Self {
        Self { met, ..self }
    }

    fn count(&self, tenant: &Tenant) -> CountedTenant {
        *locked(&self.tenants).entry(tenant.clone()).or_default() += 1;
        CountedTenant { tenant: tenant.clone(), tenants: self.tenants.clone() }
    }

    fn has_its_share(&self, tenant: &Tenant) -> bool {
        let most = (self.most - self.most / 4).max(1);
        self.met.are_several() && locked(&self.tenants).get(tenant).is_some_and(|count| *count >= most)
    }

    /// Does the work in a place of its own, which is the request's until its answer is written; `None` when there is none.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Option<(T, Place)> {
        let permit = Mutex::new(Some(self.enter()?));
        let (body, tenant) = (Mutex::default(), Mutex::default());
        let place = Place(Arc::new(Taken { in_flight: self.clone(), permit, body, tenant }));
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
    let tenant = locked(&place.0.tenant).take().map(|counted| counted.tenant.clone());
    let done = work.await;
    *locked(&place.0.permit) = Some(place.0.in_flight.enter()?);
    *locked(&place.0.tenant) = tenant.map(|tenant| place.0.in_flight.count(&tenant));
    Some(done)
}

/// Leaves the place of this task's request to others for good: what goes on of it [waits](InFlight::wait) for one each time.
pub fn leave_place() {
    let _without_a_place = PLACE.try_with(|place| {
        drop(locked(&place.0.permit).take());
        drop(locked(&place.0.tenant).take());
    });
}

/// This task's request is of this tenant.
///
/// # Errors
/// When it has no place for it.
pub fn is_of(tenant: &Tenant) -> Result<(), TooManyOfTenant> {
    let counted = PLACE.try_with(|place| {
        let mut own = locked(&place.0.tenant);
        if own.is_none() {
            if place.0.in_flight.has_its_share(tenant) {
                return Err(TooManyOfTenant);
            }
            *own = Some(place.0.in_flight.count(tenant));
        }
        Ok(())
    });
    // Without a place there is no bound.
    counted.unwrap_or(Ok(()))
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::{BoxFuture, pending};

    use super::*;

    /// One that is being handled for as long as it is kept, unless it is refused.
    fn request(in_flight: &InFlight, tenant: &str) -> BoxFuture<'static, Option<Result<(), TooManyOfTenant>>> {
        let (in_flight, tenant) = (in_flight.clone(), Tenant::new(tenant).unwrap());
        let handled = async move {
            is_of(&tenant)?;
            // As where its credentials are looked at twice.
            is_of(&tenant)?;
            pending().await
        };
        async move { in_flight.run(handled).await.map(|(done, _)| done) }.boxed()
    }

    fn is_refused(request: &mut BoxFuture<'static, Option<Result<(), TooManyOfTenant>>>) -> bool {
        request.now_or_never().is_some()
    }

    #[tokio::test]
    async fn one_tenant_has_all_places_until_there_are_several_and_three_quarters_then() {
        let met = MetTenants::default();
        let in_flight = InFlight::new(4).among(met.clone());
        let mut alone: Vec<_> = (0..4).map(|_| request(&in_flight, "acme")).collect();
        assert!(alone.iter_mut().all(|one| !is_refused(one)));
        assert!(is_refused(&mut request(&in_flight, "acme")), "all places are taken");
        met.met_another();
        alone.truncate(3);
        assert!(is_refused(&mut request(&in_flight, "acme")), "it has three quarters");
        let mut other = request(&in_flight, "globex");
        assert!(!is_refused(&mut other));
        alone.pop();
        let mut next = request(&in_flight, "acme");
        assert!(!is_refused(&mut next));
        drop((alone, other, next));
        assert!(locked(&in_flight.tenants).is_empty());
    }
}
