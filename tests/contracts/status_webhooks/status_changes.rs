use std::sync::Mutex;
use std::time::Duration;

use correio::application::ports::{MessageFilter, Purposes, Received, Stores};
use correio::domain::inbound::{Author, InboundMessage, Sender};
use correio::domain::instance::channel::ChannelName;
use correio::domain::message::{Guard, Message, MessageId, MessageStatus, Purpose};
use correio::domain::receipt::{ChannelMessage, Receipt, ReceiptStatus};
use correio::domain::status_webhook::{Change, States, StatusSubscription, Subscriber};
use futures::future::join_all;

use super::subscription;
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, failed, id, instance, message, message_of, node, outcome, retry, sent, tenant};

use MessageStatus::{Cancelled, Delivered, Failed, Queued, Read, Sent};

on_every_adapter![
    every_write_that_leads_to_such_a_state_is_told,
    what_is_told_is_the_message_as_it_was_then,
    a_second_change_waits_until_the_first_has_been_told_or_has_failed,
    what_tells_is_told_to_none_and_counted_for_none,
    only_who_subscribed_is_told_and_only_of_what_was_asked_for,
    however_many_subscribe_each_is_told_once,
    of_processes_that_tell_at_the_same_time_one_does,
    what_waits_for_a_subscription_goes_with_it,
];

/// Whom a message tells of which state of which message, and its own id.
type Teller = (MessageId, StatusSubscriptionId, MessageStatus, MessageId);
type StatusSubscriptionId = correio::domain::instance::InstanceId;

fn telling(change: &Change, to: &Subscriber) -> Message {
    let behind = correio::domain::instance::Instance { id: to.id, ..instance(to.tenant.as_str(), "behind") };
    let mut it = message_of(&behind, Queued, node());
    it.id = MessageId(id());
    it.channel = ChannelName::new("webhook");
    it.channel_instance_id = StatusSubscription::instance_name(to.id);
    it.recipient = change.message.id.to_string();
    it.purpose = Some(Purpose::Status);
    it.content.text = Some(format!("{:?}", change.message));
    it
}

async fn told_by(stores: &Stores) -> Vec<Teller> {
    let told = Mutex::new(Vec::new());
    let compose = |change: &Change, to: &Subscriber| {
        let message = telling(change, to);
        told.lock().unwrap().push((change.message.id, to.id, change.message.status, message.id));
        message
    };
    while stores.status_changes.tell(&compose).await.unwrap().more {}
    told.into_inner().unwrap()
}

/// Which states of this message were told.
async fn told_of(adapters: &Adapters, id: MessageId) -> Vec<MessageStatus> {
    told_by(adapters).await.into_iter().filter(|(of, ..)| *of == id).map(|(_, _, status, _)| status).collect()
}

async fn subscribed(adapters: &Adapters) -> StatusSubscription {
    let one = subscription(tenant("acme"));
    assert!(adapters.status_subscriptions.insert(&one).await.unwrap());
    one
}

/// A message of `acme` that was sent.
async fn was_sent(adapters: &Adapters) -> Message {
    let claimed = adapters.open(MessageStatus::Processing, node()).await;
    assert!(adapters.messages.record(&outcome(&claimed, sent())).await.unwrap());
    adapters.now(&claimed).await
}

/// The messages that tell have reached their subscribers.
async fn are_taken(adapters: &Adapters, told: &[Teller], ends: impl Fn() -> correio::domain::message::retry::NextStep) {
    for (_, _, _, id) in told {
        let claimed = adapters.messages.claim(*id, node(), at(30)).await.unwrap().unwrap().message;
        assert!(adapters.messages.record(&outcome(&claimed, ends())).await.unwrap());
    }
}

async fn is_said(adapters: &Adapters, message: &Message, status: ReceiptStatus, seconds: i64) {
    let name = message.channel_message_id.clone().unwrap();
    let of = ChannelMessage { instance: message.instance_id, id: name };
    let receipt = Receipt { of: of.clone(), message: Some(message.id), status, at: at(seconds), reason: None };
    adapters.receipts.store(&receipt, at(seconds)).await.unwrap();
    adapters.receipts.apply(&of, Some(at(seconds)), at(seconds)).await.unwrap();
}

async fn every_write_that_leads_to_such_a_state_is_told(adapters: &Adapters) {
    subscribed(adapters).await;

    let direct = adapters.open(MessageStatus::Pending, node()).await;
    assert!(adapters.messages.record(&outcome(&direct, sent())).await.unwrap());
    assert_eq!(told_of(adapters, direct.id).await, [Sent]);

    let lost = adapters.stored(message(Queued, node())).await;
    let guard = Guard { id: lost.id, status: MessageStatus::Processing, node: Some(node()), try_number: 1 };
    let claims_and_ends = correio::application::ports::Outcome { guard, ..outcome(&lost, failed()) };
    assert!(adapters.messages.record(&claims_and_ends).await.unwrap());
    assert_eq!(told_of(adapters, lost.id).await, [Failed]);

    let retried = adapters.timed(node(), 60).await;
    assert_eq!(told_of(adapters, retried.id).await, [], "it will be tried again");
    let cancelled = adapters.cancellations.cancel(&retried.tenant, retried.id, Duration::ZERO, at(20)).await.unwrap();
    assert_eq!(cancelled, correio::application::ports::Cancellation::Cancelled);
    assert_eq!(told_of(adapters, retried.id).await, [Cancelled]);

    let orphan = adapters.open(MessageStatus::Queued, node()).await;
    let (instances, ids) = ([orphan.instance_id], [orphan.id]);
    adapters.deleted_instances.fail(&instances, &ids, "deleted", Some(at(5)), at(5)).await.unwrap();
    assert_eq!(told_of(adapters, orphan.id).await, [Failed]);

    let replayed = adapters.failed(message(Queued, node()), Some(at(10))).await;
    assert_eq!(told_of(adapters, replayed.id).await, [Failed]);
    adapters.failed_again(&replayed).await;
    assert_eq!(told_of(adapters, replayed.id).await, [], "the first time is still being told");

    for (said, becomes) in
        [(ReceiptStatus::Delivered, Delivered), (ReceiptStatus::Read, Read), (ReceiptStatus::Failed, Failed)]
    {
        let message = was_sent(adapters).await;
        let told = told_by(adapters).await;
        assert_eq!(told.iter().map(|it| it.2).collect::<Vec<_>>(), [Sent]);
        are_taken(adapters, &told, sent).await;
        is_said(adapters, &message, said, 20).await;
        is_said(adapters, &message, said, 21).await;
        assert_eq!(told_of(adapters, message.id).await, [becomes], "once");
    }

    let own = instance("acme", "loja");
    let written = InboundMessage {
        of: ChannelMessage { instance: own.id, id: "3A0000000000000000FF".to_owned() },
        author: Author::Phone,
        chat: "5585999999999".to_owned(),
        sender: Sender { address: Some("5585999999999".to_owned()), ..Sender::default() },
        text: Some("oi".to_owned()),
        media: None,
        quoted: None,
        deed: None,
        kind: Some("conversation".to_owned()),
        rest: None,
        at: at(1),
    };
    let phone = Received::of(written.clone(), &own, MessageId(id()), at(5));
    assert!(adapters.received.store(&phone).await.unwrap());
    assert_eq!(told_of(adapters, phone.message.id).await, [Sent], "on the phone");
    let of = ChannelMessage { instance: own.id, id: "A5".to_owned() };
    let inbound = Received::of(InboundMessage { author: Author::Another, of, ..written }, &own, MessageId(id()), at(5));
    assert!(adapters.received.store(&inbound).await.unwrap());
    assert_eq!(told_of(adapters, inbound.message.id).await, [], "it was written to us");
}

impl Adapters {
    /// Replayed, and failed once more.
    async fn failed_again(&self, message: &Message) {
        self.failed.replay(&message.tenant, message.id, at(11)).await.unwrap();
        let taker = self.live_node().await;
        let taken = self.due.take(&crate::support::given::take(taker, 12)).await.unwrap();
        assert!(taken.iter().any(|taken| taken.id == message.id));
        let claimed = self.messages.claim(message.id, taker, at(13)).await.unwrap().unwrap().message;
        assert!(self.messages.record(&outcome(&claimed, failed())).await.unwrap());
    }
}

async fn what_is_told_is_the_message_as_it_was_then(adapters: &Adapters) {
    subscribed(adapters).await;
    let message = was_sent(adapters).await;
    is_said(adapters, &message, ReceiptStatus::Read, 20).await;
    let told = told_by(adapters).await;
    assert_eq!(told.len(), 1);
    let tells = adapters.messages.find(told[0].3).await.unwrap().unwrap();
    assert_eq!((tells.purpose, tells.status), (Some(Purpose::Status), Queued));
    assert_eq!(tells.content.text.unwrap(), format!("{message:?}"));
    are_taken(adapters, &told, sent).await;
    let next = told_by(adapters).await;
    let tells = adapters.messages.find(next[0].3).await.unwrap().unwrap();
    let now = adapters.now(&message).await;
    assert_eq!((now.status, now.read_at), (Read, Some(at(20))));
    assert_eq!(tells.content.text.unwrap(), format!("{now:?}"));
}

async fn a_second_change_waits_until_the_first_has_been_told_or_has_failed(adapters: &Adapters) {
    let one = subscribed(adapters).await;
    let (message, other) = (was_sent(adapters).await, was_sent(adapters).await);
    let first = told_by(adapters).await;
    let of = |told: &[Teller]| told.iter().map(|(of, to, status, _)| (*of, *to, *status)).collect::<Vec<_>>();
    assert_eq!(of(&first), [(message.id, one.id, Sent), (other.id, one.id, Sent)]);
    is_said(adapters, &message, ReceiptStatus::Delivered, 20).await;
    assert_eq!(told_by(adapters).await, []);
    is_said(adapters, &message, ReceiptStatus::Read, 21).await;
    assert_eq!(told_by(adapters).await, []);

    // A failure that is tried again is no end.
    let claimed = adapters.messages.claim(first[0].3, node(), at(30)).await.unwrap().unwrap().message;
    assert!(adapters.messages.record(&outcome(&claimed, retry(40))).await.unwrap());
    assert_eq!(told_by(adapters).await, []);
    let taker = adapters.live_node().await;
    adapters.due.take(&crate::support::given::take(taker, 41)).await.unwrap();
    are_taken(adapters, &first[..1], failed).await;
    let second = told_by(adapters).await;
    assert_eq!(of(&second), [(message.id, one.id, Delivered)]);
    assert_eq!(told_by(adapters).await, []);
    are_taken(adapters, &second, sent).await;
    let third = told_by(adapters).await;
    assert_eq!(of(&third), [(message.id, one.id, Read)]);
    are_taken(adapters, &third, sent).await;
    are_taken(adapters, &first[1..], sent).await;
    is_said(adapters, &other, ReceiptStatus::Failed, 50).await;
    assert_eq!(of(&told_by(adapters).await), [(other.id, one.id, Failed)], "nothing waits for what has ended");
    adapters.status_changes.note_missed(at(86_400)).await.unwrap();
    assert_eq!(told_by(adapters).await, []);
}

async fn what_tells_is_told_to_none_and_counted_for_none(adapters: &Adapters) {
    subscribed(adapters).await;
    let acme = tenant("acme");
    was_sent(adapters).await;
    let told = told_by(adapters).await;
    are_taken(adapters, &told, sent).await;
    assert_eq!(told_by(adapters).await, []);
    let listed = async |filter: MessageFilter| {
        let listed = adapters.search.list(&acme, &filter, None, 250).await.unwrap().messages;
        listed.into_iter().map(|message| message.purpose).collect::<Vec<_>>()
    };
    let of = Purposes::Of(Purpose::Status);
    let webhook = || Some(ChannelName::new("webhook"));
    let name = Some(StatusSubscription::instance_name(told[0].1));
    for (filter, expected) in [
        (MessageFilter::default(), vec![None]),
        (MessageFilter { status: Some(Sent), ..MessageFilter::default() }, vec![None]),
        (MessageFilter { purposes: Purposes::Any, ..MessageFilter::default() }, vec![Some(Purpose::Status), None]),
        (MessageFilter { purposes: of, ..MessageFilter::default() }, vec![Some(Purpose::Status)]),
        (MessageFilter { purposes: of, channel: webhook(), ..MessageFilter::default() }, vec![Some(Purpose::Status)]),
        (
            MessageFilter { purposes: of, status: Some(Sent), channel_instance_id: name, ..MessageFilter::default() },
            vec![Some(Purpose::Status)],
        ),
        (MessageFilter { purposes: of, status: Some(Failed), ..MessageFilter::default() }, vec![]),
    ] {
        assert_eq!(listed(filter.clone()).await, expected, "{filter:?}");
        let counted: u64 = adapters.search.count(&acme, &filter).await.unwrap().values().sum();
        assert_eq!(counted, expected.len() as u64, "{filter:?}");
    }
    let counts = adapters.search.count(&acme, &MessageFilter::sent()).await.unwrap();
    assert_eq!(counts.values().sum::<u64>(), 1);
    crate::contracts::messages::message_search::are_counted(adapters, "acme").await;
}

async fn only_who_subscribed_is_told_and_only_of_what_was_asked_for(adapters: &Adapters) {
    let early = was_sent(adapters).await;
    let acme = tenant("acme");
    let failures = StatusSubscription { states: States::some(&[Failed]).unwrap(), ..subscription(acme.clone()) };
    let another = StatusSubscription { channel_instance_id: Some("another".to_owned()), ..subscription(acme) };
    let foreign = subscription(tenant("globex"));
    let of_hook = StatusSubscription { channel_instance_id: Some("hook".to_owned()), ..subscription(tenant("acme")) };
    for one in [&failures, &another, &foreign, &of_hook] {
        assert!(adapters.status_subscriptions.insert(one).await.unwrap());
    }
    is_said(adapters, &early, ReceiptStatus::Delivered, 20).await;
    let late = adapters.failed(message(Queued, node()), Some(at(10))).await;
    let told: Vec<_> = told_by(adapters).await.into_iter().map(|(of, to, status, _)| (of, to, status)).collect();
    assert_eq!(
        told,
        [(early.id, of_hook.id, Delivered), (late.id, failures.id, Failed), (late.id, of_hook.id, Failed)],
        "nobody had subscribed when the first was sent"
    );
}

async fn however_many_subscribe_each_is_told_once(adapters: &Adapters) {
    let mut subscriptions = Vec::new();
    for _ in 0..100 {
        subscriptions.push(subscribed(adapters).await.id);
    }
    let mut messages = Vec::new();
    for _ in 0..25 {
        messages.push(was_sent(adapters).await.id);
    }
    let told: Vec<_> = told_by(adapters).await.into_iter().map(|(of, to, ..)| (of, to)).collect();
    let expected: Vec<_> = messages.iter().flat_map(|of| subscriptions.iter().map(move |to| (*of, *to))).collect();
    assert_eq!(told, expected);
}

async fn of_processes_that_tell_at_the_same_time_one_does(adapters: &Adapters) {
    subscribed(adapters).await;
    let mut messages = Vec::new();
    for _ in 0..20 {
        messages.push(was_sent(adapters).await.id);
    }
    let both = join_all([0, 1, 0, 1].map(|process| told_by(adapters.of_process(process)))).await;
    let mut told: Vec<MessageId> = both.into_iter().flatten().map(|(of, ..)| of).collect();
    told.extend(told_by(adapters).await.into_iter().map(|(of, ..)| of));
    assert_eq!(told, messages);
}

async fn what_waits_for_a_subscription_goes_with_it(adapters: &Adapters) {
    let (gone, stays) = (subscribed(adapters).await, subscribed(adapters).await);
    let message = was_sent(adapters).await;
    let told = told_by(adapters).await;
    is_said(adapters, &message, ReceiptStatus::Delivered, 20).await;
    assert_eq!(told_by(adapters).await, []);
    assert!(adapters.status_subscriptions.delete(&gone.tenant, gone.id, at(40)).await.unwrap());
    are_taken(adapters, &told, sent).await;
    let next: Vec<_> = told_by(adapters).await.into_iter().map(|(_, to, status, _)| (to, status)).collect();
    assert_eq!(next, [(stays.id, Delivered)]);
}
