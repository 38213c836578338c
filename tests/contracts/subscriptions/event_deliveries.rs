use correio::application::ports::{EventMessage, NewDelivery};
use correio::domain::event::EventId;
use correio::domain::message::{Message, MessageStatus};
use correio::domain::subscription::{DeliveryOutcome, EventDelivery, SubscriptionId};

use crate::contracts::events::{event, stored};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, message, node};

on_every_adapter![
    an_event_and_a_subscription_have_one_message,
    of_many_at_once_one_makes_the_message,
    what_was_skipped_may_become_a_message,
    old_deliveries_of_events_that_are_gone_are_forgotten,
];

fn delivery(event: EventId, subscription: SubscriptionId) -> NewDelivery {
    let message = Message { next_attempt_at: Some(at(0)), ..message(MessageStatus::Queued, node()) };
    NewDelivery { event, subscription, message: Some(message), at: at(0) }
}

fn told(delivery: &NewDelivery) -> EventDelivery {
    let NewDelivery { event, subscription, message, at } = delivery.clone();
    let outcome = message.map_or(DeliveryOutcome::Skipped, |message| DeliveryOutcome::Message(message.id.0));
    EventDelivery { event, subscription, outcome, at }
}

fn some() -> (EventId, SubscriptionId) {
    (EventId(id()), SubscriptionId(id()))
}

async fn an_event_and_a_subscription_have_one_message(adapters: &Adapters) {
    let (event, subscription) = some();
    let (first, other) = (delivery(event, subscription), delivery(event, SubscriptionId(id())));
    assert_eq!(adapters.event_deliveries.record(&[]).await.unwrap(), 0);
    assert_eq!(adapters.event_deliveries.record(&[first.clone(), other.clone()]).await.unwrap(), 2);
    let again = delivery(event, subscription);
    assert_eq!(adapters.event_deliveries.record(std::slice::from_ref(&again)).await.unwrap(), 0);
    let mut deliveries = adapters.event_deliveries.of_events(&[event, EventId(id())]).await.unwrap();
    let mut expected = [told(&first), told(&other)];
    deliveries.sort_by_key(|delivery| delivery.subscription);
    expected.sort_by_key(|delivery| delivery.subscription);
    assert_eq!(deliveries, expected);
    let stored = |delivery: &NewDelivery| adapters.messages.find(delivery.message.as_ref().unwrap().id);
    assert_eq!(stored(&first).await.unwrap().unwrap().next_attempt_at, Some(at(0)));
    assert!(stored(&again).await.unwrap().is_none(), "no second message");

    let mut messages = adapters.event_deliveries.messages(&[event]).await.unwrap();
    messages.sort_by_key(|it| it.message);
    let expected = [&first, &other].map(|delivery| EventMessage {
        event,
        message: delivery.message.as_ref().unwrap().id,
        status: MessageStatus::Queued,
        error: None,
    });
    assert_eq!(messages, expected);
    assert!(adapters.event_deliveries.messages(&[EventId(id())]).await.unwrap().is_empty());
}

async fn of_many_at_once_one_makes_the_message(adapters: &Adapters) {
    let (event, subscription) = some();
    let recording = (0..10).map(|number| {
        let deliveries = adapters.of_process(number).event_deliveries.clone();
        async move { deliveries.record(&[delivery(event, subscription)]).await.unwrap() }
    });
    assert_eq!(futures::future::join_all(recording).await.into_iter().sum::<u64>(), 1);
    assert_eq!(adapters.event_deliveries.messages(&[event]).await.unwrap().len(), 1);
}

async fn what_was_skipped_may_become_a_message(adapters: &Adapters) {
    let (event, subscription) = some();
    let skipped = NewDelivery { message: None, ..delivery(event, subscription) };
    assert_eq!(adapters.event_deliveries.record(std::slice::from_ref(&skipped)).await.unwrap(), 1);
    assert_eq!(adapters.event_deliveries.record(std::slice::from_ref(&skipped)).await.unwrap(), 0);
    assert_eq!(adapters.event_deliveries.of_events(&[event]).await.unwrap(), [told(&skipped)]);
    assert!(adapters.event_deliveries.messages(&[event]).await.unwrap().is_empty());
    let replayed = NewDelivery { at: at(9), ..delivery(event, subscription) };
    assert_eq!(adapters.event_deliveries.record(std::slice::from_ref(&replayed)).await.unwrap(), 1);
    assert_eq!(adapters.event_deliveries.record(&[skipped]).await.unwrap(), 0);
    assert_eq!(adapters.event_deliveries.of_events(&[event]).await.unwrap(), [told(&replayed)]);
}

async fn old_deliveries_of_events_that_are_gone_are_forgotten(adapters: &Adapters) {
    let ((old, subscription), (new, _)) = (some(), some());
    let kept = event("kept");
    stored(adapters, &kept, &[]).await;
    let still_there = delivery(kept.id, subscription);
    adapters.event_deliveries.record(std::slice::from_ref(&still_there)).await.unwrap();
    adapters.event_deliveries.record(&[delivery(old, subscription)]).await.unwrap();
    let later = NewDelivery { at: at(10), ..delivery(new, subscription) };
    adapters.event_deliveries.record(std::slice::from_ref(&later)).await.unwrap();
    assert!(!adapters.event_deliveries.forget(at(5)).await.unwrap());
    assert_eq!(adapters.event_deliveries.of_events(&[old, new]).await.unwrap(), [told(&later)]);
    assert_eq!(
        adapters.event_deliveries.of_events(&[kept.id]).await.unwrap(),
        [told(&still_there)],
        "its event is there"
    );
}
