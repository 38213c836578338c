//! The group that consumes: who has which partition.

use std::collections::BTreeMap;
use std::time::Duration;

use correio::application::ports::{Arrival, Partition};
use futures::channel::oneshot;

use super::{OUTSIDE, PARTITIONS, ProcessId, SimBroker};

/// How long a member may be silent.
const SESSION: Duration = Duration::from_secs(10);
/// How long a partition that is given up waits for what was claimed from it.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

impl SimBroker {
    /// Moves a partition to another member, if there is one; says whether there is.
    pub fn rebalance(&self) -> bool {
        let members: Vec<ProcessId> = self.state().members.keys().copied().collect();
        if members.len() < 2 {
            return false;
        }
        let partition = Partition(self.scheduler.draw(|rng| rng.i32(0..PARTITIONS)));
        let to = members[self.scheduler.draw(|rng| rng.usize(0..members.len()))];
        let broker = self.clone();
        self.scheduler.spawn(OUTSIDE, Box::pin(async move { broker.hand(partition, to).await }));
        true
    }

    /// Gives each partition an owner that lives, and commits what is finished.
    pub(super) async fn coordinate(&self) {
        let mut silent_since: BTreeMap<ProcessId, Duration> = BTreeMap::new();
        loop {
            self.scheduler.sleep(Duration::from_secs(1)).await;
            if self.state().is_away {
                continue;
            }
            let now = self.scheduler.now();
            let members: Vec<ProcessId> = self.state().members.keys().copied().collect();
            for member in &members {
                if self.scheduler.is_frozen(*member) {
                    let since = *silent_since.entry(*member).or_insert(now);
                    if now.saturating_sub(since) >= SESSION {
                        self.expel(*member);
                    }
                } else {
                    silent_since.remove(member);
                    self.commit(*member);
                }
            }
            let is_leaving =
                |member: &ProcessId| self.state().members.get(member).is_none_or(|member| member.is_closing);
            let may_have = |member: &ProcessId| !self.scheduler.is_frozen(*member) && !is_leaving(member);
            let live: Vec<ProcessId> = members.into_iter().filter(may_have).collect();
            for number in 0..PARTITIONS {
                let partition = Partition(number);
                let owner = self.state().owners.get(&partition).copied();
                let is_owned = owner.is_some_and(|owner| self.state().members.contains_key(&owner));
                if !is_owned && let Some(to) = live.get(number as usize % live.len().max(1)) {
                    self.hand(partition, *to).await;
                }
            }
        }
    }

    fn commit(&self, process: ProcessId) {
        let mut state = self.state();
        let state = &mut *state;
        let Some(member) = state.members.get(&process) else { return };
        for (partition, next) in &member.finished {
            if state.owners.get(partition) == Some(&process) {
                state.committed.insert(*partition, *next);
            }
        }
    }

    /// Asks the owner to give it up, waits for that, and gives it to somebody else.
    pub(super) async fn hand(&self, partition: Partition, to: ProcessId) {
        let owner = self.state().owners.get(&partition).copied();
        if owner == Some(to) {
            return;
        }
        if let Some(owner) = owner {
            let (drained, draining) = oneshot::channel();
            let is_asked = match self.state().members.get_mut(&owner) {
                Some(member) => {
                    member.position.remove(&partition);
                    member.events.push_back(Arrival::GivenUp { partitions: vec![partition], drained });
                    true
                }
                None => false,
            };
            if is_asked {
                let patience = self.scheduler.sleep(DRAIN_TIMEOUT);
                futures::future::select(draining, Box::pin(patience)).await;
                self.commit(owner);
            }
        }
        let mut state = self.state();
        let state = &mut *state;
        // Somebody else may have been quicker, or the new one may have died.
        if state.owners.get(&partition).copied() != owner {
            return;
        }
        state.owners.remove(&partition);
        let Some(member) = state.members.get_mut(&to).filter(|member| !member.is_closing) else { return };
        state.owners.insert(partition, to);
        member.finished.remove(&partition);
        member.paused.remove(&partition);
        member.position.insert(partition, state.committed.get(&partition).copied().unwrap_or(0));
        member.events.push_back(Arrival::Assigned(vec![partition]));
    }

    /// The group goes on without this member, which learns of it when it looks.
    fn expel(&self, process: ProcessId) {
        let mut state = self.state();
        let state = &mut *state;
        let lost: Vec<Partition> =
            state.owners.iter().filter(|(_, owner)| **owner == process).map(|(partition, _)| *partition).collect();
        state.owners.retain(|_, owner| *owner != process);
        if let Some(member) = state.members.get_mut(&process)
            && !lost.is_empty()
        {
            for partition in &lost {
                member.position.remove(partition);
            }
            let (drained, _) = oneshot::channel();
            member.events.push_back(Arrival::GivenUp { partitions: lost, drained });
        }
    }

    /// The process is dead; the group notices after a while.
    pub fn forget(&self, process: ProcessId) {
        let broker = self.clone();
        let scheduler = self.scheduler.clone();
        self.scheduler.spawn(
            OUTSIDE,
            Box::pin(async move {
                scheduler.sleep(SESSION).await;
                let mut state = broker.state();
                state.members.remove(&process);
                state.owners.retain(|_, owner| *owner != process);
            }),
        );
    }
}
