use correio::domain::instance::Instance;
use correio::domain::message::delivery::{DeliveryError, FailureKind};
use correio::domain::message::retry::NextStep;
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::domain::receipt::{ChannelMessage, ReceiptStatus, ReportedSend, UnknownFailure};
use uuid::Uuid;

use super::{is_now, received};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, instance, message_of, node, outcome, sent};

on_every_adapter![
    a_message_whose_answer_was_lost_is_found_and_moved_by_receipts_of_its_name,
    what_has_the_name_of_a_message_is_forgotten,
    what_has_changed_meanwhile_is_not_given_a_name,
    only_unknown_failures_of_the_instance_and_the_time_are_found,
];

async fn an_instance(adapters: &Adapters, name: &str) -> Instance {
    let instance = instance("acme", name);
    adapters.instances.insert(&instance).await.unwrap();
    instance
}

fn reported(instance: &Instance, name: &str) -> ReportedSend {
    let of = ChannelMessage { instance: instance.id, id: name.to_owned() };
    ReportedSend { of, chat: "5585999999999".to_owned(), text: "Olá".to_owned(), at: at(12) }
}

async fn ended(adapters: &Adapters, of: &Instance, next: NextStep) -> Message {
    let message = message_of(of, MessageStatus::Pending, node());
    let time = u128::from(at(0).timestamp_millis().cast_unsigned()) << 80;
    let id = MessageId(Uuid::from_u128(time | (message.id.0.as_u128() & ((1 << 80) - 1))));
    let message = adapters.stored(Message { id, attempt_started_at: Some(at(9)), ..message }).await;
    assert!(adapters.messages.record(&outcome(&message, next)).await.unwrap());
    adapters.now(&message).await
}

/// Evolution has not taken our name.
async fn lost(adapters: &Adapters, of: &Instance) -> Message {
    let error = DeliveryError::unknown("No answer in time. It may have been delivered.").known_as("3EB0OURS");
    ended(adapters, of, NextStep::Failed { failure: FailureKind::Unknown, error }).await
}

async fn failures(adapters: &Adapters, of: &Instance) -> Vec<UnknownFailure> {
    adapters.reported_sends.unknown_failures(of.id, (at(0), at(60))).await.unwrap()
}

async fn a_message_whose_answer_was_lost_is_found_and_moved_by_receipts_of_its_name(adapters: &Adapters) {
    let shop = an_instance(adapters, "shop").await;
    let message = lost(adapters, &shop).await;
    let sent = reported(&shop, "3EB0THEIRS");
    // What is said of it before it has the name waits.
    received(adapters, &sent.of, ReceiptStatus::Sent, 13).await;
    for _ in 0..2 {
        adapters.reported_sends.keep(&sent, at(12)).await.unwrap();
    }
    assert_eq!(adapters.reported_sends.due(at(12), 10).await.unwrap(), [], "it was kept just then");
    assert_eq!(adapters.reported_sends.due(at(13), 10).await.unwrap(), std::slice::from_ref(&sent));
    let failures = failures(adapters, &shop).await;
    let found = sent.among(&failures).unwrap();
    assert_eq!((found.message, found.name.as_deref()), (message.id, Some("3EB0OURS")));
    assert!(adapters.reported_sends.settle(&sent, Some(found)).await.unwrap());
    assert_eq!(adapters.reported_sends.due(at(13), 10).await.unwrap(), []);
    adapters.receipts.apply(&sent.of, None, at(300)).await.unwrap();
    assert_eq!(is_now(adapters, &message).await, MessageStatus::Sent);
    received(adapters, &sent.of, ReceiptStatus::Delivered, 301).await;
    let now = adapters.now(&message).await;
    assert_eq!((now.status, now.channel_message_id.as_deref()), (MessageStatus::Delivered, Some("3EB0THEIRS")));
    assert_eq!((now.error, now.failure), (None, None));
}

async fn what_has_the_name_of_a_message_is_forgotten(adapters: &Adapters) {
    let shop = an_instance(adapters, "shop").await;
    let before = ended(adapters, &shop, sent()).await;
    adapters.reported_sends.keep(&reported(&shop, "wamid.1"), at(12)).await.unwrap();
    assert_eq!(adapters.reported_sends.due(at(60), 10).await.unwrap(), [], "{before:?}");
    // The answer comes after the report.
    let other = an_instance(adapters, "other").await;
    adapters.reported_sends.keep(&reported(&other, "wamid.1"), at(12)).await.unwrap();
    ended(adapters, &other, sent()).await;
    assert_eq!(adapters.reported_sends.due(at(60), 10).await.unwrap(), []);
    // Another client's.
    let foreign = reported(&shop, "3EB0FOREIGN");
    adapters.reported_sends.keep(&foreign, at(12)).await.unwrap();
    assert!(!adapters.reported_sends.settle(&foreign, None).await.unwrap());
    assert_eq!(adapters.reported_sends.due(at(60), 10).await.unwrap(), []);
}

async fn what_has_changed_meanwhile_is_not_given_a_name(adapters: &Adapters) {
    let shop = an_instance(adapters, "shop").await;
    let message = lost(adapters, &shop).await;
    let found = failures(adapters, &shop).await.remove(0);
    let ours = ChannelMessage { instance: shop.id, id: "3EB0OURS".to_owned() };
    received(adapters, &ours, ReceiptStatus::Delivered, 20).await;
    let sent = reported(&shop, "3EB0THEIRS");
    adapters.reported_sends.keep(&sent, at(12)).await.unwrap();
    assert!(!adapters.reported_sends.settle(&sent, Some(&found)).await.unwrap());
    assert_eq!(adapters.now(&message).await.channel_message_id.as_deref(), Some("3EB0OURS"));
    assert_eq!(adapters.reported_sends.due(at(60), 10).await.unwrap(), []);
    received(adapters, &sent.of, ReceiptStatus::Read, 30).await;
    assert_eq!(is_now(adapters, &message).await, MessageStatus::Delivered, "the name is nobody's");
}

async fn only_unknown_failures_of_the_instance_and_the_time_are_found(adapters: &Adapters) {
    let (shop, other) = (an_instance(adapters, "shop").await, an_instance(adapters, "other").await);
    let message = lost(adapters, &shop).await;
    lost(adapters, &other).await;
    ended(adapters, &shop, crate::support::given::failed()).await;
    ended(adapters, &shop, sent()).await;
    let found: Vec<MessageId> = failures(adapters, &shop).await.into_iter().map(|it| it.message).collect();
    assert_eq!(found, [message.id]);
    let later = adapters.reported_sends.unknown_failures(shop.id, (at(10), at(60))).await.unwrap();
    assert_eq!(later, []);
}
