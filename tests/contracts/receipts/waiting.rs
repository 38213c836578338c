//! Receipts of messages that are open: what they say may be all that is known when the message has ended.

use correio::application::ports::Replay;
use correio::domain::message::delivery::{Acceptance, DeliveryError, FailureKind};
use correio::domain::message::retry::NextStep;
use correio::domain::message::{Message, MessageStatus};
use correio::domain::receipt::ReceiptStatus as Said;

use super::{is_now, named, pending, receipt, received};
use crate::contracts::messages::message_search::are_counted;
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, message, node, outcome, retry, sent, take, unanswered};

use MessageStatus::{Delivered, Failed, Processing, Queued, Read, Sent};

on_every_adapter![
    a_receipt_of_an_earlier_try_waits_while_the_message_is_being_delivered,
    a_receipt_of_a_message_that_was_taken_over_is_applied_when_it_has_failed,
    what_waits_for_a_week_is_forgotten,
    a_queued_message_that_was_delivered_by_an_earlier_try_is_not_sent_again,
    what_a_queued_message_cannot_use_waits_for_its_end,
    a_refusal_makes_an_unknown_failure_known,
    what_is_said_of_an_earlier_run_moves_no_later_one,
    a_replayed_message_that_was_delivered_after_all_is_not_sent_again,
];

/// What may have been delivered, in the end.
fn unknown(name: &str) -> NextStep {
    let error = DeliveryError::unknown("No answer in time. It may have been delivered.").known_as(name);
    NextStep::Failed { failure: FailureKind::Unknown, error }
}

/// Queued again after a try whose answer was lost, under this name, due at noon and a minute.
async fn tried(adapters: &Adapters, name: &str) -> Message {
    let claimed = adapters.open(Processing, node()).await;
    assert!(adapters.messages.record(&outcome(&claimed, unanswered(60, name))).await.unwrap());
    adapters.now(&claimed).await
}

/// Its next try, when its time has come.
async fn tried_again(adapters: &Adapters, message: &Message) -> Message {
    let taker = node();
    assert!(adapters.taken(&take(taker, 61)).await.contains(&message.id));
    adapters.messages.claim(message.id, taker, at(62)).await.unwrap().unwrap().message
}

async fn a_receipt_of_an_earlier_try_waits_while_the_message_is_being_delivered(adapters: &Adapters) {
    let queued = tried(adapters, "3EB0A").await;
    let claimed = tried_again(adapters, &queued).await;
    let name = named(&queued, "3EB0A");
    received(adapters, &name, Said::Delivered, 63).await;
    adapters.receipts.sweep(None, at(0), None, at(64)).await.unwrap();
    adapters.receipts.apply_to(queued.id, None, at(64)).await.unwrap();
    assert_eq!(is_now(adapters, &queued).await, Processing);
    assert!(adapters.messages.record(&outcome(&claimed, unknown("3EB0A"))).await.unwrap());
    assert_eq!(is_now(adapters, &queued).await, Failed);
    adapters.receipts.apply_to(queued.id, None, at(65)).await.unwrap();
    let now = adapters.now(&queued).await;
    assert_eq!((now.status, now.delivered_at, now.failure, now.error), (Delivered, Some(at(63)), None, None));
}

/// Of whichever name: that of the message's last try is another.
async fn a_receipt_of_a_message_that_was_taken_over_is_applied_when_it_has_failed(adapters: &Adapters) {
    let queued = tried(adapters, "3EB0A").await;
    let claimed = tried_again(adapters, &queued).await;
    assert!(claimed.is_unanswered);
    received(adapters, &named(&queued, "3EB0A"), Said::Read, 63).await;
    // Its process dies, and the next one is refused.
    let taker = node();
    let taken = adapters.taken(&take(taker, 70)).await;
    assert!(taken.contains(&queued.id), "nobody has registered its node");
    let claimed = adapters.messages.claim(queued.id, taker, at(71)).await.unwrap().unwrap().message;
    let refused = DeliveryError::refused("No such number. An earlier try may have been delivered.");
    let step = NextStep::Failed { failure: FailureKind::Unknown, error: refused };
    assert!(adapters.messages.record(&outcome(&claimed, step)).await.unwrap());
    adapters.receipts.sweep(None, at(0), None, at(80)).await.unwrap();
    assert_eq!(is_now(adapters, &queued).await, Read);
}

async fn what_waits_for_a_week_is_forgotten(adapters: &Adapters) {
    let queued = tried(adapters, "3EB0A").await;
    let claimed = tried_again(adapters, &queued).await;
    received(adapters, &named(&queued, "3EB0A"), Said::Delivered, 63).await;
    adapters.receipts.sweep(None, at(63), None, at(64)).await.unwrap();
    adapters.receipts.sweep(None, at(64), None, at(64)).await.unwrap();
    assert!(adapters.messages.record(&outcome(&claimed, unknown("3EB0A"))).await.unwrap());
    adapters.receipts.apply_to(queued.id, None, at(65)).await.unwrap();
    assert_eq!(is_now(adapters, &queued).await, Failed);
}

async fn a_queued_message_that_was_delivered_by_an_earlier_try_is_not_sent_again(adapters: &Adapters) {
    for (said, becomes) in [(Said::Sent, Sent), (Said::Delivered, Delivered), (Said::Read, Read)] {
        for is_taken in [false, true] {
            let queued = tried(adapters, "3EB0A").await;
            let taker = node();
            if is_taken {
                assert!(adapters.taken(&take(taker, 61)).await.contains(&queued.id));
            }
            let name = named(&queued, "3EB0A");
            received(adapters, &name, said, 63).await;
            let now = adapters.now(&queued).await;
            assert_eq!((now.status, now.next_attempt_at, now.error.as_deref()), (becomes, None, None), "{said:?}");
            assert_eq!((now.tries, now.is_unanswered, now.dead_lettered_at), (1, false, None));
            assert!(adapters.messages.claim(queued.id, taker, at(64)).await.unwrap().is_none());
            assert!(!adapters.taken(&take(taker, 100)).await.contains(&queued.id));
        }
    }
    are_counted(adapters, "acme").await;
    // What a later receipt says counts as of any other.
    let queued = tried(adapters, "3EB0B").await;
    received(adapters, &named(&queued, "3EB0B"), Said::Sent, 63).await;
    received(adapters, &named(&queued, "3EB0B"), Said::Failed, 64).await;
    assert_eq!(is_now(adapters, &queued).await, Failed);
}

async fn what_a_queued_message_cannot_use_waits_for_its_end(adapters: &Adapters) {
    // The channel was away: it was not delivered. And what was refused is tried again.
    let (away, refused) = (adapters.open(Processing, node()).await, tried(adapters, "3EB0A").await);
    assert!(adapters.messages.record(&outcome(&away, retry(60))).await.unwrap());
    received(adapters, &named(&away, "3EB0B"), Said::Delivered, 63).await;
    received(adapters, &named(&refused, "3EB0A"), Said::Failed, 63).await;
    for message in [&away, &refused] {
        assert_eq!(is_now(adapters, message).await, Queued);
    }
    let claimed = tried_again(adapters, &refused).await;
    assert!(adapters.messages.record(&outcome(&claimed, unknown("3EB0A"))).await.unwrap());
    adapters.receipts.apply_to(refused.id, None, at(65)).await.unwrap();
    let now = adapters.now(&refused).await;
    assert_eq!((now.failure, now.error.as_deref()), (Some(FailureKind::Recipient), Some("WhatsApp refused it later.")));
}

async fn a_refusal_makes_an_unknown_failure_known(adapters: &Adapters) {
    for paid in [None, Some(at(10))] {
        let message = pending(adapters).await;
        let ended = outcome(&message, unknown("3EB0A"));
        let ended = correio::application::ports::Outcome { dead_lettered_at: paid, ..ended };
        assert!(adapters.messages.record(&ended).await.unwrap());
        let name = named(&message, "3EB0A");
        let mut expected = adapters.now(&message).await;
        expected.receive(&receipt(&name, Said::Failed, 20), Some(at(20)), at(20)).unwrap();
        received(adapters, &name, Said::Failed, 20).await;
        let now = adapters.now(&message).await;
        assert_eq!(format!("{now:?}"), format!("{expected:?}"));
        assert_eq!((now.failure, now.dead_lettered_at), (Some(FailureKind::Recipient), paid.or(Some(at(20)))));
        received(adapters, &name, Said::Delivered, 21).await;
        assert_eq!(is_now(adapters, &message).await, Failed, "it is known");
    }
}

/// An operator wants it to be sent again: that is another message to its channel.
async fn what_is_said_of_an_earlier_run_moves_no_later_one(adapters: &Adapters) {
    let message = pending(adapters).await;
    assert!(adapters.messages.record(&outcome(&message, sent())).await.unwrap());
    let first = named(&message, "wamid.1");
    received(adapters, &first, Said::Failed, 20).await;
    assert_eq!(adapters.failed.replay(&message.tenant, message.id, at(30)).await.unwrap(), Replay::Queued);
    let replayed = adapters.now(&message).await;
    assert_eq!((replayed.replays, replayed.is_unanswered), (1, false));
    // Said twice: it does not count for what waits.
    received(adapters, &first, Said::Sent, 31).await;
    assert_eq!(is_now(adapters, &message).await, Queued);
    let taker = node();
    assert!(adapters.taken(&take(taker, 32)).await.contains(&message.id));
    let claimed = adapters.messages.claim(message.id, taker, at(33)).await.unwrap().unwrap().message;
    let second = Acceptance { channel_message_id: Some("wamid.2".to_owned()), http_status: Some(201) };
    assert!(adapters.messages.record(&outcome(&claimed, NextStep::Sent(second))).await.unwrap());
    for said in [Said::Failed, Said::Read] {
        received(adapters, &first, said, 40).await;
        assert_eq!(is_now(adapters, &message).await, Sent, "{said:?}");
    }
    received(adapters, &named(&message, "wamid.2"), Said::Delivered, 41).await;
    assert_eq!(is_now(adapters, &message).await, Delivered);
}

async fn a_replayed_message_that_was_delivered_after_all_is_not_sent_again(adapters: &Adapters) {
    let message = pending(adapters).await;
    assert!(adapters.messages.record(&outcome(&message, unknown("3EB0A"))).await.unwrap());
    let others = adapters.failed(self::message(Queued, node()), None).await;
    for replayed in [&message, &others] {
        assert_eq!(adapters.failed.replay(&replayed.tenant, replayed.id, at(30)).await.unwrap(), Replay::Queued);
    }
    received(adapters, &named(&message, "3EB0A"), Said::Delivered, 31).await;
    assert_eq!(is_now(adapters, &message).await, Delivered);
    assert_eq!(is_now(adapters, &others).await, Queued);
}
