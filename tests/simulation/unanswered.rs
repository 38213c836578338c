//! Answers of the database are lost, and nothing is slow: what becomes of messages whose accept was not answered, and of those
//! that are sent for later.

use std::time::Duration;

use super::planted::{InStores, Planted};
use super::process::Mode;
use super::scenario::{Ended, Faults, Options};
use super::story::{Broken, stories};
use super::{STORMY, finds, first_broken, promises, seeds, weather};

const UNANSWERED: Options = Options {
    faults: Faults::LostAnswers,
    weather: weather::State { lost: 0.1, unanswered: 0.3, slow: 0.0 },
    taken_back: 0.3,
    ..STORMY
};

/// Some statements get lost. What Kafka has lost is found after twenty seconds.
const SOON: Duration = Duration::from_secs(15);

/// What was accepted without an answer is made due as soon as the database answers.
fn broken(ended: &Ended) -> Vec<Broken> {
    let mut broken = promises::broken(ended);
    let stories = stories(ended);
    for (id, given_up) in &ended.told.unanswered_accepts {
        let Some(story) = stories.iter().find(|story| story.row.id == *id) else { continue };
        let [(accepted, _), next @ ..] = story.changes.as_slice() else { continue };
        let is_in_time = next.first().is_some_and(|(at, _)| *at <= *given_up + SOON);
        if accepted <= given_up && !is_in_time && story.row.send_at.is_none() {
            let how = format!("was accepted at {accepted:?}, which was not answered, and was not taken up soon");
            broken.push(Broken { message: Some(*id), how });
        }
    }
    broken
}

#[test]
fn what_was_accepted_without_an_answer_is_taken_up_soon() {
    if let Some((seed, report)) = first_broken(seeds(30), |_| UNANSWERED, broken) {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::unanswered plays it again");
    }
}

#[test]
fn an_accept_without_an_answer_that_is_not_settled_is_found() {
    let options = Options { mode: Some(Mode::Kafka), ..UNANSWERED };
    finds(Planted::InStores(InStores::AcceptsAreNotSettled), 0, options, broken, "was not taken up soon");
}

#[test]
fn what_is_sent_for_later_and_stored_as_sent_at_once_is_found() {
    let options = Options { mode: Some(Mode::Direct), ..UNANSWERED };
    finds(Planted::InStores(InStores::PendingForLater), 1, options, broken, "although it waited for its time");
}
