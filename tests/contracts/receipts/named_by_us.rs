//! Receipts that repeat our own id of the message: they find it also when its name was in an answer that was lost.

use correio::domain::message::delivery::{Acceptance, DeliveryError, FailureKind};
use correio::domain::message::retry::NextStep;
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus as Said};

use super::{is_now, named, pending, received};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, message, node, outcome, sent, take};

use MessageStatus::{Delivered, Failed, Processing, Queued, Read, Sent};

on_every_adapter![
    a_receipt_resolves_what_may_have_been_delivered_whenever_it_comes,
    a_receipt_of_a_sent_message_counts_as_any_other,
    a_message_whose_process_died_is_not_sent_again,
    what_was_refused_before_it_was_replayed_does_not_end_it,
    what_has_a_name_of_its_channel_is_not_moved_by_another,
    an_id_that_is_no_message_of_the_instance_finds_none,
];

fn receipt(message: &Message, id: &str, said: Said, seconds: i64) -> Receipt {
    Receipt { message: Some(message.id), ..super::receipt(&named(message, id), said, seconds) }
}

async fn stored(adapters: &Adapters, receipt: &Receipt) {
    adapters.receipts.store(receipt, receipt.at).await.unwrap();
}

async fn applied(adapters: &Adapters, receipt: &Receipt) {
    stored(adapters, receipt).await;
    adapters.receipts.apply(&receipt.of, None, receipt.at).await.unwrap();
}

/// The channel gives no other name: ours stands for it.
fn unknown(message: &Message) -> NextStep {
    let error = DeliveryError::unknown("No answer. It may have been delivered.").known_as(&message.id.to_string());
    NextStep::Failed { failure: FailureKind::Unknown, error }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Before,
    /// Stored before the outcome, and applied after it.
    During,
    After,
}

async fn a_receipt_resolves_what_may_have_been_delivered_whenever_it_comes(adapters: &Adapters) {
    for (said, becomes) in
        [(Said::Sent, Sent), (Said::Delivered, Delivered), (Said::Read, Read), (Said::Failed, Failed)]
    {
        for when in [When::Before, When::During, When::After] {
            let message = pending(adapters).await;
            let wamid = format!("wamid.{}", id());
            let receipt = receipt(&message, &wamid, said, 8);
            match when {
                When::Before => applied(adapters, &receipt).await,
                When::During => stored(adapters, &receipt).await,
                When::After => {}
            }
            assert_eq!(is_now(adapters, &message).await, MessageStatus::Pending, "{said:?} {when:?}");
            assert!(adapters.messages.record(&outcome(&message, unknown(&message))).await.unwrap());
            assert_eq!(adapters.now(&message).await.channel_message_id, Some(message.id.to_string()));
            if when == When::After {
                applied(adapters, &receipt).await;
            }
            adapters.receipts.apply_to(message.id, None, at(11)).await.unwrap();
            let now = adapters.now(&message).await;
            assert_eq!((now.status, now.channel_message_id), (becomes, Some(wamid.clone())), "{said:?} {when:?}");
            let failure = (said == Said::Failed).then_some(FailureKind::Recipient);
            assert_eq!((now.failure, now.is_unanswered), (failure, false), "{said:?} {when:?}");
            // It goes on by its name.
            if [Said::Sent, Said::Delivered].contains(&said) {
                received(adapters, &named(&message, &wamid), Said::Read, 30).await;
                assert_eq!(is_now(adapters, &message).await, Read);
            }
        }
    }
}

async fn a_receipt_of_a_sent_message_counts_as_any_other(adapters: &Adapters) {
    let message = pending(adapters).await;
    applied(adapters, &receipt(&message, "wamid.1", Said::Delivered, 8)).await;
    assert!(adapters.messages.record(&outcome(&message, sent())).await.unwrap());
    adapters.receipts.apply_to(message.id, None, at(11)).await.unwrap();
    assert_eq!(is_now(adapters, &message).await, Delivered);
    applied(adapters, &receipt(&message, "wamid.1", Said::Read, 20)).await;
    assert_eq!(is_now(adapters, &message).await, Read);
    // The channel took it, and did not say under which name.
    let nameless = pending(adapters).await;
    let taken = Acceptance { channel_message_id: None, http_status: Some(200) };
    assert!(adapters.messages.record(&outcome(&nameless, NextStep::Sent(taken))).await.unwrap());
    applied(adapters, &receipt(&nameless, "wamid.2", Said::Read, 20)).await;
    let now = adapters.now(&nameless).await;
    assert_eq!((now.status, now.channel_message_id.as_deref()), (Read, Some("wamid.2")));
}

async fn what_was_refused_before_it_was_replayed_does_not_end_it(adapters: &Adapters) {
    let first = pending(adapters).await;
    assert!(adapters.messages.record(&outcome(&first, sent())).await.unwrap());
    applied(adapters, &receipt(&first, "wamid.1", Said::Failed, 20)).await;
    adapters.failed.replay(&first.tenant, first.id, at(30)).await.unwrap();
    assert_eq!(adapters.now(&first).await.channel_message_id, None, "the name of a run that is known to have failed");
    // The node of the next try dies.
    assert!(adapters.taken(&take(node(), 31)).await.contains(&first.id));
    assert!(adapters.messages.claim(first.id, node(), at(32)).await.unwrap().is_some());
    assert!(adapters.taken(&take(node(), 33)).await.contains(&first.id));
    let waiting = adapters.now(&first).await;
    assert!(waiting.status == Queued && waiting.is_unanswered, "{waiting:?}");
    applied(adapters, &receipt(&first, "wamid.1", Said::Sent, 34)).await;
    assert_eq!(is_now(adapters, &first).await, Queued, "it was taken once, and refused later");
    applied(adapters, &receipt(&first, "wamid.2", Said::Delivered, 35)).await;
    assert_eq!(is_now(adapters, &first).await, Delivered);
}

async fn a_message_whose_process_died_is_not_sent_again(adapters: &Adapters) {
    let claimed = adapters.open(Processing, node()).await;
    applied(adapters, &receipt(&claimed, "wamid.7", Said::Delivered, 8)).await;
    assert_eq!(is_now(adapters, &claimed).await, Processing);
    let taker = node();
    assert!(adapters.taken(&take(taker, 9)).await.contains(&claimed.id), "nobody has registered its node");
    assert!(adapters.now(&claimed).await.is_unanswered);
    adapters.receipts.sweep(None, at(0), None, at(10)).await.unwrap();
    let now = adapters.now(&claimed).await;
    assert_eq!((now.status, now.channel_message_id.as_deref()), (Delivered, Some("wamid.7")));
    assert!(adapters.messages.claim(claimed.id, taker, at(11)).await.unwrap().is_none());
}

async fn what_has_a_name_of_its_channel_is_not_moved_by_another(adapters: &Adapters) {
    let message = pending(adapters).await;
    assert!(adapters.messages.record(&outcome(&message, sent())).await.unwrap());
    applied(adapters, &receipt(&message, "wamid.2", Said::Read, 20)).await;
    assert_eq!(is_now(adapters, &message).await, Sent);
    // And a name stands for the message that had it first.
    let other = adapters.stored(Message { instance_id: message.instance_id, ..self::message(Queued, node()) }).await;
    applied(adapters, &receipt(&other, "wamid.1", Said::Delivered, 21)).await;
    assert_eq!((is_now(adapters, &message).await, is_now(adapters, &other).await), (Delivered, Queued));
}

async fn an_id_that_is_no_message_of_the_instance_finds_none(adapters: &Adapters) {
    let message = pending(adapters).await;
    assert!(adapters.messages.record(&outcome(&message, unknown(&message))).await.unwrap());
    let anothers = ChannelMessage { instance: correio::domain::instance::InstanceId(id()), id: "wamid.9".to_owned() };
    let foreign = Receipt { of: anothers, ..receipt(&message, "wamid.9", Said::Delivered, 20) };
    let unknown_id = Receipt { message: Some(MessageId(id())), ..receipt(&message, "wamid.9", Said::Delivered, 20) };
    for receipt in [foreign, unknown_id] {
        applied(adapters, &receipt).await;
        assert_eq!(is_now(adapters, &message).await, Failed);
    }
    // It is still there for the message that gets the name.
    applied(adapters, &receipt(&message, "wamid.9", Said::Sent, 21)).await;
    assert_eq!(is_now(adapters, &message).await, Delivered);
}
