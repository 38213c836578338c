//! The memory that consumers' records take until their callers fetch them, and who has how much of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::domain::access::principal::Tenant;

/// What all consumers hold together at most.
const MOST_OF_ALL: usize = 64 * 1024 * 1024;

/// Of this, one tenant's: what it leaves lying keeps no other's consumers from reading.
const MOST_OF_A_TENANT: usize = MOST_OF_ALL / 2;

/// What a tenant may hold whatever the others do.
const LEAST_OF_A_TENANT: usize = 1024 * 1024;

/// What all consumers of a process hold.
#[derive(Default)]
pub struct MemoryShares {
    of_all: Arc<AtomicUsize>,
    of_tenants: Mutex<HashMap<Option<Tenant>, Weak<AtomicUsize>>>,
}

/// One consumer's way to say what it holds.
#[derive(Default)]
pub struct MemoryShare {
    of_all: Arc<AtomicUsize>,
    of_tenant: Arc<AtomicUsize>,
}

impl MemoryShares {
    /// For a consumer of this tenant's.
    pub fn of(&self, tenant: Option<&Tenant>) -> MemoryShare {
        let mut of_tenants = self.of_tenants.lock().unwrap_or_else(PoisonError::into_inner);
        of_tenants.retain(|_, share| share.strong_count() > 0);
        let known = of_tenants.get(&tenant.cloned()).and_then(Weak::upgrade);
        let of_tenant = known.unwrap_or_else(|| {
            let new = Arc::default();
            of_tenants.insert(tenant.cloned(), Arc::downgrade(&new));
            new
        });
        MemoryShare { of_all: self.of_all.clone(), of_tenant }
    }
}

impl MemoryShare {
    pub fn has_room(&self) -> bool {
        let (all, own) = (self.of_all.load(Ordering::Relaxed), self.of_tenant.load(Ordering::Relaxed));
        own < LEAST_OF_A_TENANT || (own < MOST_OF_A_TENANT && all < MOST_OF_ALL)
    }

    pub fn take(&self, bytes: usize) {
        self.of_all.fetch_add(bytes, Ordering::Relaxed);
        self.of_tenant.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn give_back(&self, bytes: usize) {
        self.of_all.fetch_sub(bytes, Ordering::Relaxed);
        self.of_tenant.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_tenant_leaves_lying_keeps_no_other_from_reading() {
        let shares = MemoryShares::default();
        let [a, b, c] = ["a", "b", "c"].map(|name| Tenant::new(name).unwrap());
        let (one, two) = (shares.of(Some(&a)), shares.of(Some(&a)));
        one.take(MOST_OF_A_TENANT);
        assert!(!two.has_room(), "all of a tenant's consumers share");
        let other = shares.of(Some(&b));
        assert!(other.has_room());
        other.take(MOST_OF_A_TENANT);
        let third = shares.of(Some(&c));
        assert!(third.has_room(), "each has a little, whatever the others have");
        third.take(LEAST_OF_A_TENANT);
        assert!(!third.has_room());
        one.give_back(LEAST_OF_A_TENANT);
        assert!([&third, &other, &two].iter().all(|share| !share.has_room()), "all is taken");
        one.give_back(LEAST_OF_A_TENANT);
        assert!(third.has_room());
    }
}
