//! One content for many is made into messages while everything goes wrong, and may be taken back meanwhile.

use std::collections::BTreeMap;

use correio::domain::broadcast::{Broadcast, BroadcastStatus};

use super::clients::RECIPIENTS;
use super::planted::Planted;
use super::scenario::{Ended, Options};
use super::story::Broken;
use super::{STORMY, finds, first_broken, promises, seeds};
use crate::support::memory::Bug;

const BROADCASTING: Options = Options { broadcasts: true, messages: 30, ..STORMY };

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
