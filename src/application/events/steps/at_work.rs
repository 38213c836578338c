use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};

use super::step_work::{Ended, StepWork};
use crate::domain::access::principal::Tenant;

/// Steps that were taken and are at work: of a tenant, others are taken when all of these have ended, so that one whose steps take
/// long holds up none but itself.
#[derive(Default)]
pub struct AtWork<'w> {
    parts: SelectAll<BoxStream<'w, (u64, Ended)>>,
    takes: BTreeMap<u64, Take>,
    last: u64,
}

/// Steps that were taken together.
#[derive(Default)]
struct Take {
    /// How many of each tenant have not ended.
    tenants: BTreeMap<Tenant, usize>,
    /// Some did not only wait.
    went_on: bool,
    hindrance: Option<String>,
}

impl<'w> AtWork<'w> {
    /// `of`: whose steps they are, one for each.
    pub fn begin(&mut self, of: Vec<Tenant>, parts: BoxStream<'w, Ended>) {
        self.last += 1;
        let take = self.last;
        let tenants = &mut self.takes.entry(take).or_default().tenants;
        for tenant in of {
            *tenants.entry(tenant).or_default() += 1;
        }
        self.parts.push(parts.map(move |ended| (take, ended)).boxed());
    }

    pub fn takes(&self) -> usize {
        self.takes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.takes.is_empty()
    }

    pub fn tenants(&self) -> impl Iterator<Item = &Tenant> {
        self.takes.values().flat_map(|take| take.tenants.keys())
    }

    /// The next that have ended; none when nothing is at work. With the last of those that were taken together comes what kept all of
    /// them waiting, if something did.
    pub async fn next(&mut self, work: &dyn StepWork) -> Option<(Ended, Option<String>)> {
        let (number, ended) = self.parts.next().await?;
        let Some(take) = self.takes.get_mut(&number) else { return Some((ended, None)) };
        match work.hindrance(&ended) {
            Some(hindrance) => take.hindrance = Some(hindrance),
            None => take.went_on = true,
        }
        for (due, _) in &ended {
            take.tenants.entry(due.event.tenant.clone()).and_modify(|left| *left = left.saturating_sub(1));
        }
        take.tenants.retain(|_, left| *left > 0);
        if !take.tenants.is_empty() {
            return Some((ended, None));
        }
        let hindrance = self.takes.remove(&number).filter(|take| !take.went_on).and_then(|take| take.hindrance);
        Some((ended, hindrance))
    }
}
