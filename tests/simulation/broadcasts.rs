//! One content for many is made into messages while everything goes wrong, and may be taken back meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use correio::domain::Timestamp;
use correio::domain::broadcast::{Broadcast, BroadcastStatus};
use correio::domain::message::MessageId;

use super::clients::RECIPIENTS;
use super::planted::Planted;
use super::scenario::{Ended, Faults, Options};
use super::story::Broken;
use super::{STORMY, finds, first_broken, promises, seeds};
use crate::support::given;
use crate::support::memory::Bug;

const BROADCASTING: Options = Options { broadcasts: true, messages: 30, ..STORMY };

/// Messages a minute.
const RATE: u32 = 240;

const PACED: Options = Options { broadcast_rate: Some(RATE), ..BROADCASTING };

/// Each member gets exactly one message; or none, if its broadcast was cancelled before.
fn broken(ended: &Ended) -> Vec<Broken> {
    let mut broken = promises::broken(ended);
    let mut say = |how: String| broken.push(Broken { message: None, how });
    if ended.broadcasts.len() != 1 {
        say(format!("one broadcast was sent with one key, and {} are there", ended.broadcasts.len()));
    }
    for broadcast in &ended.broadcasts {
        let mut messages = BTreeMap::<&str, usize>::new();
        for row in ended.rows.iter().filter(|row| row.broadcast == Some(broadcast.id)) {
            *messages.entry(row.recipient.as_str()).or_default() += 1;
        }
        for (recipient, count) in messages.iter().filter(|(_, count)| **count > 1) {
            say(format!("{recipient} has {count} messages of one broadcast"));
        }
        let Broadcast { status, cursor, .. } = broadcast;
        match status {
            BroadcastStatus::Finished if messages.len() == RECIPIENTS as usize => {}
            // What was made before the cancel is there.
            BroadcastStatus::Cancelled if messages.len() == *cursor as usize => {}
            _ => {
                say(format!("a broadcast is {status} at {cursor}, and has messages for {} recipients", messages.len()))
            }
        }
    }
    broken
}

/// Whichever process made its messages, and however often it was held up: their times are never closer than the rate allows.
fn too_fast(ended: &Ended) -> Vec<Broken> {
    let interval = TimeDelta::milliseconds(60_000 / i64::from(RATE));
    let mut slots: Vec<(Timestamp, MessageId)> = ended.slots.iter().map(|(id, slot)| (*slot, *id)).collect();
    slots.sort_unstable();
    let mut broken = broken(ended);
    for pair in slots.windows(2) {
        let [(before, other), (slot, message)] = pair else { continue };
        if *slot - *before < interval {
            let how = format!("was made for {slot}, and {other} for {before}: too fast");
            broken.push(Broken { message: Some(*message), how });
        }
    }
    broken
}

#[test]
fn each_member_of_a_broadcast_gets_exactly_one_message() {
    let found = first_broken(seeds(100), |_| BROADCASTING, broken);
    if let Some((seed, report)) = found {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::broadcasts plays it again");
    }
}

#[test]
fn a_chunk_that_is_made_twice_is_found() {
    finds(Planted::InTables(Bug::ExpandsTwice), 0, BROADCASTING, broken, "messages of one broadcast");
}

#[test]
fn a_broadcast_never_goes_faster_than_its_rate() {
    let (seeds, made) = (seeds(60), AtomicUsize::new(0));
    let count = seeds.end - seeds.start;
    let judge = |ended: &Ended| {
        made.fetch_add(ended.slots.len(), Ordering::Relaxed);
        too_fast(ended)
    };
    if let Some((seed, report)) = first_broken(seeds, |_| PACED, judge) {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::broadcasts plays it again");
    }
    let made = made.into_inner() as u64;
    assert!(made >= 30 * count, "{made} messages at a rate in {count} schedules");
}

#[test]
fn a_slot_that_does_not_move_with_the_cursor_is_found() {
    finds(Planted::InTables(Bug::LeavesSlotsToOthers), 2, PACED, too_fast, "too fast");
}

/// In good order, where no clock jumps: a message is never called before its slot, however slow the channel is.
#[test]
fn each_message_of_a_paced_broadcast_is_called_at_its_time() {
    let judge = |ended: &Ended| {
        let mut broken = too_fast(ended);
        for call in &ended.calls {
            let Some(slot) = ended.slots.get(&call.message) else { continue };
            let due = (*slot - given::at(0)).to_std().unwrap_or_default();
            // The clock has milliseconds.
            if call.at + Duration::from_millis(1) < due {
                let how = format!("was called at {:?}, before its slot at {due:?}", call.at);
                broken.push(Broken { message: Some(call.message), how });
            }
        }
        broken
    };
    let options = Options { faults: Faults::None, ..PACED };
    if let Some((seed, report)) = first_broken(seeds(30), |_| options, judge) {
        panic!("{report}\nSIMULATION_SEED={seed} cargo test simulation::broadcasts plays it again");
    }
}
