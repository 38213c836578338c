use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::domain::access::principal::Tenant;

/// How many searches may run at the same time, and how many of one tenant, once there are several: all but one, so that another
/// tenant's need not wait for as long as a search may take.
#[derive(Clone)]
pub struct SearchPlaces {
    all: Arc<Semaphore>,
    most_of_tenant: usize,
    tenants: Arc<Mutex<Tenants>>,
}

#[derive(Default)]
struct Tenants {
    places: HashMap<Tenant, Arc<Semaphore>>,
    are_several: bool,
}

/// Free again when it is dropped.
pub struct SearchPlace {
    _of_all: OwnedSemaphorePermit,
    _of_tenant: Option<OwnedSemaphorePermit>,
}

/// Beyond so many, those of tenants that search nothing are forgotten.
const MOST_TENANTS: usize = 100;

impl SearchPlaces {
    pub fn new(places: u32) -> Self {
        let places = places as usize;
        let most_of_tenant = places.saturating_sub(1).max(1);
        Self { all: Arc::new(Semaphore::new(places)), most_of_tenant, tenants: Arc::default() }
    }

    /// Waits for a place; None: of no tenant.
    ///
    /// # Errors
    /// Never, as places are not taken away.
    pub async fn enter(&self, tenant: Option<&Tenant>) -> Result<SearchPlace, AcquireError> {
        let of_tenant = match tenant.and_then(|tenant| self.of_tenant(tenant)) {
            Some(places) => Some(places.acquire_owned().await?),
            None => None,
        };
        Ok(SearchPlace { _of_all: self.all.clone().acquire_owned().await?, _of_tenant: of_tenant })
    }

    /// None: all of them, as nobody else has searched.
    fn of_tenant(&self, tenant: &Tenant) -> Option<Arc<Semaphore>> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let Tenants { places, are_several } = &mut *tenants;
        if places.len() >= MOST_TENANTS {
            // Who waits, or holds a place, holds it too.
            places.retain(|_, places| Arc::strong_count(places) > 1);
        }
        let own = places.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.most_of_tenant))).clone();
        *are_several |= places.len() > 1;
        are_several.then_some(own)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    #[tokio::test]
    async fn one_tenant_leaves_a_place_to_the_others() {
        let places = SearchPlaces::new(4);
        let (acme, globex) = (tenant("acme"), tenant("globex"));
        let mut alone: Vec<_> =
            (0..4).map(|_| places.enter(Some(&acme)).now_or_never().expect("a place").unwrap()).collect();
        assert!(places.enter(Some(&globex)).now_or_never().is_none(), "all are taken by the only one there was");
        alone.clear();
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(places.enter(Some(&acme)).now_or_never().expect("a place").unwrap());
        }
        assert!(places.enter(Some(&acme)).now_or_never().is_none(), "a fourth waits");
        let other = places.enter(Some(&globex)).now_or_never().expect("a place is left").unwrap();
        assert!(places.enter(Some(&globex)).now_or_never().is_none(), "all are taken");
        drop(other);
        assert!(places.enter(None).now_or_never().is_some());
        taken.pop();
        assert!(places.enter(Some(&acme)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn one_place_is_for_whoever_comes() {
        let places = SearchPlaces::new(1);
        let taken = places.enter(Some(&tenant("acme"))).now_or_never().expect("a place").unwrap();
        assert!(places.enter(Some(&tenant("globex"))).now_or_never().is_none());
        drop(taken);
        assert!(places.enter(Some(&tenant("globex"))).now_or_never().is_some());
    }

    #[tokio::test]
    async fn tenants_that_search_no_more_are_forgotten() {
        let places = SearchPlaces::new(4);
        places.enter(Some(&tenant("globex"))).await.unwrap();
        let kept = places.enter(Some(&tenant("acme"))).await.unwrap();
        for number in 0..2 * MOST_TENANTS {
            places.enter(Some(&tenant(&format!("t-{number}")))).await.unwrap();
        }
        let known = places.tenants.lock().unwrap().places.len();
        assert!(known <= MOST_TENANTS, "{known} are known");
        assert!(places.tenants.lock().unwrap().places.contains_key(&tenant("acme")));
        drop(kept);
    }
}
