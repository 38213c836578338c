use chrono::TimeDelta;
use correio::application::ports::{MessageFilter, Received};
use correio::domain::inbound::{Author, InboundMedia, InboundMessage, Sender};
use correio::domain::instance::{Instance, InstanceId};
use correio::domain::message::{Direction, MediaType, Message, MessageId, MessageStatus};
use correio::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus};
use correio::infrastructure::storage::shared::first_id;
use futures::future::join_all;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, instance, message, node, outcome, sent, tenant};

on_every_adapter![
    a_received_message_is_stored_as_it_was_written,
    one_that_is_reported_again_is_stored_once,
    many_at_once_are_stored_once_each_whichever_process_has_them,
    what_was_written_on_the_phone_is_moved_by_receipts,
    what_has_the_name_of_a_message_of_ours_is_ours,
    what_may_be_ours_is_decided_once_no_try_can_be_under_way,
    what_may_get_its_name_yet_is_left_for_later_whatever_its_age,
    what_was_received_disturbs_no_counts,
    a_key_is_forgotten_after_a_month,
];

fn inbound(instance: &Instance, name: &str) -> InboundMessage {
    InboundMessage {
        of: ChannelMessage { instance: instance.id, id: name.to_owned() },
        author: Author::Another,
        chat: "5585999999999".to_owned(),
        sender: Sender { address: Some("5585999999999".to_owned()), ..Sender::default() },
        text: Some("oi".to_owned()),
        media: None,
        quoted: None,
        deed: None,
        kind: Some("conversation".to_owned()),
        rest: None,
        at: at(1),
    }
}

fn received(inbound: InboundMessage, instance: &Instance, seconds: i64) -> Received {
    Received::of(inbound, instance, MessageId(id()), at(seconds))
}

async fn find(adapters: &Adapters, received: &Received) -> Option<Message> {
    adapters.messages.find(received.message.id).await.unwrap()
}

async fn listed(adapters: &Adapters, direction: Option<Direction>) -> Vec<Message> {
    let filter = MessageFilter { direction, ..MessageFilter::default() };
    adapters.search.list(&tenant("acme"), &filter, None, 250).await.unwrap().messages
}

async fn a_received_message_is_stored_as_it_was_written(adapters: &Adapters) {
    let instance = instance("acme", "loja");
    let media = InboundMedia {
        media_type: MediaType::Image,
        url: Some("https://mmg.whatsapp.net/v/t62.7118-24/1.enc".to_owned()),
        id: None,
        mime_type: Some("image/jpeg".to_owned()),
        file_name: None,
    };
    let quoted = Some("3EB0QUOTED".to_owned());
    let written = InboundMessage { media: Some(media), quoted, ..inbound(&instance, "A5") };
    let received = received(written, &instance, 5);
    assert!(adapters.received.store(&received).await.unwrap());
    let stored = find(adapters, &received).await.unwrap();
    assert_eq!(format!("{stored:?}"), format!("{:?}", received.message));
    assert_eq!((stored.direction, stored.status), (Direction::Received, MessageStatus::Delivered));
    assert_eq!((stored.sent_at, stored.delivered_at, stored.created_at), (Some(at(1)), Some(at(5)), at(5)));
    let (_, attempts) = adapters.search.find(&tenant("acme"), stored.id).await.unwrap().unwrap();
    assert_eq!(attempts, []);
}

async fn one_that_is_reported_again_is_stored_once(adapters: &Adapters) {
    let instance = instance("acme", "loja");
    let first = inbound(&instance, "A5");
    assert!(adapters.received.store(&received(first.clone(), &instance, 5)).await.unwrap());
    assert!(!adapters.received.store(&received(first.clone(), &instance, 6)).await.unwrap());
    let elsewhere = [
        InboundMessage { chat: "120363000000000000@g.us".to_owned(), ..first.clone() },
        InboundMessage { sender: Sender { address: Some("55".to_owned()), ..Sender::default() }, ..first.clone() },
        inbound(&instance, "A6"),
        InboundMessage { of: ChannelMessage { instance: InstanceId(id()), ..first.of.clone() }, ..first },
    ];
    for other in elsewhere {
        let its_instance = Instance { id: other.of.instance, ..instance.clone() };
        let other = received(other, &its_instance, 7);
        assert!(adapters.received.store(&other).await.unwrap(), "{other:?}");
    }
    assert_eq!(listed(adapters, Some(Direction::Received)).await.len(), 5);
}

async fn many_at_once_are_stored_once_each_whichever_process_has_them(adapters: &Adapters) {
    let instance = instance("acme", "loja");
    let all: Vec<Received> =
        (0..120).map(|number| received(inbound(&instance, &format!("A{}", number % 60)), &instance, 5)).collect();
    let stored = all.iter().enumerate().map(|(number, one)| adapters.of_process(number / 60).received.store(one));
    let stored = join_all(stored).await.into_iter().filter(|stored| *stored.as_ref().unwrap()).count();
    assert_eq!((stored, listed(adapters, None).await.len()), (60, 60));
}

async fn what_was_written_on_the_phone_is_moved_by_receipts(adapters: &Adapters) {
    let instance = instance("acme", "loja");
    let own = InboundMessage { author: Author::Phone, ..inbound(&instance, "3A0000000000000000FF") };
    let of = own.of.clone();
    let own = received(own, &instance, 5);
    assert!(adapters.received.store(&own).await.unwrap());
    assert!(!adapters.received.store(&own).await.unwrap());
    let stored = find(adapters, &own).await.unwrap();
    assert_eq!((stored.direction, stored.status, stored.delivered_at), (Direction::Sent, MessageStatus::Sent, None));
    // It was never tried: a failure would be replayed, or be a dead letter.
    for status in [ReceiptStatus::Failed, ReceiptStatus::Delivered] {
        let receipt = Receipt { of: of.clone(), message: None, status, at: at(9), reason: None };
        adapters.receipts.store(&receipt, at(9)).await.unwrap();
        adapters.receipts.apply(&of, None, at(9)).await.unwrap();
        let is_sent = find(adapters, &own).await.unwrap().status == MessageStatus::Sent;
        assert_eq!(is_sent, status == ReceiptStatus::Failed);
    }
    let delivered = find(adapters, &own).await.unwrap();
    assert_eq!((delivered.status, delivered.delivered_at), (MessageStatus::Delivered, Some(at(9))));
}

async fn what_has_the_name_of_a_message_of_ours_is_ours(adapters: &Adapters) {
    let ours = adapters.stored(message(MessageStatus::Pending, node())).await;
    assert!(adapters.messages.record(&outcome(&ours, sent())).await.unwrap());
    let instance = Instance { id: ours.instance_id, ..instance("acme", "hook") };
    let own = |author| InboundMessage { author, ..inbound(&instance, "wamid.1") };
    assert!(!adapters.received.store(&received(own(Author::Phone), &instance, 11)).await.unwrap());
    adapters.received.keep(&received(own(Author::PhoneOrUs), &instance, 11)).await.unwrap();
    adapters.received.decide(at(60), at(61)).await.unwrap();
    assert_eq!(listed(adapters, None).await.len(), 1);
}

async fn what_may_be_ours_is_decided_once_no_try_can_be_under_way(adapters: &Adapters) {
    let ours = adapters.stored(message(MessageStatus::Pending, node())).await;
    let instance = Instance { id: ours.instance_id, ..instance("acme", "hook") };
    let own = |name: &str| InboundMessage { author: Author::PhoneOrUs, ..inbound(&instance, name) };
    let (first, second) = (received(own("wamid.1"), &instance, 5), received(own("3EB0BROWSER"), &instance, 6));
    for one in [&first, &second, &first] {
        adapters.received.keep(one).await.unwrap();
    }
    assert!(!adapters.received.decide(at(5), at(20)).await.unwrap());
    assert_eq!(listed(adapters, None).await.len(), 1, "it is not time yet");
    // The answer comes after what its provider reports of it.
    assert!(adapters.messages.record(&outcome(&ours, sent())).await.unwrap());
    let decided = adapters.of_process(1).received.decide(at(30), at(31));
    let (one, other) = futures::join!(adapters.received.decide(at(30), at(31)), decided);
    assert!(!one.unwrap() && !other.unwrap());
    assert!(find(adapters, &first).await.is_none());
    let stored = find(adapters, &second).await.unwrap();
    assert_eq!((stored.direction, stored.status, stored.created_at), (Direction::Sent, MessageStatus::Sent, at(31)));
    assert_eq!((stored.sent_at, stored.content.clone()), (Some(at(1)), second.message.content.clone()));
    assert_eq!(listed(adapters, None).await.len(), 2);
}

/// Its outcome waits for a database that was away, or the clock is ahead.
async fn what_may_get_its_name_yet_is_left_for_later_whatever_its_age(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let ours = adapters.stored(message(MessageStatus::Pending, owner)).await;
    let instance = Instance { id: ours.instance_id, ..instance("acme", "hook") };
    let own = |instance: &Instance, name: &str, seconds| {
        received(InboundMessage { author: Author::PhoneOrUs, ..inbound(instance, name) }, instance, seconds)
    };
    let other = Instance { id: InstanceId(id()), ..instance.clone() };
    let (first, elsewhere) = (own(&instance, "wamid.1", 5), own(&other, "3EB0BROWSER", 5));
    for one in [&first, &elsewhere] {
        adapters.received.keep(one).await.unwrap();
    }
    assert!(!adapters.received.decide(at(3_600), at(3_600)).await.unwrap());
    assert!(find(adapters, &first).await.is_none(), "its try has not ended");
    assert!(find(adapters, &elsewhere).await.is_some(), "that of another instance waits for nothing");
    assert!(adapters.messages.record(&outcome(&ours, sent())).await.unwrap());
    adapters.received.decide(at(3_600), at(3_601)).await.unwrap();
    assert!(find(adapters, &first).await.is_none(), "it is ours");
    assert_eq!(listed(adapters, None).await.len(), 2);

    // A try that began later gives another name: an instance that sends all the time holds nothing up.
    let browser = own(&instance, "3EB0ANOTHER", 5);
    adapters.received.keep(&browser).await.unwrap();
    let later = Message { instance_id: ours.instance_id, ..message(MessageStatus::Queued, owner) };
    let later = adapters.stored(later).await;
    adapters.messages.claim(later.id, owner, at(100)).await.unwrap().unwrap();
    adapters.received.decide(at(3_600), at(3_602)).await.unwrap();
    assert!(find(adapters, &browser).await.is_some());
}

async fn what_was_received_disturbs_no_counts(adapters: &Adapters) {
    let sent_one = adapters.stored(message(MessageStatus::Queued, node())).await;
    let instance = Instance { id: sent_one.instance_id, ..instance("acme", "hook") };
    for name in ["A1", "A2", "A3"] {
        assert!(adapters.received.store(&received(inbound(&instance, name), &instance, 5)).await.unwrap());
    }
    adapters.storage.roll_up().await.unwrap();
    let count = async |filter: MessageFilter| {
        let counts = adapters.search.count(&tenant("acme"), &filter).await.unwrap();
        let of = |status| counts.get(&status).copied().unwrap_or_default();
        (of(MessageStatus::Queued), of(MessageStatus::Delivered))
    };
    assert_eq!(count(MessageFilter::sent()).await, (1, 0));
    let hook = |direction| MessageFilter {
        direction: Some(direction),
        channel_instance_id: Some("hook".to_owned()),
        ..MessageFilter::default()
    };
    assert_eq!(count(hook(Direction::Sent)).await, (1, 0));
    assert_eq!(count(hook(Direction::Received)).await, (0, 3));
    assert_eq!(count(MessageFilter::default()).await, (1, 3));
    let names = |messages: Vec<Message>| messages.into_iter().map(|it| it.channel_message_id).collect::<Vec<_>>();
    let received = names(listed(adapters, Some(Direction::Received)).await);
    assert_eq!(received, ["A3", "A2", "A1"].map(|name| Some(name.to_owned())));
    assert_eq!(names(listed(adapters, Some(Direction::Sent)).await), [None]);
    assert_eq!(adapters.search.count_open(None).await.unwrap(), 1);
}

async fn a_key_is_forgotten_after_a_month(adapters: &Adapters) {
    let instance = instance("acme", "loja");
    let now = chrono::Utc::now();
    let stored = async |days: i64| {
        let id = MessageId(first_id(now - TimeDelta::days(days)));
        let name = format!("A{days}");
        adapters.received.store(&Received::of(inbound(&instance, &name), &instance, id, now)).await.unwrap()
    };
    assert!(stored(29).await && stored(31).await);
    assert!(!adapters.storage.delete_expired_keys(now).await.unwrap());
    let again = async |days: i64| {
        let again = Received::of(inbound(&instance, &format!("A{days}")), &instance, MessageId(id()), now);
        adapters.received.store(&again).await.unwrap()
    };
    assert!(!again(29).await && again(31).await);
}
