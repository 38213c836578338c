//! The wall clock is set, hours ahead and back, while messages wait for their next try.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::TimeDelta;

use super::channel::Mood;
use super::healing::{Heal, Healing};
use super::planted::Planted;
use super::process::NODE_TIMEOUT;
use super::scenario::{Ended, Faults, Options, World};
use super::story::{Broken, stories};
use super::{STORMY, finds, first_broken, promises, seeds};
use crate::support::memory::Bug;

const CLOCK_SET: Options = Options { faults: Faults::ClockSet, messages: 120, taken_back: 0.0, ..STORMY };

const HOUR: Duration = Duration::from_secs(3_600);

/// A relay that looks twice a second is so much later, with a slow statement or two.
const LATE: TimeDelta = TimeDelta::seconds(3);

impl World {
    /// All processes run on one machine, with one clock.
    pub fn clock_event(&mut self, healing: &mut Healing) {
        let now = self.scheduler.now();
        match self.scheduler.draw(|rng| rng.u32(0..8)) {
            0..=2 => self.set_the_clock(HOUR, true),
            3 => self.set_the_clock(HOUR * 2, false),
            4 => self.set_the_clock(Duration::ZERO, false),
            5 => {
                let over = self.scheduler.between(Duration::from_secs(1), NODE_TIMEOUT * 2);
                if let Some((after, heal)) = self.database_goes_away(over) {
                    healing.after(now + after, heal);
                }
            }
            _ => {
                self.say("the channel refuses some for now");
                self.channel.mood(Mood { transient: 0.7, ..Mood::default() });
                healing.after(now + Duration::from_secs(10), Heal::Channel);
            }
        }
    }

    /// To so much ahead of what is right, or behind it.
    pub fn set_the_clock(&mut self, by: Duration, is_behind: bool) {
        let by = i64::try_from(by.as_millis()).unwrap() * if is_behind { -1 } else { 1 };
        self.say(format!("the clock of the machine is set to {by} ms from what is right"));
        for process in self.clients.processes.lock().unwrap().iter() {
            process.wall_clock.store(by, Ordering::Relaxed);
        }
        let rows = self.around.database.rows();
        let waits = rows.iter().filter(|row| row.next_attempt_at.is_some() && row.next_attempt_at != row.send_at);
        self.waited_for_a_time += waits.count();
        // Of a clock that is set again within one look nothing is promised.
        self.scheduler.run_until(self.scheduler.now() + Duration::from_secs(2));
    }
}

/// Who waits for a next try waits for as long as was decided, whatever the clock says meanwhile; where the database was away
/// meanwhile, perhaps longer.
fn broken(ended: &Ended) -> Vec<Broken> {
    let mut broken = promises::broken(ended);
    for story in stories(ended) {
        let mut changes = story.changes.iter().filter(|(_, change)| change.writer != "due.retime").peekable();
        while let Some((begin, change)) = changes.next() {
            let Some((end, next)) = changes.peek() else { break };
            let Some(wait) = change.wait.filter(|_| next.writer == "due.take") else { continue };
            // Before its first try it goes back to no time before the one that its sender gave.
            if change.try_number == 0 && story.row.send_at.is_some() {
                continue;
            }
            let waited = TimeDelta::from_std(*end - *begin).unwrap();
            let is_hit = ended.told.was_anybody_interrupted(*begin, *end, NODE_TIMEOUT);
            if waited > wait + LATE && !is_hit {
                let how = format!("was to wait for {wait} from {begin:?} on, and waited for {waited}");
                broken.push(Broken { message: Some(story.row.id), how });
            }
        }
    }
    broken
}

#[test]
fn waits_last_as_long_as_was_decided_when_the_clock_is_set() {
    let (seeds, waited) = (seeds(100), AtomicUsize::new(0));
    let count = seeds.end - seeds.start;
    let found = first_broken(
        seeds,
        |_| CLOCK_SET,
        |ended| {
            waited.fetch_add(ended.waited_for_a_time, Ordering::Relaxed);
            broken(ended)
        },
    );
    if let Some((seed, report)) = found {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::clocks plays it again");
    }
    let waited = waited.into_inner() as u64;
    println!("{waited} messages waited for their time when the clock was set");
    assert!(waited >= count, "{waited} messages waited for their time when the clock was set, in {count} schedules");
}

#[test]
fn waits_that_a_clock_that_was_set_makes_longer_are_found() {
    finds(Planted::InTables(Bug::NothingIsTimedAnew), 15, CLOCK_SET, broken, "was to wait for");
}
