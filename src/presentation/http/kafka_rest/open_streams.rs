//! How many streams of records may be open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::access::principal::Tenant;

/// Bounds the streams of records. One may be silent for a day, and has a place among the requests that are being handled only while
/// records of it are stored.
#[derive(Clone)]
pub struct OpenStreams {
    open: Arc<Mutex<HashMap<Tenant, usize>>>,
    most: usize,
}

/// One that is open, until the last copy is dropped.
#[derive(Clone)]
pub struct OpenStream(#[allow(dead_code, reason = "kept until it is dropped")] Arc<Counted>);

struct Counted {
    streams: OpenStreams,
    tenant: Tenant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooManyStreams {
    OfTenant,
    InAll,
}

impl OpenStreams {
    /// At most so many, and half of them of one tenant.
    pub fn new(most: usize) -> Self {
        Self { open: Arc::default(), most: most.max(1) }
    }

    /// # Errors
    /// When no more may be open.
    pub fn open(&self, tenant: &Tenant) -> Result<OpenStream, TooManyStreams> {
        let mut open = self.locked();
        let (all, own) = (open.values().sum::<usize>(), open.get(tenant).copied().unwrap_or_default());
        if own >= (self.most / 2).max(1) {
            return Err(TooManyStreams::OfTenant);
        }
        if all >= self.most {
            return Err(TooManyStreams::InAll);
        }
        open.insert(tenant.clone(), own + 1);
        Ok(OpenStream(Arc::new(Counted { streams: self.clone(), tenant: tenant.clone() })))
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Tenant, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.streams.locked();
        if let Some(own) = open.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                open.remove(&self.tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_has_half_of_them_and_all_together_no_more_than_there_are() {
        let streams = OpenStreams::new(4);
        let open = |name: &str| streams.open(&Tenant::new(name).unwrap());
        let mut acme = vec![open("acme").unwrap(), open("acme").unwrap()];
        assert_eq!(open("acme").err(), Some(TooManyStreams::OfTenant));
        let globex = [open("globex").unwrap(), open("globex").unwrap()];
        assert_eq!(open("initech").err(), Some(TooManyStreams::InAll));
        let copy = acme[0].clone();
        acme.remove(0);
        assert!(open("initech").is_err(), "a copy of it is left");
        drop(copy);
        assert!(open("initech").is_ok());
        drop((acme, globex));
        assert!(streams.locked().is_empty());
    }

    #[test]
    fn where_there_is_one_place_anyone_may_have_it() {
        let streams = OpenStreams::new(1);
        let tenant = Tenant::new("acme").unwrap();
        let open = streams.open(&tenant).unwrap();
        assert!(streams.open(&tenant).is_err());
        drop(open);
        assert!(streams.open(&tenant).is_ok());
    }
}
