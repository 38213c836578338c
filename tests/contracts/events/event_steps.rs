use std::time::Duration;

use correio::application::ports::{DueStep, Retry};
use correio::domain::event::{Event, EventStatus, Step, StepResult};
use futures::future::join_all;

use super::{event, now, stored, told};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, tenant};

on_every_adapter![
    steps_are_taken_in_the_order_of_their_events,
    a_step_is_taken_by_one_of_many,
    a_step_without_a_result_is_due_again_after_its_lease,
    a_step_that_was_lost_is_taken_alone,
    what_a_clock_ahead_has_set_is_called_in,
    failures_are_counted_apart_from_tries,
    a_step_that_a_person_retries_says_so_until_a_try_has_ended,
    a_wait_is_told_when_it_begins,
    an_event_is_processed_once_its_last_step_is_done,
    a_step_that_failed_is_due_again_at_its_time,
    a_dead_step_waits_for_a_person,
    another_step_goes_on_beside_a_dead_one,
    a_result_that_comes_too_late_changes_nothing,
    two_steps_of_an_event_end_together,
    what_is_taken_at_once_fits,
    a_history_does_not_grow_for_ever,
];

const LEASE: Duration = Duration::from_secs(60);

async fn take(adapters: &Adapters, step: Step, seconds: i64) -> Vec<DueStep> {
    adapters.event_steps.take(step, 100, LEASE, at(seconds)).await.unwrap()
}

async fn finish(adapters: &Adapters, due: &DueStep, result: StepResult, seconds: i64) -> Option<EventStatus> {
    adapters.event_steps.finish(&[due.ended(result)], at(seconds)).await.unwrap()[0]
}

fn done() -> StepResult {
    StepResult::Done { reason: Some("there".to_owned()) }
}

fn dead() -> StepResult {
    StepResult::Dead { reason: "refused".to_owned() }
}

fn names(due: &[DueStep]) -> Vec<&str> {
    due.iter().map(|due| due.event.name.as_str()).collect()
}

async fn steps_are_taken_in_the_order_of_their_events(adapters: &Adapters) {
    for name in ["one", "two", "three", "four"] {
        stored(adapters, &event(name), &[Step::Publish]).await;
    }
    stored(adapters, &event("five"), &[Step::Route]).await;
    stored(adapters, &Event { received_at: at(50), ..event("six") }, &[Step::Publish]).await;
    let two = adapters.event_steps.take(Step::Publish, 2, LEASE, at(1)).await.unwrap();
    assert_eq!(names(&two), ["one", "two"]);
    assert_eq!((two[0].tries, two[0].event.status), (1, EventStatus::Processing));
    assert_eq!(names(&take(adapters, Step::Publish, 1).await), ["three", "four"]);
    assert_eq!(names(&take(adapters, Step::Route, 1).await), ["five"]);
    assert_eq!(names(&take(adapters, Step::Publish, 50).await), ["six"]);
}

async fn a_step_is_taken_by_one_of_many(adapters: &Adapters) {
    for number in 0..40 {
        stored(adapters, &event(&number.to_string()), &[Step::Publish]).await;
    }
    let takes = (0..8).map(|number| adapters.of_process(number).event_steps.take(Step::Publish, 7, LEASE, at(1)));
    let mut taken: Vec<_> = join_all(takes).await.into_iter().flat_map(Result::unwrap).map(|it| it.event.id).collect();
    let count = taken.len();
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), count);
}

async fn what_a_clock_ahead_has_set_is_called_in(adapters: &Adapters) {
    stored(adapters, &Event { received_at: at(100_000), ..event("ahead") }, &[Step::Publish, Step::Route]).await;
    stored(adapters, &Event { received_at: at(60), ..event("soon") }, &[Step::Publish]).await;
    assert_eq!(adapters.event_steps.call_in(Step::Publish, at(600), at(2)).await.unwrap(), 1);
    assert_eq!(names(&take(adapters, Step::Publish, 2).await), ["ahead"]);
    assert!(take(adapters, Step::Route, 2).await.is_empty(), "of this kind alone");
    assert_eq!(names(&take(adapters, Step::Publish, 60).await), ["soon"]);
}

async fn a_step_without_a_result_is_due_again_after_its_lease(adapters: &Adapters) {
    stored(adapters, &event("one"), &[Step::Publish]).await;
    let first = take(adapters, Step::Publish, 1).await;
    assert!(take(adapters, Step::Publish, 60).await.is_empty());
    let second = take(adapters, Step::Publish, 61).await;
    assert_eq!(second[0].tries, 2);
    assert_eq!(finish(adapters, &first[0], done(), 62).await, None);
    assert_eq!(finish(adapters, &second[0], done(), 62).await, Some(EventStatus::Processed));
}

async fn a_step_that_was_lost_is_taken_alone(adapters: &Adapters) {
    for name in ["one", "two"] {
        stored(adapters, &event(name), &[Step::Publish]).await;
    }
    assert_eq!(names(&take(adapters, Step::Publish, 1).await), ["one", "two"]);
    stored(adapters, &Event { received_at: at(61), ..event("three") }, &[Step::Publish]).await;
    stored(adapters, &Event { received_at: at(61), ..event("four") }, &[Step::Publish]).await;
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(take(adapters, Step::Publish, 70).await);
    }
    let told: Vec<_> = taken.iter().map(|due| names(due)).collect();
    assert_eq!(told, [vec!["one"], vec!["two"], vec!["three", "four"], vec![]]);
    let lost: Vec<_> = taken.iter().flatten().map(|due| due.lost).collect();
    assert_eq!(lost, [1, 1, 0, 0]);
    let again = StepResult::Again { at: at(80), reason: "away".to_owned(), has_failed: false };
    finish(adapters, &taken[0][0], again, 71).await;
    assert_eq!(take(adapters, Step::Publish, 80).await[0].lost, 0, "it came to a result");
}

async fn failures_are_counted_apart_from_tries(adapters: &Adapters) {
    stored(adapters, &event("one"), &[Step::Publish]).await;
    let mut counted = Vec::new();
    for (round, has_failed) in [(1, false), (2, true), (3, false), (4, true), (5, false)] {
        let due = take(adapters, Step::Publish, round).await;
        counted.push((due[0].tries, due[0].failures));
        let again = StepResult::Again { at: at(round + 1), reason: "away".to_owned(), has_failed };
        finish(adapters, &due[0], again, round).await;
    }
    assert_eq!(counted, [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2)]);
}

async fn a_step_that_a_person_retries_says_so_until_a_try_has_ended(adapters: &Adapters) {
    let one = event("one");
    stored(adapters, &one, &[Step::Publish]).await;
    let due = take(adapters, Step::Publish, 1).await;
    assert!(!due[0].resend);
    finish(adapters, &due[0], dead(), 1).await;
    adapters.events.retry(&one.tenant, "one", at(2)).await.unwrap();
    assert!(take(adapters, Step::Publish, 2).await[0].resend);
    let due = take(adapters, Step::Publish, 62).await;
    assert!(due[0].resend, "the try before came to no result");
    let put_off = StepResult::PutOff { at: at(70), reason: "the database is away".to_owned() };
    assert_eq!(finish(adapters, &due[0], put_off, 63).await, Some(EventStatus::Processing));
    let due = take(adapters, Step::Publish, 70).await;
    assert_eq!((due[0].resend, due[0].failures), (true, 0), "nothing was done");
    let again = StepResult::Again { at: at(80), reason: "sent again".to_owned(), has_failed: false };
    finish(adapters, &due[0], again, 71).await;
    assert!(!take(adapters, Step::Publish, 80).await[0].resend);
}

async fn a_wait_is_told_when_it_begins(adapters: &Adapters) {
    let one = event("one");
    stored(adapters, &one, &[Step::Publish, Step::Tables]).await;
    for round in 1..=6 {
        for step in [Step::Publish, Step::Tables] {
            let due = take(adapters, step, round).await;
            let reason = if round < 4 { "1 of 2" } else { "2 of 2" }.to_owned();
            let again = StepResult::Again { at: at(round + 1), reason, has_failed: false };
            finish(adapters, &due[0], again, round).await;
        }
    }
    let reasons: Vec<_> =
        told(adapters, &one).await.into_iter().filter_map(|(_, step, reason)| step.and(reason)).collect();
    assert_eq!(reasons, ["1 of 2", "1 of 2", "2 of 2", "2 of 2"], "once a step");
    assert_eq!(now(adapters, &one).await.updated_at, at(4), "nothing has changed since");
}

async fn an_event_is_processed_once_its_last_step_is_done(adapters: &Adapters) {
    let one = event("one");
    stored(adapters, &one, &[Step::Publish, Step::Tables]).await;
    let publish = take(adapters, Step::Publish, 1).await;
    assert_eq!(now(adapters, &one).await.status, EventStatus::Processing);
    assert_eq!(finish(adapters, &publish[0], done(), 2).await, Some(EventStatus::Processing));
    let tables = take(adapters, Step::Tables, 3).await;
    assert_eq!(finish(adapters, &tables[0], done(), 4).await, Some(EventStatus::Processed));
    let processed = now(adapters, &one).await;
    assert_eq!((processed.status, processed.updated_at, processed.error), (EventStatus::Processed, at(4), None));
    let there = || Some("there".to_owned());
    let expected = [
        (EventStatus::Received, None, Some("direct-db".to_owned())),
        (EventStatus::Processing, Some(Step::Publish), None),
        (EventStatus::Processing, Some(Step::Publish), there()),
        (EventStatus::Processed, Some(Step::Tables), there()),
    ];
    assert_eq!(told(adapters, &one).await, expected);
    assert!(take(adapters, Step::Publish, 1_000).await.is_empty());
    let counts = adapters.events.count(&tenant("acme")).await.unwrap();
    assert_eq!(counts.by_status, [(EventStatus::Processed, 1)].into());
}

async fn a_step_that_failed_is_due_again_at_its_time(adapters: &Adapters) {
    let one = event("one");
    stored(adapters, &one, &[Step::Publish]).await;
    let due = take(adapters, Step::Publish, 1).await;
    let again = StepResult::Again { at: at(9), reason: "away".to_owned(), has_failed: true };
    assert_eq!(finish(adapters, &due[0], again, 2).await, Some(EventStatus::Failed));
    assert_eq!(now(adapters, &one).await.error.as_deref(), Some("away"));
    assert!(take(adapters, Step::Publish, 8).await.is_empty());
    let due = take(adapters, Step::Publish, 9).await;
    assert_eq!((due[0].tries, now(adapters, &one).await.status), (2, EventStatus::Processing));
    assert_eq!(finish(adapters, &due[0], done(), 10).await, Some(EventStatus::Processed));
    assert_eq!(now(adapters, &one).await.error, None);
}

async fn a_dead_step_waits_for_a_person(adapters: &Adapters) {
    let one = event("one");
    stored(adapters, &one, &[Step::Publish]).await;
    assert!(matches!(adapters.events.retry(&one.tenant, "one", at(1)).await.unwrap(), Retry::NotDead(_)));
    let due = take(adapters, Step::Publish, 1).await;
    assert_eq!(finish(adapters, &due[0], dead(), 2).await, Some(EventStatus::DeadLetter));
    assert!(take(adapters, Step::Publish, 10_000).await.is_empty());
    let Retry::Retried(retried) = adapters.events.retry(&one.tenant, "one", at(20)).await.unwrap() else {
        panic!("it is not retried")
    };
    assert_eq!((retried.status, retried.error), (EventStatus::Received, None));
    let due = take(adapters, Step::Publish, 20).await;
    assert_eq!((due[0].tries, due[0].failures), (2, 0), "a result of the first try would come too late");
    assert_eq!(finish(adapters, &due[0], done(), 21).await, Some(EventStatus::Processed));
}

async fn another_step_goes_on_beside_a_dead_one(adapters: &Adapters) {
    let one = event("one");
    stored(adapters, &one, &[Step::Publish, Step::Tables]).await;
    let publish = take(adapters, Step::Publish, 1).await;
    assert_eq!(finish(adapters, &publish[0], dead(), 2).await, Some(EventStatus::Processing));
    let tables = take(adapters, Step::Tables, 3).await;
    assert_eq!(finish(adapters, &tables[0], done(), 4).await, Some(EventStatus::DeadLetter));
    assert_eq!(now(adapters, &one).await.error.as_deref(), Some("refused"));
}

async fn a_result_that_comes_too_late_changes_nothing(adapters: &Adapters) {
    let one = event("one");
    stored(adapters, &one, &[Step::Publish]).await;
    let due = take(adapters, Step::Publish, 1).await;
    assert_eq!(finish(adapters, &due[0], done(), 2).await, Some(EventStatus::Processed));
    for result in [done(), dead()] {
        assert_eq!(finish(adapters, &due[0], result, 3).await, None);
    }
    let unknown = DueStep { event: event("two"), step: Step::Route, ..due[0].clone() };
    assert_eq!(finish(adapters, &unknown, done(), 3).await, None);
    assert_eq!(now(adapters, &one).await.updated_at, at(2));
}

async fn two_steps_of_an_event_end_together(adapters: &Adapters) {
    let one = event("one");
    stored(adapters, &one, &[Step::Publish, Step::Tables]).await;
    let (publish, tables) = (take(adapters, Step::Publish, 1).await, take(adapters, Step::Tables, 1).await);
    let both = [publish[0].ended(done()), tables[0].ended(done())];
    let statuses = adapters.event_steps.finish(&both, at(2)).await.unwrap();
    assert_eq!(statuses.last(), Some(&Some(EventStatus::Processed)));
    assert_eq!(now(adapters, &one).await.status, EventStatus::Processed);
    assert_eq!(adapters.events.count(&tenant("acme")).await.unwrap().by_status, [(EventStatus::Processed, 1)].into());
}

async fn what_is_taken_at_once_fits(adapters: &Adapters) {
    for number in 0..4 {
        let data = format!("\"{}\"", "x".repeat(7 << 20));
        stored(adapters, &Event { data, ..event(&number.to_string()) }, &[Step::Publish]).await;
    }
    assert_eq!(names(&take(adapters, Step::Publish, 1).await), ["0", "1", "2"]);
    assert_eq!(names(&take(adapters, Step::Publish, 1).await), ["3"]);
}

async fn a_history_does_not_grow_for_ever(adapters: &Adapters) {
    let one = event("one");
    stored(adapters, &one, &[Step::Publish]).await;
    for round in 0..110 {
        let due = take(adapters, Step::Publish, round).await;
        let again = StepResult::Again { at: at(round + 1), reason: "away".to_owned(), has_failed: true };
        finish(adapters, &due[0], again, round).await;
    }
    assert_eq!(told(adapters, &one).await.len(), 200);
    let due = take(adapters, Step::Publish, 200).await;
    finish(adapters, &due[0], dead(), 200).await;
    let lines = told(adapters, &one).await;
    assert_eq!(lines.len(), 201, "the end is told");
    assert_eq!(lines.last().map(|(status, ..)| *status), Some(EventStatus::DeadLetter));
}
