//! An instance may be called so often and no more, whatever dies.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use correio::domain::instance::pace::{Pace, SLOT_LIVES};
use correio::domain::message::MessageId;

use super::channel::FIRST_ID;
use super::planted::Planted;
use super::scenario::{Ended, Options};
use super::story::Broken;
use super::{STORMY, finds, first_broken, promises, seeds};
use crate::support::memory::Bug;

const RATE: u32 = 120;

const PACED: Options = Options { rate: Some(RATE), taken_back: 0.0, ..STORMY };

/// When the instance was called, in order.
fn calls(ended: &Ended) -> Vec<(Duration, MessageId)> {
    let instances: BTreeMap<_, _> = ended.rows.iter().map(|row| (row.id, row.instance_id)).collect();
    let is_paced = |message: &MessageId| instances.get(message) == Some(&FIRST_ID);
    let mut calls: Vec<_> =
        ended.calls.iter().map(|call| (call.at, call.message)).filter(|(_, message)| is_paced(message)).collect();
    calls.sort_unstable();
    calls
}

/// In no time more than its slots, and those that may be used late.
fn broken(ended: &Ended) -> Vec<Broken> {
    let interval = Duration::from_nanos(Pace::new(RATE, None).unwrap().interval());
    let calls = calls(ended);
    let mut broken = promises::broken(ended);
    for (index, (from, _)) in calls.iter().enumerate() {
        for (later, (until, message)) in calls.iter().enumerate().skip(index) {
            let slots = (*until - *from + SLOT_LIVES).as_nanos() / interval.as_nanos() + 1;
            if (later - index + 1) as u128 > slots + 1 {
                let how = format!("was one of {} calls from {from:?} to {until:?}: too fast", later - index + 1);
                broken.push(Broken { message: Some(*message), how });
                return broken;
            }
        }
    }
    broken
}

#[test]
fn an_instance_is_never_called_faster_than_its_pace() {
    let (seeds, made) = (seeds(60), AtomicUsize::new(0));
    let count = seeds.end - seeds.start;
    let found = first_broken(
        seeds,
        |_| PACED,
        |ended| {
            made.fetch_add(calls(ended).len(), Ordering::Relaxed);
            broken(ended)
        },
    );
    if let Some((seed, report)) = found {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::pacing plays it again");
    }
    let made = made.into_inner() as u64;
    println!("{made} calls at a pace in {count} schedules");
    assert!(made >= 10 * count, "{made} calls at a pace in {count} schedules");
}

#[test]
fn slots_that_two_have_are_found() {
    finds(Planted::InTables(Bug::ReservesSlotsTwice), 0, PACED, broken, "too fast");
}
