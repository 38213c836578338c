//! What fails is not called: one probe at a time, whatever dies, and what waits spends no try.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use correio::domain::instance::InstanceId;
use correio::domain::instance::breaker::{BreakerOf, BreakerState};

use super::channel::{Call, Deed, Mood};
use super::healing::{Heal, Healing};
use super::planted::Planted;
use super::scenario::{Ended, Faults, Options, World};
use super::story::Broken;
use super::{LOSSY, STORMY, finds, first_broken, promises, seeds};
use crate::support::memory::Bug;

const AWAY: Options = Options { faults: Faults::Away, messages: 120, taken_back: 0.0, ..STORMY };

/// A process may call for so long after a breaker has opened at another one: what it has claimed by then, and until it hears.
const HEARD: Duration = Duration::from_secs(9);

impl World {
    /// Most often the destinations are away, and slow about it.
    pub fn away_event(&mut self, healing: &mut Healing, over: Duration) {
        let now = self.scheduler.now();
        match self.scheduler.draw(|rng| rng.u32(0..8)) {
            0..=3 => {
                self.say("the destinations are away");
                self.channel.mood(Mood { transient: 1.0, slow: 0.7, ..Mood::default() });
                healing.after(now + over * 2, Heal::Channel);
            }
            4..=6 => {
                let killed = self.kill();
                if let Some((after, heal)) = killed {
                    healing.after(now + after, heal);
                }
            }
            _ => {
                self.say("an operator replays what failed");
                self.clients.replay();
            }
        }
    }
}

/// The calls of each instance, in order.
fn calls(ended: &Ended) -> BTreeMap<InstanceId, Vec<&Call>> {
    let of: BTreeMap<_, _> = ended.rows.iter().map(|row| (row.id, row.instance_id)).collect();
    let mut calls: BTreeMap<_, Vec<&Call>> = BTreeMap::new();
    for call in &ended.calls {
        if let Some(instance) = of.get(&call.message) {
            calls.entry(*instance).or_default().push(call);
        }
    }
    calls
}

/// How many probes there were, and those that were two at a time.
fn probes(ended: &Ended) -> (usize, Vec<Broken>) {
    let calls = calls(ended);
    let (mut count, mut broken) = (0, Vec::new());
    for (index, (of, state, opened)) in ended.breakers.iter().enumerate() {
        let (BreakerOf::Instance(instance), BreakerState::Open) = (of, state) else { continue };
        let closes = ended.breakers.iter().skip(index + 1).find(|(other, _, _)| other == of).map(|it| it.2);
        let until = closes.unwrap_or(Duration::MAX);
        let is_meanwhile = |call: &&Call| call.at >= *opened + HEARD && call.at < until;
        let mut last: Option<&Call> = None;
        for call in calls.get(instance).into_iter().flatten().copied().filter(is_meanwhile) {
            // It was known here that it works before that was written.
            if let Some(last) = last
                && last.over.is_some_and(|over| over <= call.at)
                && last.deed != Deed::RefusedForNow
            {
                break;
            }
            count += 1;
            if let Some(last) = last
                && last.over.is_some_and(|over| over > call.at)
            {
                let how = format!("was a probe by {:?} at {:?}, while {:?} probed", call.by, call.at, last.by);
                broken.push(Broken { message: Some(call.message), how });
            }
            last = Some(call);
        }
    }
    (count, broken)
}

fn broken(ended: &Ended) -> Vec<Broken> {
    promises::broken(ended).into_iter().chain(probes(ended).1).collect()
}

#[test]
fn there_is_one_probe_at_a_time_whatever_dies() {
    let (seeds, made, died) = (seeds(60), AtomicUsize::new(0), AtomicUsize::new(0));
    let count = seeds.end - seeds.start;
    let found = first_broken(
        seeds,
        |_| AWAY,
        |ended| {
            made.fetch_add(probes(ended).0, Ordering::Relaxed);
            died.fetch_add(ended.kills_in_delivery, Ordering::Relaxed);
            broken(ended)
        },
    );
    if let Some((seed, report)) = found {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::breaking plays it again");
    }
    let (made, died) = (made.into_inner() as u64, died.into_inner() as u64);
    println!("{made} probes in {count} schedules, {died} processes were killed while they delivered");
    assert!(count < 30 || (made >= count && died >= count / 2), "{made} probes, and {died} died");
}

#[test]
fn what_waits_behind_an_open_breaker_spends_no_try() {
    let (seeds, opened) = (seeds(60), AtomicUsize::new(0));
    let count = seeds.end - seeds.start;
    let found = first_broken(
        seeds,
        |_| Options { messages: 120, ..LOSSY },
        |ended| {
            opened.fetch_add(ended.breakers.len(), Ordering::Relaxed);
            promises::broken_with_lost_answers(ended)
        },
    );
    if let Some((seed, report)) = found {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::breaking plays it again");
    }
    let opened = opened.into_inner() as u64;
    println!("{opened} times a breaker opened or closed in {count} schedules");
    assert!(count < 30 || opened >= count / 4, "{opened} times a breaker opened or closed");
}

#[test]
fn two_that_probe_are_found() {
    finds(Planted::InTables(Bug::ProbesForEverybody), 0, AWAY, broken, "was a probe by");
}

#[test]
fn a_probe_that_is_waited_for_for_ever_is_found() {
    finds(Planted::InTables(Bug::LeasesNeverEnd), 15, AWAY, broken, "is still");
}
