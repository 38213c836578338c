//! What must be true when a run has ended.

use std::collections::{BTreeMap, BTreeSet};

use correio::domain::message::{MOVES, Message, MessageId, MessageStatus};

use super::channel::Deed;
use super::scenario::Ended;

/// Every promise that was broken, in a sentence each.
pub fn broken(ended: &Ended) -> Vec<String> {
    let mut broken = Vec::new();
    let rows: BTreeMap<MessageId, Message> = ended.database.rows().into_iter().map(|row| (row.id, row)).collect();
    let mut deeds: BTreeMap<MessageId, Vec<Deed>> = BTreeMap::new();
    for call in ended.channel.calls() {
        deeds.entry(call.message).or_default().push(call.deed);
    }
    let history = ended.database.history();
    let mut accepted_as: BTreeMap<MessageId, MessageStatus> = BTreeMap::new();
    for change in &history {
        match change.from {
            None => drop(accepted_as.insert(change.id, change.to)),
            Some(from) if !MOVES.contains(&(from, change.to)) => {
                broken.push(format!("{} moved from {from} to {} by {}", change.id, change.to, change.writer));
            }
            Some(_) => {}
        }
        if change.to == MessageStatus::Processing && change.was_timed {
            broken.push(format!("{} was claimed before its time", change.id));
        }
        if change.believed_try.is_some_and(|believed| believed != change.try_number) {
            broken.push(format!("{} was overwritten by an outcome that came too late", change.id));
        }
    }
    for told in &ended.told {
        if !rows.contains_key(&told.id) {
            broken.push(format!("{} was told to a client, and is nowhere", told.id));
        }
    }
    for (id, row) in &rows {
        let calls = deeds.get(id).map_or(&[][..], Vec::as_slice);
        let taken = calls.iter().filter(|deed| matches!(deed, Deed::Taken | Deed::TakenUnanswered)).count();
        match row.status {
            MessageStatus::Sent if taken == 0 => broken.push(format!("{id} is sent, and no channel took it")),
            MessageStatus::Sent => {}
            MessageStatus::Failed => {
                let refused = calls.contains(&Deed::RefusedForGood);
                let told_at_once = accepted_as.get(id) == Some(&MessageStatus::Pending) && row.retries == 1;
                if !refused && !told_at_once && row.retries < row.max_retries {
                    broken.push(format!("{id} failed after {} of {} tries", row.retries, row.max_retries));
                }
                if row.dead_lettered_at.is_none() {
                    broken.push(format!("{id} still owes its dead letter"));
                }
            }
            open => broken.push(format!("{id} is still {open}, next at {:?}, of {:?}", row.next_attempt_at, row.node)),
        }
        if calls.len() > row.try_number as usize {
            broken.push(format!("{id} was called {} times in {} tries", calls.len(), row.try_number));
        }
        let allowed = row.max_retries + ended.interruptions;
        if row.try_number > allowed {
            broken.push(format!("{id} was tried {} times, with {} interruptions", row.try_number, ended.interruptions));
        }
    }
    let mut keys: BTreeMap<&str, BTreeSet<MessageId>> = BTreeMap::new();
    for told in &ended.told {
        if let Some(key) = &told.key {
            keys.entry(key).or_default().insert(told.id);
        }
    }
    broken.extend(keys.iter().filter(|(_, ids)| ids.len() > 1).map(|(key, ids)| format!("{key} made {ids:?}")));
    broken
}

/// In a run without faults messages leave once, and the relay has nothing to do.
pub fn broken_without_faults(ended: &Ended) -> Vec<String> {
    let mut broken = broken(ended);
    if ended.handed_over_by_relay > 0 {
        broken.push(format!("the relay handed over {}", ended.handed_over_by_relay));
    }
    let mut seen = BTreeSet::new();
    for call in ended.channel.calls() {
        if !seen.insert(call.message) {
            broken.push(format!("{} was called twice", call.message));
        }
    }
    broken
}
