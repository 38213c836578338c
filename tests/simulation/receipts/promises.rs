//! No receipt is lost, or goes backwards.

use correio::domain::message::MessageStatus;
use correio::domain::message::delivery::FailureKind;
use correio::domain::receipt::ReceiptStatus;

use super::Said;
use crate::simulation::channel::Deed;
use crate::simulation::scenario::Ended;
use crate::simulation::story::{Story, is_move, stories};
use crate::support::memory::Change;

/// The writer of changes by receipts.
const APPLY: &str = "receipts.apply";

pub fn broken(story: &Story, ended: &Ended, say: &mut impl FnMut(String)) {
    let said: Vec<&Said> = ended.said.iter().filter(|said| said.message == story.row.id).collect();
    it_is_what_its_receipts_say(story, &said, say);
    it_moved_by_receipts_of_its_run(story, &said, say);
}

/// Of those that a process has taken, and that have the message's name, or find it by our id.
fn it_is_what_its_receipts_say(story: &Story, said: &[&Said], say: &mut impl FnMut(String)) {
    let row = story.row;
    let its_name = row.channel_message_id.as_deref().filter(|name| *name != row.id.to_string());
    let is_its = |said: &&&Said| match its_name {
        Some(name) => said.name == name,
        None => said.has_our_id,
    };
    let taken = || said.iter().filter(|said| said.taken_at.is_some()).filter(is_its);
    let farthest = taken().map(|said| said.status).filter(|status| *status != ReceiptStatus::Failed).max();
    let was_refused = taken().any(|said| said.status == ReceiptStatus::Failed);
    let is_behind = match row.status {
        // Of what is known to have failed, nothing else is believed.
        MessageStatus::Failed => row.failure == Some(FailureKind::Unknown) && (farthest.is_some() || was_refused),
        MessageStatus::Sent => farthest > Some(ReceiptStatus::Sent) || was_refused,
        MessageStatus::Delivered => farthest == Some(ReceiptStatus::Read),
        _ => false,
    };
    if is_behind {
        let said: Vec<&str> = taken().map(|said| said.status.as_str()).collect();
        say(format!("is {} {:?}, and its receipts say {}", row.status, row.failure, said.join(", ")));
    }
}

/// What is sent again on purpose is another message to its channel: what is said of an earlier run does not count for one that the
/// channel took after it.
fn it_moved_by_receipts_of_its_run(story: &Story, said: &[&Said], say: &mut impl FnMut(String)) {
    let (mut run, mut is_taken_in_run) = (0, false);
    for (at, change) in &story.changes {
        if is_move(change, MessageStatus::Failed, MessageStatus::Queued) {
            (run, is_taken_in_run) = (run + 1, false);
        }
        is_taken_in_run |= change.to == MessageStatus::Sent && change.writer == "messages.record";
        if change.writer != APPLY {
            continue;
        }
        let says_so = |said: &&&Said| said.status.message_status() == change.to && said.at <= *at;
        let is_of_run = |said: &&&Said| said.run == run || !is_taken_in_run;
        if !said.iter().filter(says_so).any(|said| is_of_run(&said)) {
            say(format!("is {} at {at:?}, and no receipt of its run says so", change.to));
        }
        if !story.calls.iter().any(|call| matches!(call.deed, Deed::Taken | Deed::TakenUnanswered) && call.at <= *at) {
            say(format!("is {} at {at:?}, and no channel had taken it", change.to));
        }
    }
}

/// By a receipt, at the last.
pub fn moved(story: &Story) -> bool {
    story.changes.last().is_some_and(|(_, change)| change.writer == APPLY)
}

/// By a receipt, and not by its tries.
pub fn was_refused_later(story: &Story) -> bool {
    moved(story) && story.row.status == MessageStatus::Failed
}

/// How many receipts a process has taken, how many changes they made, how many were there before the outcome of the try that they are
/// of, and how many changes were of messages that would have been sent again, or might have been delivered.
pub fn counts(ended: &Ended) -> [usize; 4] {
    let stories = stories(ended);
    let changes: Vec<_> = stories.iter().flat_map(|story| &story.changes).collect();
    let moves = || changes.iter().filter(|(_, change)| change.writer == APPLY);
    let mended = |change: &Change| matches!(change.from, Some(MessageStatus::Queued | MessageStatus::Failed));
    let is_early = |said: &&Said| {
        let taken = said.taken_at;
        let story = stories.iter().find(|story| story.row.id == said.message);
        let first = story.and_then(|story| {
            let is_end = |change: &Change| change.from.is_some_and(MessageStatus::is_open) && !change.to.is_open();
            story.changes.iter().find(|(_, change)| is_end(change)).map(|(at, _)| *at)
        });
        taken.zip(first).is_some_and(|(taken, first)| taken < first)
    };
    let early = ended.said.iter().filter(is_early).count();
    let taken = ended.said.iter().filter(|said| said.taken_at.is_some()).count();
    [taken, moves().count(), early, moves().filter(|(_, change)| mended(change)).count()]
}
