//! What must be true when a run has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use correio::domain::instance::DELETED;
use correio::domain::message::{MOVES, MessageId, MessageStatus};
use correio::domain::node::NodeId;

use super::channel::{Call, Deed, SECOND_ID};
use super::order;
use super::process::NODE_TIMEOUT;
use super::receipts;
use super::scenario::{Ended, has_ended};
use super::story::{Broken, Story, fails_unclaimed, is_move, makes_good, stories};
use crate::support::memory::{CRASH, Change, FAIL, TAKE};

pub fn broken(ended: &Ended) -> Vec<Broken> {
    let stories = stories(ended);
    let mut broken = Vec::new();
    for story in &stories {
        let mut say = |how: String| broken.push(Broken { message: Some(story.row.id), how });
        if ended.deleted.contains(&story.row.id) && !has_ended(story.row) {
            say(format!("was deleted while it was {}, or owed a dead letter", story.row.status));
        }
        it_moved_by_the_table(story, &mut say);
        it_ended_truly(story, ended, &mut say);
        its_tries_are_accounted_for(story, ended, &mut say);
        its_calls_were_its_owners(story, ended, &mut say);
        receipts::promises::broken(story, ended, &mut say);
    }
    lost_claims_were_made_good(ended, &stories, &mut broken);
    names_were_used_rightly(ended, &stories, &mut broken);
    dead_letters_are_there(ended, &mut broken);
    clients_were_told_the_truth(ended, &stories, &mut broken);
    keys_made_one_message(ended, &mut broken);
    broken.extend(order::broken(ended, &stories));
    let stuck = ended.unstopped.iter().map(|process| format!("{process:?} was asked to stop, and never did"));
    let unanswered = (ended.unanswered > 0).then(|| format!("{} clients were never answered", ended.unanswered));
    let panicked = ended.panics.iter().map(|what| format!("somebody panicked: {what}"));
    broken.extend(stuck.chain(unanswered).chain(panicked).map(|how| Broken { message: None, how }));
    // A record of a message that is deleted names nothing.
    let is_of_deleted = |what: &&String| ended.deleted.iter().any(|id| what.contains(&id.to_string()));
    let set_aside = ended.set_aside.iter().filter(|what| !is_of_deleted(what));
    broken.extend(set_aside.map(|what| Broken { message: None, how: format!("set aside: {what}") }));
    broken
}

fn it_moved_by_the_table(story: &Story, say: &mut impl FnMut(String)) {
    for (_, change) in &story.changes {
        // Of one that is queued, an outcome is its claim too: whether it may be is asked below.
        if let Some(from) = change.from
            && !MOVES.contains(&(from, change.to))
            && !makes_good(change)
            && !fails_unclaimed(change)
        {
            say(format!("moved from {from} to {} by {}", change.to, change.writer));
        }
        if change.to == MessageStatus::Processing && change.was_timed {
            say("was claimed before its time".to_owned());
        }
        if change.writer == "messages.defer" && change.was_timed {
            say("was put off, although it waited for its time".to_owned());
        }
        if change.believed.is_some_and(|believed| believed != (change.node, change.try_number)) {
            say("was overwritten by an outcome that came too late".to_owned());
        }
    }
    its_try_counted_claims(story, say);
}

/// A try goes on by one, with a claim; and back by one, with a crash that takes this claim back. An outcome makes good only
/// such a claim, of its own node.
fn its_try_counted_claims(story: &Story, say: &mut impl FnMut(String)) {
    let mut lost: Vec<(Option<NodeId>, u32)> = Vec::new();
    for ((_, before), (at, change)) in story.changes.iter().zip(story.changes.iter().skip(1)) {
        let is_claim = change.to == MessageStatus::Processing || makes_good(change) || fails_unclaimed(change);
        let is_as_it_should = if change.writer == CRASH {
            lost.push((before.node, before.try_number));
            is_move(change, MessageStatus::Processing, MessageStatus::Queued)
                && before.writer == "messages.claim"
                && change.try_number + 1 == before.try_number
        } else {
            change.try_number == before.try_number + u32::from(is_claim)
        };
        if !is_as_it_should {
            let (from, to) = (before.try_number, change.try_number);
            say(format!("went from try {from} to try {to} at {at:?} by {}", change.writer));
        }
        if makes_good(change) && !lost.contains(&(change.node, change.try_number)) {
            say(format!("was claimed at {at:?} by an outcome of a claim that was not lost"));
        }
    }
}

fn it_ended_truly(story: &Story, ended: &Ended, say: &mut impl FnMut(String)) {
    let row = story.row;
    match row.status {
        MessageStatus::Sent | MessageStatus::Delivered | MessageStatus::Read => {
            if !story.was(&[Deed::Taken, Deed::TakenUnanswered]) {
                say(format!("is {}, and no channel took it", row.status));
            }
        }
        MessageStatus::Cancelled => it_was_cancelled_in_time(story, ended, say),
        MessageStatus::Failed => {
            let accepted_as = story.changes.first().map(|(_, change)| change.to);
            let told_at_once = accepted_as == Some(MessageStatus::Pending) && row.tries == 1 && story.replays() == 0;
            let since = story.last_replay();
            let was_refused = story.calls.iter().any(|call| call.at >= since && call.deed == Deed::RefusedForGood);
            let is_of_deleted =
                row.instance_id == SECOND_ID && row.error.as_deref().is_some_and(|error| error.starts_with(DELETED));
            let was_refused = was_refused || receipts::promises::was_refused_later(story);
            if !told_at_once && !was_refused && !is_of_deleted && row.tries < row.max_tries {
                say(format!("failed after {} of {} tries", row.tries, row.max_tries));
            }
            if row.dead_lettered_at.is_none() {
                say("still owes its dead letter".to_owned());
            }
        }
        open => say(format!("is still {open}, next at {:?}, of {:?}", row.next_attempt_at, row.node)),
    }
}

/// Nobody called the channel afterwards, and nobody knew that it had taken the message: but for a caller whom something kept
/// from learning or saying so.
fn it_was_cancelled_in_time(story: &Story, ended: &Ended, say: &mut impl FnMut(String)) {
    let Some((at, _)) = story.changes.last() else { return };
    // What was taken, refused later and replayed may be taken back again.
    let was_taken = |call: &Call| call.deed == Deed::Taken && call.at >= story.last_replay();
    for call in story.calls.iter().filter(|call| call.at >= *at || was_taken(call)) {
        let (begin, end) = (call.at.min(*at), call.at.max(*at));
        if !ended.told.was_hit(call.by, begin, end, NODE_TIMEOUT) {
            say(format!(
                "was cancelled at {at:?}, although {:?} was called at {:?} by {:?}",
                call.deed, call.at, call.by
            ));
        }
    }
}

/// The channel was called at most once a try; and a try more than allowed is the work of a crash, a freeze or a lost answer
/// that hit this message.
fn its_tries_are_accounted_for(story: &Story, ended: &Ended, say: &mut impl FnMut(String)) {
    let row = story.row;
    // Those that a crash took back are not counted in the row, unless they were made good.
    let tries = (row.try_number as usize + story.lost_claims().count()).saturating_sub(story.made_good());
    if story.calls.len() > tries {
        say(format!("was called {} times in {tries} tries", story.calls.len()));
    }
    let spent = row.tries as usize + story.lost_claims().count();
    if story.calls.len() > spent && story.replays() == 0 {
        say(format!("was called {} times, and {spent} tries are spent on it", story.calls.len()));
    }
    let (mut unended, mut put_off) = (0, 0);
    let mut begun = None;
    for (at, change) in &story.changes {
        let was_being_delivered = matches!(change.from, Some(MessageStatus::Pending | MessageStatus::Processing));
        let is_given_back = change.believed.is_none() && change.writer != CRASH;
        if was_being_delivered && change.to == MessageStatus::Queued && is_given_back {
            unended += 1;
            let (since, node) = begun.unwrap_or_default();
            let panicked =
                story.calls.iter().any(|call| call.deed == Deed::Panicked && call.at >= since && call.at <= *at);
            // A name that was lost for something is watched for a while before it is gone.
            if !panicked && !ended.told.was_interrupted(node, since, *at, NODE_TIMEOUT * 2) {
                say(format!("was taken from the process delivering it since {since:?} at {at:?}, for no reason"));
            }
        }
        // Claimed to be put off: its channel was not called, and no try is spent.
        if was_being_delivered && change.to == MessageStatus::Queued && change.believed.is_some() {
            let since = begun.map_or(Duration::ZERO, |(since, _)| since);
            put_off += usize::from(!story.calls.iter().any(|call| call.at >= since && call.at <= *at));
        }
        if matches!(change.to, MessageStatus::Pending | MessageStatus::Processing) {
            begun = Some((*at, change.node));
        }
    }
    let allowed = row.max_tries as usize * (1 + story.replays()) + unended + put_off;
    if row.try_number as usize > allowed {
        say(format!("was tried {} times, and {allowed} would have been enough", row.try_number));
    }
}

/// Who calls has the message at that moment; or cannot know that a crash took back its claim, or that its instance's deletion
/// failed what was under way, which says that it may have been delivered.
fn its_calls_were_its_owners(story: &Story, ended: &Ended, say: &mut impl FnMut(String)) {
    let is_in_delivery = |status| matches!(status, MessageStatus::Pending | MessageStatus::Processing);
    let owner_at = |time: Duration| {
        let mut last = story.changes.iter().rev().filter(|(at, _)| *at <= time).map(|(_, change)| change);
        let change = last.next()?;
        let was_under_way = change.writer == FAIL && change.from.is_some_and(is_in_delivery);
        let change = if was_under_way { last.next()? } else { change };
        ended.told.names.get(&change.node?).filter(|_| is_in_delivery(change.to))
    };
    for call in &story.calls {
        let is_callers = |change: &Change| change.node.and_then(|node| ended.told.names.get(&node)) == Some(&call.by);
        let has_lost_it = || {
            let last = story.lost_claims().filter(|((at, claim), _)| *at <= call.at && is_callers(claim)).last();
            last.is_some_and(|(_, (crashed_at, _))| *crashed_at <= call.at)
        };
        if owner_at(call.at) != Some(&call.by) && !has_lost_it() {
            say(format!("was called at {:?} by {:?}, and was not its own", call.at, call.by));
        }
    }
}

/// Who delivered with a claim that a crash took back, and lived to say how it ended before anybody claimed again, has ended
/// it: whoever calls after that calls for no reason.
fn lost_claims_were_made_good(ended: &Ended, stories: &[Story], broken: &mut Vec<Broken>) {
    let by_id: BTreeMap<MessageId, &Story> = stories.iter().map(|story| (story.row.id, story)).collect();
    for (refusal, at) in ended.refusals.iter().zip(&ended.told.refused_at) {
        let Some(story) = by_id.get(&refusal.id) else { continue };
        let is_its = |claim: &Change| claim.node == refusal.node && claim.try_number == refusal.try_number;
        let was_lost = story.lost_claims().any(|((_, claim), (crashed_at, _))| is_its(claim) && crashed_at <= at);
        let (found, try_number) = refusal.found;
        // Otherwise somebody has claimed it, ended it or made it due: then the outcome came too late.
        let is_unclaimed = (found, try_number + 1) == (MessageStatus::Queued, refusal.try_number);
        // What its first try sent is sent, also if it was put off or made due since.
        let may_wait = refusal.try_number == 1 && refusal.ended == MessageStatus::Sent;
        let is_unclaimed = is_unclaimed && (may_wait || !refusal.was_timed);
        let is_end = matches!(refusal.ended, MessageStatus::Sent | MessageStatus::Failed);
        let again = story.calls.iter().find(|call| call.at > *at);
        if let Some(again) = again.filter(|_| was_lost && is_unclaimed && is_end) {
            let how = format!("was called again at {:?}, although it was said at {at:?} how it had ended", again.at);
            broken.push(Broken { message: Some(refusal.id), how });
        }
    }
}

/// What is said to be on the topic is there; and the row is the dead letter only where nobody lives who publishes.
fn dead_letters_are_there(ended: &Ended, broken: &mut Vec<Broken>) {
    for (payment, at) in ended.payments.iter().zip(&ended.told.paid_at) {
        let mut say = |how: String| broken.push(Broken { message: Some(payment.id), how });
        if payment.has_record {
            if !ended.letters.contains(&(payment.id, payment.try_number)) {
                say("failed, and there is no dead letter of it".to_owned());
            }
            continue;
        }
        let lives = |node: &&NodeId| !ended.told.was_interrupted(Some(**node), *at, *at, NODE_TIMEOUT * 4);
        if let Some(publisher) = payment.publishers.iter().find(lives) {
            say(format!("was written off, although {:?} publishes", ended.told.names.get(publisher)));
        }
    }
}

/// A claim carries the name that its process has; and a message is made due only by a process that takes it to have the owner
/// that it has.
fn names_were_used_rightly(ended: &Ended, stories: &[Story], broken: &mut Vec<Broken>) {
    for (id, at) in &ended.told.misnamed {
        let how = format!("was to be claimed at {at:?} under a name that its process had lost");
        broken.push(Broken { message: Some(*id), how });
    }
    for story in stories {
        let made_due = story.changes.iter().filter(|(_, change)| change.writer == "due.make_due");
        for (at, Change { node, .. }) in made_due {
            if node.is_none_or(|node| !ended.told.asked_to_make_due.contains(&(story.row.id, node))) {
                let how = format!("was made due at {at:?}, although another node had it");
                broken.push(Broken { message: Some(story.row.id), how });
            }
        }
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
        // What a receipt says later is news.
        let told = story.changes.iter().any(|(_, change)| change.to == answer.status);
        let is_news = told && receipts::promises::moved(story);
        if is_final && story.replays() == 0 && story.row.status != answer.status && !is_news {
            say(format!("is {}, and its client was told {}", story.row.status, answer.status));
        }
    }
    for (id, status, at) in &ended.told.not_taken_back {
        let Some(story) = by_id.get(id) else { continue };
        let is_begun =
            |(_, change): &(Duration, &Change)| change.to == MessageStatus::Processing || !change.to.is_open();
        let is_for_later = story.row.send_at.is_some_and(|send_at| send_at > story.row.created_at);
        if is_for_later && !story.changes.iter().take_while(|(before, _)| before <= at).any(is_begun) {
            let how = format!("could not be taken back at {at:?}, being {status}, although it waited for its time");
            broken.push(Broken { message: Some(*id), how });
        }
    }
    for id in &ended.told.cancelled {
        if by_id.get(id).is_none_or(|story| story.row.status != MessageStatus::Cancelled) {
            broken.push(Broken { message: Some(*id), how: "is not cancelled, and a client was told so".to_owned() });
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
        // Several calls to a slow channel, one after the other, may take longer than a process that stops has time.
        if story.changes.iter().any(|(_, change)| ended.told.was_cut_short(change.node)) {
            continue;
        }
        let mut say = |how: String| broken.push(Broken { message: Some(story.row.id), how });
        it_was_taken_in_its_time(&story, &mut say);
        // Where nobody consumes, what one relay has taken is due for each other until it is claimed.
        let mut is_taken = false;
        for (at, change) in &story.changes {
            let is_due = change.writer == "due.take" && (change.was_timed || is_taken);
            is_taken = is_due;
            if change.writer.starts_with("due.") && !is_due {
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

/// By one clock for all: a process whose clock is ahead takes what others have put off sooner. Decided a little before it is
/// written.
fn it_was_taken_in_its_time(story: &Story, say: &mut impl FnMut(String)) {
    for ((begin, change), (end, next)) in story.changes.iter().zip(story.changes.iter().skip(1)) {
        const A_LITTLE: chrono::TimeDelta = chrono::TimeDelta::milliseconds(200);
        let waited = chrono::TimeDelta::from_std(*end - *begin).unwrap_or_default();
        if let Some(wait) = change.wait.filter(|wait| next.writer == TAKE && waited + A_LITTLE < *wait) {
            say(format!("was to wait for {wait} from {begin:?} on, and was taken after {waited}"));
        }
    }
}

/// Where nothing but answers of the database is lost, and nobody's name with them, a message that failed for want of tries
/// was called as often.
pub fn broken_with_lost_answers(ended: &Ended) -> Vec<Broken> {
    let mut broken = broken(ended);
    for story in stories(ended) {
        // Whoever takes it over from a name that is gone cannot know whether it was called; and the try of a message that is
        // accepted to be delivered at once begins with its accept, whether or not that is answered.
        let is_taken = |change: &Change| {
            is_move(change, MessageStatus::Pending, MessageStatus::Queued)
                || (change.from == Some(MessageStatus::Processing) && change.writer == "due.take")
        };
        let taken = story.changes.iter().filter(|(_, change)| is_taken(change)).count();
        let (calls, tries) = (story.calls.len() + taken, story.row.tries as usize);
        if calls < tries && story.replays() == 0 {
            let how = format!("was called {calls} times, and {tries} tries are spent on it");
            broken.push(Broken { message: Some(story.row.id), how });
        }
    }
    broken
}
