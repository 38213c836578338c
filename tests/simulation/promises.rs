//! What must be true when a run has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use correio::domain::message::{MOVES, Message, MessageId, MessageStatus};

use super::channel::{Call, Deed};
use super::order;
use super::process::{Mode, NODE_TIMEOUT};
use super::scenario::Ended;
use crate::support::memory::Change;

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub struct Broken {
    pub message: Option<MessageId>,
    pub how: String,
}

/// Everything that is known of one message.
pub struct Story<'a> {
    pub row: &'a Message,
    /// With the time of each.
    pub changes: Vec<(Duration, &'a Change)>,
    pub calls: Vec<&'a Call>,
}

impl Story<'_> {
    fn replays(&self) -> usize {
        self.changes.iter().filter(|(_, change)| is_move(change, MessageStatus::Failed, MessageStatus::Queued)).count()
    }

    fn was(&self, deeds: &[Deed]) -> bool {
        self.calls.iter().any(|call| deeds.contains(&call.deed))
    }
}

pub fn is_move(change: &Change, from: MessageStatus, to: MessageStatus) -> bool {
    change.from == Some(from) && change.to == to
}

pub fn stories(ended: &Ended) -> Vec<Story<'_>> {
    let mut stories: BTreeMap<MessageId, Story> =
        ended.rows.iter().map(|row| (row.id, Story { row, changes: Vec::new(), calls: Vec::new() })).collect();
    for (change, at) in ended.history.iter().zip(&ended.told.changed_at) {
        if let Some(story) = stories.get_mut(&change.id) {
            story.changes.push((*at, change));
        }
    }
    for call in &ended.calls {
        if let Some(story) = stories.get_mut(&call.message) {
            story.calls.push(call);
        }
    }
    stories.into_values().collect()
}

pub fn broken(ended: &Ended) -> Vec<Broken> {
    let stories = stories(ended);
    let mut broken = Vec::new();
    for story in &stories {
        let mut say = |how: String| broken.push(Broken { message: Some(story.row.id), how });
        it_moved_by_the_table(story, &mut say);
        it_ended_truly(story, &mut say);
        its_tries_are_accounted_for(story, ended, &mut say);
        its_dead_letter_is_there(story, ended, &mut say);
    }
    clients_were_told_the_truth(ended, &stories, &mut broken);
    keys_made_one_message(ended, &mut broken);
    broken.extend(order::broken(ended, &stories));
    broken.extend(ended.set_aside.iter().map(|what| Broken { message: None, how: format!("set aside: {what}") }));
    broken
}

fn it_moved_by_the_table(story: &Story, say: &mut impl FnMut(String)) {
    for (_, change) in &story.changes {
        if let Some(from) = change.from
            && !MOVES.contains(&(from, change.to))
        {
            say(format!("moved from {from} to {} by {}", change.to, change.writer));
        }
        if change.to == MessageStatus::Processing && change.was_timed {
            say("was claimed before its time".to_owned());
        }
        if change.believed_try.is_some_and(|believed| believed != change.try_number) {
            say("was overwritten by an outcome that came too late".to_owned());
        }
    }
}

fn it_ended_truly(story: &Story, say: &mut impl FnMut(String)) {
    let row = story.row;
    match row.status {
        MessageStatus::Sent if !story.was(&[Deed::Taken, Deed::TakenUnanswered]) => {
            say("is sent, and no channel took it".to_owned());
        }
        MessageStatus::Sent => {}
        MessageStatus::Failed => {
            let accepted_as = story.changes.first().map(|(_, change)| change.to);
            let told_at_once = accepted_as == Some(MessageStatus::Pending) && row.retries == 1 && story.replays() == 0;
            if !told_at_once && !story.was(&[Deed::RefusedForGood]) && row.retries < row.max_retries {
                say(format!("failed after {} of {} tries", row.retries, row.max_retries));
            }
            if row.dead_lettered_at.is_none() {
                say("still owes its dead letter".to_owned());
            }
        }
        open => say(format!("is still {open}, next at {:?}, of {:?}", row.next_attempt_at, row.node)),
    }
}

/// The channel was called at most once a try; and a try more than allowed is the work of a crash, a freeze or a lost answer
/// that hit this message.
fn its_tries_are_accounted_for(story: &Story, ended: &Ended, say: &mut impl FnMut(String)) {
    let row = story.row;
    if story.calls.len() > row.try_number as usize {
        say(format!("was called {} times in {} tries", story.calls.len(), row.try_number));
    }
    let mut unended = 0;
    let mut begun = None;
    for (at, change) in &story.changes {
        let was_being_delivered = matches!(change.from, Some(MessageStatus::Pending | MessageStatus::Processing));
        if was_being_delivered && change.to == MessageStatus::Queued && change.believed_try.is_none() {
            unended += 1;
            let (since, node) = begun.unwrap_or_default();
            let panicked =
                story.calls.iter().any(|call| call.deed == Deed::Panicked && call.at >= since && call.at <= *at);
            // A name that was lost for something is watched for a while before it is gone.
            if !panicked && !ended.told.was_interrupted(node, since, *at, NODE_TIMEOUT * 2) {
                say(format!("was taken from who was delivering it since {since:?} at {at:?}, for no reason"));
            }
        }
        if matches!(change.to, MessageStatus::Pending | MessageStatus::Processing) {
            begun = Some((*at, change.node));
        }
    }
    let allowed = row.max_retries as usize * (1 + story.replays()) + unended;
    if row.try_number as usize > allowed {
        say(format!("was tried {} times, and {allowed} would have been enough", row.try_number));
    }
}

/// Where everybody publishes, each failure has its record, unless a replay came before it.
fn its_dead_letter_is_there(story: &Story, ended: &Ended, say: &mut impl FnMut(String)) {
    let row = story.row;
    let is_owed = row.status == MessageStatus::Failed && ended.mode == Some(Mode::Kafka);
    if is_owed && !ended.letters.contains(&(row.id, row.try_number)) {
        say("failed, and there is no dead letter of it".to_owned());
    }
}

fn clients_were_told_the_truth(ended: &Ended, stories: &[Story], broken: &mut Vec<Broken>) {
    let by_id: BTreeMap<MessageId, &Story> = stories.iter().map(|story| (story.row.id, story)).collect();
    for answer in &ended.told.answers {
        let mut say = |how: String| broken.push(Broken { message: Some(answer.id), how });
        let Some(story) = by_id.get(&answer.id) else {
            say("was told to a client, and is nowhere".to_owned());
            continue;
        };
        let is_final = matches!(answer.status, MessageStatus::Sent | MessageStatus::Failed);
        if is_final && story.replays() == 0 && story.row.status != answer.status {
            say(format!("is {}, and its client was told {}", story.row.status, answer.status));
        }
    }
}

fn keys_made_one_message(ended: &Ended, broken: &mut Vec<Broken>) {
    let mut seen = BTreeSet::new();
    for row in &ended.rows {
        let Some(key) = row.content.text.as_deref().filter(|text| text.starts_with("key-")) else { continue };
        if !seen.insert(key) {
            broken.push(Broken { message: Some(row.id), how: format!("is another message of {key}") });
        }
    }
}

/// In a run without faults the relay has only what is timed, and the channel is called once a try that it answered.
pub fn broken_without_faults(ended: &Ended) -> Vec<Broken> {
    let mut broken = broken(ended);
    for story in stories(ended) {
        let mut say = |how: String| broken.push(Broken { message: Some(story.row.id), how });
        for (at, change) in &story.changes {
            if change.writer.starts_with("due.") && !(change.writer == "due.take" && change.was_timed) {
                say(format!("was handed over at {at:?} by {}, although nothing was wrong", change.writer));
            }
        }
        let again = story.calls.iter().filter(|call| call.deed == Deed::RefusedForNow).count();
        if story.calls.len() > 1 + again {
            say(format!("was called {} times", story.calls.len()));
        }
    }
    broken
}
