//! Taking what is due from one instance after the other.

use std::collections::{BTreeMap, BTreeSet};

use correio::application::ports::{IN_A_TURN, TURNS_AT_ONCE, Turns, TurnsTaken};
use correio::domain::Timestamp;
use correio::domain::instance::InstanceId;
use correio::domain::message::MessageId;

use super::tables::Tables;
use super::taking::take_those;

pub(super) fn taken_in_turns(tables: &mut Tables, turns: &Turns) -> TurnsTaken {
    let held: BTreeSet<MessageId> = turns.held.iter().copied().collect();
    let mut waiting: BTreeMap<InstanceId, Vec<(Timestamp, MessageId)>> = BTreeMap::new();
    for message in tables.open().filter(|message| turns.after.is_none_or(|after| message.instance_id > after)) {
        if let Some(time) = message.next_attempt_at {
            waiting.entry(message.instance_id).or_default().push((time, message.id));
        }
    }
    let (mut looked, mut with_due, mut next) = (0, 0, None);
    let mut due = Vec::new();
    for (instance, mut messages) in waiting {
        if looked == TURNS_AT_ONCE || with_due == turns.limit {
            break;
        }
        looked += 1;
        next = Some(instance);
        if turns.full.contains(&instance) {
            continue;
        }
        messages.retain(|(time, _)| *time <= turns.now);
        // Held or not: whether one of them is due is asked before.
        with_due += u32::from(!messages.is_empty());
        messages.retain(|(_, id)| !held.contains(id));
        messages.sort();
        messages.truncate(IN_A_TURN as usize);
        due.extend(messages.into_iter().enumerate().map(|(place, (time, id))| (place, time, id)));
    }
    if looked < TURNS_AT_ONCE && with_due < turns.limit {
        next = None;
    }
    due.sort();
    due.truncate(turns.limit as usize);
    let due: Vec<MessageId> = due.into_iter().map(|(.., id)| id).collect();
    TurnsTaken { messages: take_those(tables, &due, turns.node, turns.with_content, turns.now), next }
}
