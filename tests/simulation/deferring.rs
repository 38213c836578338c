//! An instance hangs for so long that its messages are put off again and again, and nothing else is wrong.

use std::sync::atomic::{AtomicUsize, Ordering};

use correio::domain::message::MessageStatus;

use super::planted::Planted;
use super::scenario::{Ended, Faults, Options};
use super::story::{Broken, stories};
use super::{STORMY, finds, first_broken, promises, seeds};
use crate::support::memory::Bug;

/// In earnest a message is put off 32 times, and each pause is longer than the one before: that takes a day.
const MOST: u32 = 1;

const HANGING: Options =
    Options { faults: Faults::Hangs, max_deferrals: Some(MOST), messages: 120, taken_back: 0.0, ..STORMY };

/// Put off so often, a message is claimed before it is put off again: or two processes do that in turns for ever.
fn broken(ended: &Ended) -> Vec<Broken> {
    let mut broken = promises::broken(ended);
    for story in stories(ended) {
        let mut times = 0;
        for (at, change) in &story.changes {
            match change.to {
                MessageStatus::Queued if change.writer == "messages.defer" => times += 1,
                MessageStatus::Processing => times = 0,
                _ => {}
            }
            if times > MOST {
                let how = format!("was put off {times} times until {at:?}, and not claimed");
                broken.push(Broken { message: Some(story.row.id), how });
            }
        }
    }
    broken
}

/// How many messages were claimed to be put off.
fn claimed_to_be_put_off(ended: &Ended) -> usize {
    let was = |story: &super::story::Story| {
        let claims = story.changes.iter().filter(|(_, change)| change.to == MessageStatus::Processing).count();
        claims > story.calls.len() && story.row.deferrals > MOST
    };
    stories(ended).iter().filter(|story| was(story)).count()
}

#[test]
fn what_is_put_off_often_is_claimed_and_ends() {
    let (seeds, claimed) = (seeds(20), AtomicUsize::new(0));
    let count = seeds.end - seeds.start;
    let found = first_broken(
        seeds,
        |_| HANGING,
        |ended| {
            claimed.fetch_add(claimed_to_be_put_off(ended), Ordering::Relaxed);
            broken(ended)
        },
    );
    if let Some((seed, report)) = found {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::deferring plays it again");
    }
    let claimed = claimed.into_inner() as u64;
    println!("{claimed} messages were claimed to be put off");
    assert!(claimed >= count, "{claimed} messages were claimed to be put off in {count} schedules");
}

#[test]
fn what_is_put_off_for_ever_is_found() {
    finds(Planted::InTables(Bug::PutsOffForEver), 0, HANGING, broken, "and not claimed");
}
