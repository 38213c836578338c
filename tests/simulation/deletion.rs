//! An instance is deleted while messages of it wait, for a record, for a retry or for an hour, and are being delivered.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use correio::domain::instance::DELETED;
use correio::domain::message::{MessageId, MessageStatus};

use super::channel::SECOND_ID;
use super::planted::Planted;
use super::scenario::{Ended, Options};
use super::story::{Broken, Story, stories};
use super::{STORMY, finds, first_broken, promises, seeds};
use crate::support::memory::{Bug, FAIL};

const DELETING: Options = Options { deletes: true, messages: 120, ..STORMY };

/// Its messages end like all others, those for a later time too. None is called by a try that began after it was said that
/// the instance is deleted.
fn broken(ended: &Ended) -> Vec<Broken> {
    let mut broken = promises::broken(ended);
    let (Some(asked_at), Some(deleted_at)) = (ended.told.deletion_asked_at, ended.told.deleted_at) else {
        return broken;
    };
    // What was accepted by a process that had looked the instance up before has its time, and fails then.
    let has_its_time = |story: &Story| {
        let row = story.row;
        let is_late = story.changes.first().is_some_and(|(accepted_at, _)| *accepted_at >= asked_at);
        is_late && row.instance_id == SECOND_ID && row.next_attempt_at.is_some() && row.next_attempt_at == row.send_at
    };
    let late: BTreeSet<MessageId> = stories(ended).iter().filter(|it| has_its_time(it)).map(|it| it.row.id).collect();
    broken.retain(|one| one.message.is_none_or(|id| !late.contains(&id)));
    for story in stories(ended).iter().filter(|story| story.row.instance_id == SECOND_ID) {
        let mut say = |how: String| broken.push(Broken { message: Some(story.row.id), how });
        for call in story.calls.iter().filter(|call| call.at > deleted_at) {
            let is_callers = |node| ended.told.names.get(&node) == Some(&call.by);
            let is_begun = |status| matches!(status, MessageStatus::Pending | MessageStatus::Processing);
            let begun = story
                .changes
                .iter()
                .rev()
                .find(|(at, change)| *at <= call.at && is_begun(change.to) && change.node.is_some_and(is_callers));
            if begun.is_none_or(|(at, _)| *at > deleted_at) {
                say(format!("was called at {:?}, although its instance was deleted at {deleted_at:?}", call.at));
            }
        }
        if failed_by_deletion(story) && !story.row.error.as_deref().is_some_and(|error| error.starts_with(DELETED)) {
            say(format!("failed because its instance was deleted, and says {:?}", story.row.error));
        }
    }
    broken
}

/// By its last change.
fn failed_by_deletion(story: &Story) -> bool {
    story.changes.last().is_some_and(|(_, change)| change.writer == FAIL)
}

#[test]
fn what_is_open_of_a_deleted_instance_ends_and_is_not_called_for() {
    let (seeds, failed) = (seeds(60), AtomicUsize::new(0));
    let count = seeds.end - seeds.start;
    let found = first_broken(
        seeds,
        |_| DELETING,
        |ended| {
            failed.fetch_add(stories(ended).iter().filter(|it| failed_by_deletion(it)).count(), Ordering::Relaxed);
            broken(ended)
        },
    );
    if let Some((seed, report)) = found {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::deletion plays it again");
    }
    let failed = failed.into_inner() as u64;
    println!("{failed} messages failed because their instance was deleted");
    assert!(failed >= count * 2, "{failed} messages failed because their instance was deleted in {count} schedules");
}

#[test]
fn messages_of_a_deleted_instance_that_nobody_fails_are_found() {
    finds(Planted::NobodyEmpties, 0, DELETING, broken, "is still queued");
}

#[test]
fn a_call_for_an_instance_that_is_deleted_is_found() {
    finds(Planted::InTables(Bug::ClaimsRememberInstances), 1, DELETING, broken, "although its instance was deleted");
}
