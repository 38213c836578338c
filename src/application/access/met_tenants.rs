use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::domain::access::principal::Tenant;

/// Whether this process has met a tenant beside `default`, which every installation has. Copies share it.
#[derive(Clone, Debug, Default)]
pub struct MetTenants(Arc<Met>);

#[derive(Debug, Default)]
struct Met {
    another: AtomicBool,
    at_the_first: OnceLock<fn()>,
}

impl MetTenants {
    /// What is done when the first other tenant is met; it has no effect a second time.
    pub fn at_the_first(&self, act: fn()) {
        let _it_was_set_before = self.0.at_the_first.set(act);
    }

    /// Notes a tenant that an instance is being configured for, or whose message is to be delivered. One that merely calls says
    /// nothing that other processes could see. True when it is the first of them.
    pub fn met(&self, tenant: &Tenant) -> bool {
        tenant.as_str() != Tenant::DEFAULT && self.met_another()
    }

    /// True when it is the first.
    pub fn met_another(&self) -> bool {
        if self.are_several() || self.0.another.swap(true, Ordering::Relaxed) {
            return false;
        }
        if let Some(act) = self.0.at_the_first.get() {
            act();
        }
        true
    }

    /// Never false again once it was true.
    pub fn are_several(&self) -> bool {
        self.0.another.load(Ordering::Relaxed)
    }
}
