use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::turn::Busy;
use crate::application::access::met_tenants::MetTenants;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::InstanceId;

/// Bounds how many of the requests that a process handles wait for one instance, and for those of one tenant: where a receiver
/// hangs, each of its callers waits as long as a try may take, and would otherwise leave no place to any other request.
/// Copies share it.
#[derive(Clone)]
pub struct WaitingCallers {
    most_of_instance: usize,
    most_of_tenant: usize,
    tenants: MetTenants,
    waiting: Arc<Mutex<Waiting>>,
}

/// Each is there for as long as any waits.
#[derive(Default)]
struct Waiting {
    instances: HashMap<InstanceId, usize>,
    tenants: HashMap<Tenant, usize>,
}

/// A caller that waits, until this is dropped.
pub struct WaitingCaller {
    callers: WaitingCallers,
    tenant: Tenant,
    instance: InstanceId,
}

impl WaitingCallers {
    /// Of `most` requests a quarter for one instance, and half for one tenant once there are several. None: no caller waits.
    pub fn among(most: Option<usize>, tenants: MetTenants) -> Self {
        let share = |parts: usize| most.map_or(usize::MAX, |most| (most / parts).max(1));
        Self { most_of_instance: share(4), most_of_tenant: share(2), tenants, waiting: Arc::default() }
    }

    /// # Errors
    /// When as many wait as may.
    pub fn enter(&self, tenant: &Tenant, instance: InstanceId) -> Result<WaitingCaller, Busy> {
        let mut waiting = self.waiting();
        if waiting.instances.get(&instance).is_some_and(|waiting| *waiting >= self.most_of_instance) {
            return Err(Busy::Instance);
        }
        let of_tenant = waiting.tenants.get(tenant).copied().unwrap_or(0);
        if of_tenant >= self.most_of_tenant && self.tenants.are_several() {
            return Err(Busy::Tenant);
        }
        *waiting.instances.entry(instance).or_default() += 1;
        *waiting.tenants.entry(tenant.clone()).or_default() += 1;
        drop(waiting);
        Ok(WaitingCaller { callers: self.clone(), tenant: tenant.clone(), instance })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WaitingCaller {
    fn drop(&mut self) {
        let mut waiting = self.callers.waiting();
        leave(&mut waiting.instances, &self.instance);
        leave(&mut waiting.tenants, &self.tenant);
    }
}

fn leave<K: Eq + Hash>(waiting: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = waiting.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            waiting.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn instance(number: u128) -> InstanceId {
        InstanceId(Uuid::from_u128(number))
    }

    #[test]
    fn one_instance_has_a_quarter_and_one_tenant_half_where_there_are_several() {
        let [acme, other] = ["acme", "other"].map(|name| Tenant::new(name).unwrap());
        for are_several in [false, true] {
            let tenants = MetTenants::default();
            if are_several {
                tenants.met_another();
            }
            let callers = WaitingCallers::among(Some(8), tenants);
            let mut waiting = Vec::new();
            for number in [1, 1, 2, 2] {
                waiting.push(callers.enter(&acme, instance(number)).unwrap());
            }
            assert!(matches!(callers.enter(&acme, instance(1)), Err(Busy::Instance)));
            let third = callers.enter(&acme, instance(3));
            assert_eq!(matches!(third, Err(Busy::Tenant)), are_several);
            assert!(callers.enter(&other, instance(4)).is_ok());
            drop(third);
            drop(waiting.remove(0));
            assert!(callers.enter(&acme, instance(1)).is_ok());
            drop(waiting);
            assert!(callers.waiting().instances.is_empty() && callers.waiting().tenants.is_empty());
        }
    }

    #[test]
    fn where_no_caller_waits_as_many_come_as_may() {
        let (callers, tenant) = (WaitingCallers::among(None, MetTenants::default()), Tenant::new("acme").unwrap());
        let all: Vec<_> = (0..10_000).map(|_| callers.enter(&tenant, instance(1))).collect();
        assert!(all.iter().all(Result::is_ok));
    }
}
