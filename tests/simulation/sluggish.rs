//! The database answers late: what it says of the nodes may be past, and what was asked of it may be done after its process
//! has stopped in good order.

use std::time::Duration;

use super::planted::{InStores, Planted};
use super::process::Mode;
use super::scenario::{Faults, Options};
use super::{STORMY, finds, first_broken, promises, seeds, weather};
use crate::support::memory::Bug;

/// A look may take longer than the margin by which a name is lost before it is gone.
const SLUGGISH: Options = Options {
    faults: Faults::Sluggish,
    weather: weather::State { slow: 0.5, ..weather::BAD },
    patience: Duration::from_secs(2),
    messages: 200,
    ..STORMY
};

/// Those who watch others may learn late of what they see.
const SLOW_LOOKS: Options =
    Options { faults: Faults::SlowLooks, patience: Duration::from_secs(2), messages: 200, ..STORMY };

#[test]
fn whatever_comes_late_the_promises_are_kept() {
    if let Some((seed, report)) = first_broken(seeds(20), |_| SLUGGISH, promises::broken) {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::sluggish plays it again");
    }
}

#[test]
fn a_heartbeat_that_stands_still_since_the_asking_is_found() {
    finds(Planted::StillSinceTheAsking, 160, SLOW_LOOKS, promises::broken, "was not its own");
}

#[test]
fn a_heartbeat_that_stands_still_until_the_answer_is_found() {
    finds(Planted::StillUntilTheAnswer, 350, SLOW_LOOKS, promises::broken, "was not its own");
}

/// So that the clocks are what the two above are found by.
#[test]
fn names_without_a_margin_break_nothing_by_themselves() {
    let options = Options { planted: Some(Planted::NamesWithoutMargin), ..SLOW_LOOKS };
    if let Some((seed, report)) = first_broken(seeds(20), |_| options, promises::broken) {
        panic!("seed {seed}\n{report}");
    }
}

#[test]
fn a_claim_that_is_repeated_under_its_old_name_is_found() {
    finds(
        Planted::InStores(InStores::ClaimsUnderOldNames),
        0,
        SLUGGISH,
        promises::broken,
        "under a name that its process had lost",
    );
}

#[test]
fn what_comes_after_its_node_has_left_and_is_left_alone_is_found() {
    let options = Options { mode: Some(Mode::Direct), ..SLUGGISH };
    finds(Planted::InTables(Bug::DepartedKeepPending), 29, options, promises::broken, "is still pending");
}

#[test]
fn a_mark_on_another_dead_letter_than_the_one_published_is_found() {
    let options = Options { mode: Some(Mode::Kafka), ..SLUGGISH };
    finds(Planted::InTables(Bug::MarksIgnoreTry), 272, options, promises::broken, "there is no dead letter of it");
}
