//! Each committed change of a subscribed tenant is told, in order a message.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use correio::domain::message::Purpose;
use correio::domain::status_webhook::TOLD;

use super::scenario::{Ended, Options};
use super::story::{Broken, Story, stories};
use super::{RECEIPTS, finds, first_broken, promises, seeds};
use crate::simulation::planted::Planted;
use crate::support::memory::{Bug, Change};

/// The tenant of all messages is told of every state.
const TOLD_OF: Options = Options { subscribes: true, messages: 40, ..RECEIPTS };

/// What it tells: of which message, and in which state that was.
fn told(story: &Story) -> Option<(String, String)> {
    story.row.purpose.filter(|purpose| *purpose == Purpose::Status)?;
    let event: serde_json::Value = serde_json::from_str(story.row.content.payload.as_deref()?).ok()?;
    let member = |name: &str| event["data"][name].as_str().map(str::to_owned);
    Some((member("id")?, member("status")?))
}

/// When it was made, and when it had ended.
fn lived(story: &Story) -> (Duration, Duration) {
    let made = story.changes.first().map_or(Duration::ZERO, |(at, _)| *at);
    let ended = story.changes.iter().find(|(_, change)| !change.to.is_open());
    (made, ended.map_or(Duration::MAX, |(at, _)| *at))
}

fn broken(ended: &Ended) -> Vec<Broken> {
    let mut broken = promises::broken(ended);
    let stories = stories(ended);
    let tellers: Vec<(String, String, &Story)> =
        stories.iter().filter_map(|story| told(story).map(|(of, state)| (of, state, story))).collect();
    for story in stories.iter().filter(|story| story.row.purpose.is_none()) {
        let mut say = |how: String| broken.push(Broken { message: Some(story.row.id), how });
        let is_told = |change: &&Change| change.from != Some(change.to) && TOLD.contains(&change.to);
        let moved: Vec<&str> =
            story.changes.iter().map(|(_, change)| *change).filter(is_told).map(|change| change.to.as_str()).collect();
        let mut told: Vec<&(String, String, &Story)> =
            tellers.iter().filter(|(of, ..)| *of == story.row.id.to_string()).collect();
        told.sort_by_key(|(_, _, teller)| lived(teller).0);
        let states: Vec<&str> = told.iter().map(|(_, state, _)| state.as_str()).collect();
        if states != moved {
            say(format!("became {}, and was told to be {}", moved.join(", "), states.join(", ")));
        }
        for two in told.windows(2) {
            let ((_, had_ended), (made, _)) = (lived(two[0].2), lived(two[1].2));
            if made < had_ended {
                say(format!("was told to be {} at {made:?}, before {} had been told", two[1].1, two[0].1));
            }
        }
    }
    broken
}

/// How many changes were told.
fn count(ended: &Ended) -> usize {
    ended.rows.iter().filter(|row| row.purpose.is_some()).count()
}

#[test]
fn each_change_is_told_in_order_a_message() {
    let (seeds, told) = (seeds(60), AtomicUsize::new(0));
    let schedules = seeds.end - seeds.start;
    let judge = |ended: &Ended| {
        told.fetch_add(count(ended), Ordering::Relaxed);
        broken(ended)
    };
    if let Some((seed, report)) = first_broken(seeds, |_| TOLD_OF, judge) {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::telling::each plays it again");
    }
    let told = told.into_inner() as u64;
    println!("{told} changes were told in {schedules} schedules");
    assert!(schedules < 20 || told >= schedules * 40, "{told} changes were told");
}

#[test]
fn a_change_by_a_receipt_that_is_not_told_is_found() {
    finds(Planted::InTables(Bug::ReceiptsAreNotTold), 0, TOLD_OF, broken, "was told to be");
}

#[test]
fn a_change_that_is_told_before_the_one_before_it_is_found() {
    finds(Planted::InTables(Bug::TellsAllAtOnce), 0, TOLD_OF, broken, "had been told");
}
