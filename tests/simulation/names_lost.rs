//! The database is away for longer than any name lasts, while most messages merely wait in the topic.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use correio::domain::message::MessageStatus;

use super::healing::Healing;
use super::planted::Planted;
use super::process::{Mode, NODE_TIMEOUT};
use super::scenario::{Ended, Faults, Options, World};
use super::story::{Broken, is_move, stories};
use super::{STORMY, finds, first_broken, promises, seeds};
use crate::support::memory::Bug;

const NAMES_LOST: Options = Options { faults: Faults::NamesLost, mode: Some(Mode::Kafka), messages: 120, ..STORMY };

const PROCESSES: usize = 3;

impl World {
    /// Three processes accept and publish, and the group gets nothing of it. Then no process can keep its name; in one of three
    /// runs one of them dies meanwhile. Afterwards all have watched the old names for long enough to find them gone, before
    /// the group goes on.
    pub fn all_names_are_lost(&mut self, healing: &mut Healing) {
        for _ in 0..PROCESSES {
            self.start_process();
        }
        self.clients.start(self.options.messages, Duration::from_secs(20), true);
        self.goes_on_for(Duration::from_millis(500), Duration::from_secs(2));
        self.say("the group gets no records");
        self.around.broker.withhold(true);
        self.goes_on_for(Duration::from_secs(4), Duration::from_secs(8));
        let over = self.scheduler.between(NODE_TIMEOUT + Duration::from_secs(1), NODE_TIMEOUT * 3);
        let back_at = self.scheduler.now() + over;
        if let Some((_, heal)) = self.database_goes_away(over) {
            healing.after(back_at, heal);
        }
        if self.scheduler.chance(0.3) {
            self.goes_on_for(Duration::ZERO, over);
            self.kill();
        }
        self.scheduler.run_until(back_at);
        for heal in healing.due(back_at) {
            self.heal(heal);
        }
        self.goes_on_for(NODE_TIMEOUT * 2, NODE_TIMEOUT * 4);
        self.waited_under_former_names = self.waiting_under_former_names();
        self.say("the group gets its records");
        self.around.broker.withhold(false);
    }

    fn goes_on_for(&self, least: Duration, most: Duration) {
        self.scheduler.run_until(self.scheduler.now() + self.scheduler.between(least, most));
    }

    fn waiting_under_former_names(&self) -> usize {
        let told = self.around.chronicle.told();
        let rows = self.around.database.rows();
        let waits = rows.iter().filter(|row| row.status == MessageStatus::Queued && row.next_attempt_at.is_none());
        let lives = |node| told.names.get(&node).is_some_and(|process| self.scheduler.lives(*process));
        waits.filter_map(|row| row.node).filter(|node| told.is_former(*node) && lives(*node)).count()
    }
}

/// What merely waits is not handed over again, but for what a process that died has left. Nothing is lost, and nothing called
/// twice for no reason, as ever.
fn broken(ended: &Ended) -> Vec<Broken> {
    let mut broken = promises::broken(ended);
    for story in stories(ended) {
        for ((_, before), (at, change)) in story.changes.iter().zip(story.changes.iter().skip(1)) {
            let merely_waited = is_move(change, MessageStatus::Queued, MessageStatus::Queued) && !change.was_timed;
            if merely_waited && change.writer == "due.take" && !ended.told.was_killed(before.node, *at) {
                let how = format!("was handed over again at {at:?}, although it merely waited");
                broken.push(Broken { message: Some(story.row.id), how });
            }
        }
    }
    broken
}

#[test]
fn what_merely_waits_is_not_published_again_when_every_name_is_lost() {
    let (seeds, waited) = (seeds(60), AtomicUsize::new(0));
    let count = seeds.end - seeds.start;
    let found = first_broken(
        seeds,
        |_| NAMES_LOST,
        |ended| {
            waited.fetch_add(ended.waited_under_former_names, Ordering::Relaxed);
            broken(ended)
        },
    );
    if let Some((seed, report)) = found {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::names plays it again");
    }
    let waited = waited.into_inner() as u64;
    println!("{waited} messages waited under a name that their process had lost");
    assert!(waited >= count * 10, "{waited} messages waited under a lost name in {count} schedules");
}

#[test]
fn a_relay_that_takes_what_waits_for_a_process_that_lives_is_found() {
    let planted = Planted::InTables(Bug::RelayTakesWhatWaitsForSuccessors);
    finds(planted, 0, NAMES_LOST, broken, "although it merely waited");
}
