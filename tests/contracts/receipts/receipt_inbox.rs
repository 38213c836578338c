use chrono::TimeDelta;
use correio::domain::Timestamp;
use correio::domain::message::delivery::{DeliveryError, FailureKind};
use correio::domain::message::retry::NextStep;
use correio::domain::message::{Message, MessageStatus};
use correio::domain::receipt::{ChannelMessage, ReceiptStatus};
use futures::future::join_all;

use super::{is_now, pending, receipt, received};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, failed, id, message, node, outcome, sent};

use MessageStatus::{Delivered, Failed, Pending, Queued, Read, Sent};

on_every_adapter![
    a_receipt_that_comes_after_the_outcome_moves_the_message,
    a_receipt_that_comes_before_the_outcome_waits_for_it,
    receipts_move_forwards_only_whatever_their_order,
    a_receipt_of_another_name_or_instance_moves_nothing,
    a_failure_after_it_was_sent_says_why,
    only_an_unknown_failure_is_mended_by_a_receipt,
    an_outcome_whose_guard_has_lost_gives_no_name,
    a_name_is_given_only_where_receipts_come,
    what_was_left_is_swept_and_what_is_nobodys_is_forgotten,
    many_receipts_at_once_each_count,
];

/// The name that [`sent`] gives.
fn name_of(message: &Message) -> ChannelMessage {
    ChannelMessage { instance: message.instance_id, id: "wamid.1".to_owned() }
}

async fn a_receipt_that_comes_after_the_outcome_moves_the_message(adapters: &Adapters) {
    let message = pending(adapters).await;
    assert!(adapters.messages.record(&outcome(&message, sent())).await.unwrap());
    let name = name_of(&message);
    received(adapters, &name, ReceiptStatus::Delivered, 20).await;
    let now = adapters.now(&message).await;
    assert_eq!((now.status, now.delivered_at, now.read_at, now.updated_at), (Delivered, Some(at(20)), None, at(20)));
    received(adapters, &name, ReceiptStatus::Read, 30).await;
    let now = adapters.now(&message).await;
    assert_eq!(
        (now.status, now.sent_at, now.delivered_at, now.read_at),
        (Read, Some(at(10)), Some(at(20)), Some(at(30)))
    );
}

async fn a_receipt_that_comes_before_the_outcome_waits_for_it(adapters: &Adapters) {
    let message = pending(adapters).await;
    let name = name_of(&message);
    received(adapters, &name, ReceiptStatus::Read, 8).await;
    assert_eq!(is_now(adapters, &message).await, Pending);
    assert!(adapters.messages.record(&outcome(&message, sent())).await.unwrap());
    assert_eq!(is_now(adapters, &message).await, Sent, "who records applies afterwards");
    adapters.receipts.apply(&name, None, at(11)).await.unwrap();
    let now = adapters.now(&message).await;
    assert_eq!((now.status, now.delivered_at, now.read_at), (Read, Some(at(8)), Some(at(8))));
}

/// In every order, one by one and all at once.
async fn receipts_move_forwards_only_whatever_their_order(adapters: &Adapters) {
    use ReceiptStatus as Said;
    let all = [Said::Sent, Said::Delivered, Said::Read, Said::Failed];
    for first in all {
        for second in all {
            let message = pending(adapters).await;
            assert!(adapters.messages.record(&outcome(&message, sent())).await.unwrap());
            let name = name_of(&message);
            // As the domain has it.
            let mut expected = adapters.now(&message).await;
            for (said, seconds) in [(first, 20), (second, 21), (first, 22)] {
                received(adapters, &name, said, seconds).await;
                let _forwards_only = expected.receive(&receipt(&name, said, seconds), Some(at(seconds)), at(seconds));
                let now = adapters.now(&message).await;
                assert_eq!(format!("{now:?}"), format!("{expected:?}"), "{first:?}, {second:?}");
            }
        }
    }
    let message = pending(adapters).await;
    let name = name_of(&message);
    for said in [Said::Read, Said::Failed, Said::Delivered, Said::Sent] {
        adapters.receipts.store(&receipt(&name, said, 20), at(20)).await.unwrap();
    }
    assert!(adapters.messages.record(&outcome(&message, sent())).await.unwrap());
    adapters.receipts.apply(&name, None, at(21)).await.unwrap();
    assert_eq!(is_now(adapters, &message).await, Read, "the farthest of them");
}

fn node_id() -> correio::domain::message::MessageId {
    correio::domain::message::MessageId(id())
}

async fn a_receipt_of_another_name_or_instance_moves_nothing(adapters: &Adapters) {
    let message = pending(adapters).await;
    assert!(adapters.messages.record(&outcome(&message, sent())).await.unwrap());
    let name = name_of(&message);
    let others = [
        ChannelMessage { id: "wamid.2".to_owned(), ..name.clone() },
        ChannelMessage { instance: correio::domain::instance::InstanceId(id()), ..name },
    ];
    for other in others {
        received(adapters, &other, ReceiptStatus::Read, 20).await;
    }
    assert_eq!(is_now(adapters, &message).await, Sent);
}

async fn a_failure_after_it_was_sent_says_why(adapters: &Adapters) {
    let message = pending(adapters).await;
    assert!(adapters.messages.record(&outcome(&message, sent())).await.unwrap());
    received(adapters, &name_of(&message), ReceiptStatus::Failed, 20).await;
    let now = adapters.now(&message).await;
    assert_eq!((now.status, now.failure), (Failed, Some(FailureKind::Recipient)));
    assert_eq!(now.error.as_deref(), Some("WhatsApp refused it later."));
    assert_eq!((now.dead_lettered_at, now.sent_at), (Some(at(20)), Some(at(10))));
}

async fn only_an_unknown_failure_is_mended_by_a_receipt(adapters: &Adapters) {
    let unknown = NextStep::Failed {
        failure: FailureKind::Unknown,
        error: DeliveryError::unknown("No answer in time. It may have been delivered.").known_as("3EB0A"),
    };
    let known = NextStep::Failed { failure: FailureKind::Channel, error: DeliveryError::unknown("").known_as("3EB0B") };
    for (step, name, mended) in [(unknown, "3EB0A", true), (known, "3EB0B", false)] {
        let message = pending(adapters).await;
        assert!(adapters.messages.record(&outcome(&message, step)).await.unwrap());
        let failed = adapters.now(&message).await;
        assert_eq!((failed.status, failed.channel_message_id.as_deref()), (Failed, Some(name)));
        let name = ChannelMessage { instance: message.instance_id, id: name.to_owned() };
        received(adapters, &name, ReceiptStatus::Delivered, 20).await;
        let now = adapters.now(&message).await;
        if mended {
            assert_eq!((now.status, now.failure, now.error, now.dead_lettered_at), (Delivered, None, None, None));
            assert_eq!((now.sent_at, now.delivered_at), (Some(at(20)), Some(at(20))));
        } else {
            assert_eq!(now.status, Failed);
        }
    }
}

async fn an_outcome_whose_guard_has_lost_gives_no_name(adapters: &Adapters) {
    let message = pending(adapters).await;
    assert!(adapters.messages.record(&outcome(&message, failed())).await.unwrap());
    assert!(!adapters.messages.record(&outcome(&message, sent())).await.unwrap());
    let name = name_of(&message);
    received(adapters, &name, ReceiptStatus::Read, 20).await;
    // Nobody's: it is still there for one who gets the name.
    let other = pending(adapters).await;
    assert!(adapters.messages.record(&outcome(&other, sent())).await.unwrap());
    let its_name = name_of(&other);
    adapters.receipts.apply(&its_name, None, at(21)).await.unwrap();
    assert_eq!(is_now(adapters, &message).await, Failed);
}

async fn a_name_is_given_only_where_receipts_come(adapters: &Adapters) {
    let message = pending(adapters).await;
    let without = correio::application::ports::Outcome { has_receipts: false, ..outcome(&message, sent()) };
    assert!(adapters.messages.record(&without).await.unwrap());
    received(adapters, &name_of(&message), ReceiptStatus::Read, 20).await;
    assert_eq!(is_now(adapters, &message).await, Sent);
}

async fn what_was_left_is_swept_and_what_is_nobodys_is_forgotten(adapters: &Adapters) {
    let message = pending(adapters).await;
    let name = name_of(&message);
    let nobodys = ChannelMessage { id: "3EB0NOBODY".to_owned(), ..name.clone() };
    for (of, seconds) in [(&name, 20), (&nobodys, 21)] {
        adapters.receipts.store(&receipt(of, ReceiptStatus::Delivered, seconds), at(seconds)).await.unwrap();
    }
    assert!(adapters.messages.record(&outcome(&message, sent())).await.unwrap());
    let sweep =
        async |before: Timestamp| assert_eq!(adapters.receipts.sweep(None, before, None, at(30)).await.unwrap(), None);
    sweep(at(0)).await;
    assert_eq!(is_now(adapters, &message).await, Delivered);
    // Not old enough: whoever gets the name gets the receipt.
    let late = Message { id: node_id(), ..adapters.now(&message).await };
    let late = Message { status: Pending, node: Some(node()), try_number: 0, tries: 0, sent_at: None, ..late };
    let late = adapters.stored(late).await;
    let step =
        NextStep::Failed { failure: FailureKind::Unknown, error: DeliveryError::unknown("lost").known_as(&nobodys.id) };
    sweep(at(0) - TimeDelta::days(7)).await;
    assert!(adapters.messages.record(&outcome(&late, step)).await.unwrap());
    adapters.receipts.apply(&nobodys, None, at(31)).await.unwrap();
    assert_eq!(is_now(adapters, &late).await, Delivered);
    let old = ChannelMessage { id: "3EB0OLD".to_owned(), ..name };
    adapters.receipts.store(&receipt(&old, ReceiptStatus::Read, 5), at(5)).await.unwrap();
    sweep(at(6)).await;
    let gets_it = adapters.stored(Message { id: node_id(), ..late.clone() }).await;
    let step =
        NextStep::Failed { failure: FailureKind::Unknown, error: DeliveryError::unknown("lost").known_as(&old.id) };
    assert!(adapters.messages.record(&outcome(&gets_it, step)).await.unwrap());
    adapters.receipts.apply(&old, None, at(32)).await.unwrap();
    assert_eq!(is_now(adapters, &gets_it).await, Failed, "it was forgotten");
}

async fn many_receipts_at_once_each_count(adapters: &Adapters) {
    let mut messages = Vec::new();
    for number in 0..40 {
        let message = adapters.stored(message(Queued, node())).await;
        let claimed = adapters.messages.claim(message.id, node(), at(1)).await.unwrap().unwrap().message;
        let step = NextStep::Sent(correio::domain::message::delivery::Acceptance {
            channel_message_id: Some(format!("wamid.{number}")),
            http_status: Some(201),
        });
        assert!(adapters.messages.record(&outcome(&claimed, step)).await.unwrap());
        messages.push((ChannelMessage { instance: claimed.instance_id, id: format!("wamid.{number}") }, claimed));
    }
    let all = messages.iter().flat_map(|(name, _)| {
        [ReceiptStatus::Read, ReceiptStatus::Delivered].map(|said| received_by(adapters, name, said))
    });
    join_all(all).await;
    for (_, message) in &messages {
        assert_eq!(is_now(adapters, message).await, Read);
    }
}

async fn received_by(adapters: &Adapters, of: &ChannelMessage, said: ReceiptStatus) {
    let stores = adapters.of_process(usize::from(said == ReceiptStatus::Read));
    stores.receipts.store(&receipt(of, said, 20), at(20)).await.unwrap();
    stores.receipts.apply(of, None, at(20)).await.unwrap();
}
