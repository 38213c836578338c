//! How what goes wrong is over.

use std::collections::BTreeMap;
use std::time::Duration;

use super::scheduler::ProcessId;

/// How something that went wrong is over.
pub enum Heal {
    Start,
    Thaw(ProcessId),
    Weather,
    Database,
    Broker,
    Channel,
}

/// What is to be healed, and when.
#[derive(Default)]
pub struct Healing(BTreeMap<Duration, Vec<Heal>>);

impl Healing {
    pub fn after(&mut self, at: Duration, heal: Heal) {
        self.0.entry(at).or_default().push(heal);
    }

    pub fn due(&mut self, now: Duration) -> impl Iterator<Item = Heal> + use<> {
        let later = self.0.split_off(&(now + Duration::from_nanos(1)));
        std::mem::replace(&mut self.0, later).into_values().flatten()
    }
}
