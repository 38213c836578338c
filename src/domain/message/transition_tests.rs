//! That the changes make the moves that are allowed, and no others.

use std::collections::HashSet;

use super::attempt::AttemptOutcome;
use super::deferral::Deferral;
use super::delivery::{Acceptance, DeliveryError, FailureKind};
use super::retry::NextStep;
use super::transition::{CHANGES, Change, Ending, ForbiddenMove};
use super::{MOVES, Message, MessageStatus};
use crate::domain::Timestamp;
use crate::domain::message::attempt::tests::message;
use crate::domain::node::NodeId;
use crate::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus};

type Moves = HashSet<(MessageStatus, MessageStatus)>;

fn made_by<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Moves {
    changes.into_iter().flat_map(Change::moves).collect()
}

#[test]
fn the_changes_make_every_move_and_no_other() {
    let moves: Moves = MOVES.iter().copied().collect();
    assert_eq!(made_by(CHANGES), moves);
    let planted = Change { name: "planted", from: &[MessageStatus::Read], to: &[MessageStatus::Sent], claims: false };
    assert_ne!(made_by(CHANGES.into_iter().chain([&planted])), moves);
}

fn now() -> Timestamp {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

fn steps() -> [NextStep; 5] {
    [
        NextStep::PutOff { at: now(), error: DeliveryError::no_place("too many at once", std::time::Duration::MAX) },
        NextStep::PutOff { at: now(), error: DeliveryError::misconfigured("no such channel here") },
        NextStep::Sent(Acceptance { channel_message_id: Some("wamid.2".to_owned()), http_status: Some(200) }),
        NextStep::Retry { at: now(), error: DeliveryError::unknown("timeout") },
        NextStep::Failed { failure: FailureKind::Recipient, error: DeliveryError::refused("no such number") },
    ]
}

fn deferral(message: &Message) -> Deferral {
    let pause = Some(std::time::Duration::from_secs(5));
    let (reason, is_paced) = ("later".to_owned(), false);
    Deferral { id: message.id, pause, is_paced, not_before: None, reason, is_undeliverable: true, now: now() }
}

fn receipt(message: &Message, status: ReceiptStatus) -> Receipt {
    let of = ChannelMessage { instance: message.instance_id, id: "3EB0".to_owned() };
    Receipt { of, message: None, status, at: now(), reason: None }
}

/// What each change does to a message; one that leads to several states does so once for each.
fn results(change: &Change, message: &Message) -> Vec<Result<Message, ForbiddenMove>> {
    let node = NodeId(uuid::Uuid::from_u128(2));
    let apply = |change: &dyn Fn(&mut Message) -> Result<(), ForbiddenMove>| {
        let mut changed = message.clone();
        change(&mut changed).map(|()| changed)
    };
    let endings = steps().map(|step| Ending::of(&step, now(), None));
    match change.name {
        "end" => endings.iter().map(|ending| apply(&|it| it.end(ending.clone()))).collect(),
        "claim and end" => {
            endings.iter().map(|ending| apply(&|it| it.claim_and_end(Some(node), now(), ending.clone()))).collect()
        }
        "claim" => vec![apply(&|it| it.claim(node, now()))],
        "take" => vec![apply(&|it| it.take_over(node, now()))],
        "give back" => [true, false].map(|is_spent| apply(&|it| it.give_back(is_spent, now()))).to_vec(),
        "defer" => vec![apply(&|it| it.defer(&deferral(it)))],
        "make due" => vec![apply(&|it| it.make_due(now()))],
        "replay" => vec![apply(&|it| it.replay(now()))],
        "cancel" => vec![apply(&|it| it.cancel(now()))],
        "fail" => vec![apply(&|it| it.fail("deleted", None, now()))],
        "receipt: sent" => vec![apply(&|it| it.receive(&receipt(it, ReceiptStatus::Sent), None, now()))],
        "receipt: delivered" => vec![apply(&|it| it.receive(&receipt(it, ReceiptStatus::Delivered), None, now()))],
        "receipt: read" => vec![apply(&|it| it.receive(&receipt(it, ReceiptStatus::Read), None, now()))],
        "receipt: failed" => vec![apply(&|it| it.receive(&receipt(it, ReceiptStatus::Failed), None, now()))],
        other => panic!("{other} is not applied here"),
    }
}

#[test]
fn every_change_starts_from_its_states_and_leads_to_its_states() {
    for change in CHANGES {
        for status in MessageStatus::ALL {
            let channel_message_id = Some("3EB0".to_owned());
            let unknown = Some(FailureKind::Unknown);
            let before = Message { status, channel_message_id, failure: unknown, is_unanswered: true, ..message(1) };
            for result in results(change, &before) {
                assert_eq!(result.is_ok(), change.from.contains(&status), "{} from {status}: {result:?}", change.name);
                if let Ok(after) = result {
                    assert!(change.to.contains(&after.status), "{} from {status} to {}", change.name, after.status);
                }
            }
        }
    }
}

#[test]
fn a_try_that_fails_leaves_what_an_earlier_one_got() {
    for step in steps() {
        let earlier = Message {
            status: MessageStatus::Processing,
            channel_message_id: Some("wamid.1".to_owned()),
            error: Some("away".to_owned()),
            dead_lettered_at: Some(now()),
            ..message(2)
        };
        let ending = Ending::of(&step, now(), None);
        let mut after = earlier;
        after.end(ending.clone()).unwrap();
        let is_sent = ending.attempt == AttemptOutcome::Sent;
        assert_eq!(after.channel_message_id.as_deref(), Some(if is_sent { "wamid.2" } else { "wamid.1" }));
        assert_eq!((after.error.is_none(), after.sent_at.is_some()), (is_sent, is_sent));
        assert_eq!((after.dead_lettered_at, after.updated_at), (None, now()));
    }
}

#[test]
fn a_queued_message_of_a_deleted_instance_gets_another_try_number() {
    for status in MessageStatus::OPEN {
        let mut failed = Message { status, ..message(1) };
        failed.fail("deleted", None, now()).unwrap();
        assert_eq!(failed.try_number, 1 + u32::from(status == MessageStatus::Queued), "{status}");
    }
}

#[test]
fn a_receipt_moves_only_its_own_message_and_of_failures_only_an_unknown_one() {
    let failed = |failure| Message {
        status: MessageStatus::Failed,
        failure: Some(failure),
        channel_message_id: Some("3EB0".to_owned()),
        error: Some("No answer in time. It may have been delivered.".to_owned()),
        ..message(1)
    };
    for status in [ReceiptStatus::Sent, ReceiptStatus::Delivered, ReceiptStatus::Read] {
        let mut unknown = failed(FailureKind::Unknown);
        let receipt = receipt(&unknown, status);
        unknown.receive(&receipt, None, now()).unwrap();
        assert_eq!((unknown.status, unknown.failure, unknown.error), (status.message_status(), None, None));
        assert_eq!(unknown.sent_at, Some(now()));
        for failure in [FailureKind::Channel, FailureKind::Recipient] {
            assert!(failed(failure).receive(&receipt, None, now()).is_err());
        }
        let mut other = Message { channel_message_id: Some("3EB1".to_owned()), ..failed(FailureKind::Unknown) };
        assert!(other.receive(&receipt, None, now()).is_err());
        let own_id = Some(other.id.to_string());
        for nameless in [None, own_id] {
            let mut named = Message { channel_message_id: nameless, ..failed(FailureKind::Unknown) };
            named.receive(&receipt, None, now()).unwrap();
            assert_eq!(named.channel_message_id.as_deref(), Some("3EB0"), "it has the channel's name then");
        }
    }
}

#[test]
fn a_receipt_of_a_queued_message_counts_only_where_an_earlier_try_may_have_been_delivered() {
    let queued = |is_unanswered| Message {
        status: MessageStatus::Queued,
        next_attempt_at: Some(now()),
        is_unanswered,
        channel_message_id: Some("3EB0".to_owned()),
        ..message(1)
    };
    for status in [ReceiptStatus::Sent, ReceiptStatus::Delivered, ReceiptStatus::Read] {
        let mut waiting = queued(true);
        let receipt = receipt(&waiting, status);
        waiting.receive(&receipt, None, now()).unwrap();
        assert_eq!((waiting.status, waiting.next_attempt_at), (status.message_status(), None));
        assert!(!waiting.is_unanswered, "its outcome is known");
        assert!(queued(false).receive(&receipt, None, now()).is_err());
    }
}

#[test]
fn a_refusal_makes_an_unknown_failure_known_and_has_no_second_dead_letter() {
    let letter = now() - chrono::TimeDelta::seconds(5);
    let mut unknown = Message {
        status: MessageStatus::Failed,
        failure: Some(FailureKind::Unknown),
        is_unanswered: true,
        channel_message_id: Some("3EB0".to_owned()),
        dead_lettered_at: Some(letter),
        ..message(1)
    };
    let said = Receipt { reason: Some("WhatsApp refused it.".to_owned()), ..receipt(&unknown, ReceiptStatus::Failed) };
    unknown.receive(&said, Some(now()), now()).unwrap();
    assert_eq!(
        (unknown.failure, unknown.error.as_deref()),
        (Some(FailureKind::Recipient), Some("WhatsApp refused it."))
    );
    assert_eq!((unknown.dead_lettered_at, unknown.is_unanswered), (Some(letter), false));
    assert!(unknown.receive(&receipt(&unknown, ReceiptStatus::Delivered), None, now()).is_err());
}

#[test]
fn a_try_that_may_have_been_delivered_is_remembered_until_its_outcome_is_known() {
    let node = NodeId(uuid::Uuid::from_u128(2));
    let under_way = Message { status: MessageStatus::Processing, ..message(1) };
    let unknown = NextStep::Retry { at: now(), error: DeliveryError::unknown("timeout") };
    let changed = |change: &dyn Fn(&mut Message)| {
        let mut changed = under_way.clone();
        change(&mut changed);
        changed.is_unanswered
    };
    assert!(changed(&|it| it.end(Ending::of(&unknown, now(), None)).unwrap()));
    assert!(changed(&|it| it.take_over(node, now()).unwrap()));
    assert!(changed(&|it| it.give_back(true, now()).unwrap()));
    assert!(!changed(&|it| it.give_back(false, now()).unwrap()), "it is known that it was not made");
    let away = NextStep::Retry { at: now(), error: DeliveryError::transient("away") };
    assert!(!changed(&|it| it.end(Ending::of(&away, now(), None)).unwrap()));
    let mut replayed = Message { status: MessageStatus::Failed, is_unanswered: true, ..message(1) };
    replayed.replay(now()).unwrap();
    assert_eq!((replayed.is_unanswered, replayed.replays), (true, 1));
    replayed.fail("deleted.", None, now()).unwrap();
    assert_eq!(replayed.error.as_deref(), Some("deleted. An earlier try may have been delivered."));
    assert_eq!(replayed.failure, Some(FailureKind::Unknown));
}
