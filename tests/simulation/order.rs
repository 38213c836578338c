//! Promise 4: messages to one recipient leave in the order in which one process accepted them.

use std::collections::BTreeMap;
use std::time::Duration;

use correio::domain::message::MessageStatus;

use super::process::NODE_TIMEOUT;
use super::scenario::Ended;
use super::story::{Broken, Story};

/// First calls that came in another order than the messages. Those that needed the relay are not promised any order, nor
/// those whose records Kafka disordered, or whose delivery was hit by something before the call.
pub fn broken(ended: &Ended, stories: &[Story]) -> Vec<Broken> {
    let mut latest: BTreeMap<_, (Duration, &Story)> = BTreeMap::new();
    let mut broken = Vec::new();
    // Stories come in order of their ids, which is that in which a process accepted them.
    for story in stories {
        let Some((accepted_by, called)) = first_call(story, ended) else { continue };
        let lane = (accepted_by, story.row.recipient.as_str());
        match latest.get(&lane) {
            Some((before, other)) if called < *before => broken.push(Broken {
                message: Some(story.row.id),
                how: format!("left at {called:?}, before the earlier {} at {before:?}", other.row.id),
            }),
            _ => _ = latest.insert(lane, (called, story)),
        }
    }
    broken
}

/// By which process it was accepted, and when it left, if it is one of those whose order is promised.
fn first_call(story: &Story, ended: &Ended) -> Option<(u32, Duration)> {
    let called = story.calls.first()?.at;
    let (_, accepted) = story.changes.first()?;
    let by = ended.told.names.get(&accepted.node?)?.0;
    let mut before = story.changes.iter().take_while(|(at, _)| *at <= called);
    let is_relayed = before.clone().any(|(_, change)| change.writer.starts_with("due."));
    let is_begun = |status| matches!(status, MessageStatus::Pending | MessageStatus::Processing);
    let (begun, claim) = before.find(|(_, change)| is_begun(change.to))?;
    let is_hit = ended.told.was_interrupted(claim.node, *begun, called, NODE_TIMEOUT);
    (!is_relayed && !is_hit && !ended.disordered.contains(&story.row.id)).then_some((by, called))
}
