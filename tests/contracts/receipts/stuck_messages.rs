use chrono::TimeDelta;
use correio::application::ports::{MessageFilter, Outcome};
use correio::domain::Timestamp;
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::{Instance, InstanceId};
use correio::domain::message::delivery::Acceptance;
use correio::domain::message::retry::NextStep;
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::domain::receipt::{ReceiptStatus, StuckOfInstance, StuckSince};
use uuid::Uuid;

use super::{named, received};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, instance, message_of, node, outcome, tenant};

on_every_adapter![
    what_was_sent_long_ago_without_a_receipt_is_counted_by_instance,
    an_instance_of_which_no_receipt_came_since_says_since_when,
    what_is_stuck_in_weeks_that_are_over_is_counted_too,
    a_list_of_what_is_stuck_has_nothing_else,
];

const EVOLUTION: &str = "whatsapp_evolution";
const META: &str = "whatsapp_oficial";
const WEEK: i64 = 7 * 24 * 60 * 60;

async fn an_instance(adapters: &Adapters, channel: &str, name: &str) -> Instance {
    let mut instance = instance("acme", name);
    instance.channel = ChannelName::new(channel);
    adapters.instances.insert(&instance).await.unwrap();
    instance
}

/// Accepted a second before.
async fn sent(adapters: &Adapters, instance: &Instance, name: &str, seconds: i64) -> Message {
    sent_to(adapters, instance, "5585999999999", name, seconds).await
}

async fn sent_to(adapters: &Adapters, instance: &Instance, recipient: &str, name: &str, seconds: i64) -> Message {
    let accepted_at = at(seconds - 1);
    let message = message_of(instance, MessageStatus::Pending, node());
    let time = u128::from(accepted_at.timestamp_millis().cast_unsigned()) << 80;
    let id = MessageId(Uuid::from_u128(time | (message.id.0.as_u128() & ((1 << 80) - 1))));
    let message =
        adapters.stored(Message { id, recipient: recipient.to_owned(), created_at: accepted_at, ..message }).await;
    let taken = NextStep::Sent(Acceptance { channel_message_id: Some(name.to_owned()), http_status: Some(200) });
    let outcome = Outcome { finished_at: at(seconds), started_at: accepted_at, ..outcome(&message, taken) };
    assert!(adapters.messages.record(&outcome).await.unwrap());
    message
}

/// Ten minutes before, and an hour before.
fn rule(now: Timestamp) -> [StuckSince; 2] {
    let before = |channel: &str, minutes: i64| StuckSince {
        channel: ChannelName::new(channel),
        sent_before: now - TimeDelta::minutes(minutes),
    };
    [before(EVOLUTION, 10), before(META, 60)]
}

async fn counted(adapters: &Adapters, seconds: i64) -> Vec<StuckOfInstance> {
    let mut counted = adapters.stuck.count(&rule(at(seconds)), at(seconds)).await.unwrap();
    counted.sort_by_key(|stuck| stuck.instance);
    counted
}

async fn counts(adapters: &Adapters, seconds: i64) -> Vec<(InstanceId, u64)> {
    counted(adapters, seconds).await.into_iter().map(|stuck| (stuck.instance, stuck.count)).collect()
}

async fn what_was_sent_long_ago_without_a_receipt_is_counted_by_instance(adapters: &Adapters) {
    let shop = an_instance(adapters, EVOLUTION, "shop").await;
    let bank = an_instance(adapters, META, "bank").await;
    let hook = an_instance(adapters, "webhook", "hook").await;
    let first = sent(adapters, &shop, "A", 0).await;
    sent(adapters, &shop, "B", 30).await;
    sent(adapters, &bank, "A", 0).await;
    sent(adapters, &hook, "A", 0).await;
    for group in ["120363000000000000@g.us", "5585999999999-1425588888"] {
        sent_to(adapters, &shop, group, group, 0).await;
    }
    let failed = sent(adapters, &shop, "C", 0).await;
    received(adapters, &named(&failed, "C"), ReceiptStatus::Failed, 5).await;

    assert_eq!(counts(adapters, 600).await, [], "not longer than ten minutes");
    assert_eq!(counts(adapters, 601).await, [(shop.id, 1)]);
    assert_eq!(counts(adapters, 631).await, [(shop.id, 2)]);
    assert_eq!(counts(adapters, 3_601).await, [(shop.id, 2), (bank.id, 1)]);
    received(adapters, &named(&first, "A"), ReceiptStatus::Sent, 3_602).await;
    assert_eq!(counts(adapters, 3_602).await, [(shop.id, 2), (bank.id, 1)], "that was known");
    received(adapters, &named(&first, "A"), ReceiptStatus::Delivered, 3_603).await;
    assert_eq!(counts(adapters, 3_603).await, [(shop.id, 1), (bank.id, 1)]);
    assert!(adapters.instances.delete(&tenant("acme"), bank.id, at(3_604)).await.unwrap());
    assert_eq!(counts(adapters, 3_604).await, [(shop.id, 1)]);
    assert_eq!(adapters.stuck.count(&[], at(3_604)).await.unwrap(), []);
}

async fn an_instance_of_which_no_receipt_came_since_says_since_when(adapters: &Adapters) {
    let shop = an_instance(adapters, EVOLUTION, "shop").await;
    sent(adapters, &shop, "A", 0).await;
    sent(adapters, &shop, "B", 60).await;
    let since = async |seconds| counted(adapters, seconds).await[0].none_since;
    assert_eq!(since(700).await, Some(at(0)), "there was none ever");
    let other = InstanceId(crate::support::given::id());
    adapters.stuck.note_receipts(&[(shop.id, at(30)), (other, at(600))]).await.unwrap();
    assert_eq!(since(700).await, Some(at(60)), "none since that came");
    adapters.stuck.note_receipts(&[(shop.id, at(90)), (shop.id, at(80))]).await.unwrap();
    adapters.stuck.note_receipts(&[(shop.id, at(10))]).await.unwrap();
    assert_eq!(since(700).await, None);
    sent(adapters, &shop, "C", 100).await;
    assert_eq!(since(700).await, None, "it is not stuck yet");
    assert_eq!(since(701).await, Some(at(100)));
}

async fn what_is_stuck_in_weeks_that_are_over_is_counted_too(adapters: &Adapters) {
    let shop = an_instance(adapters, EVOLUTION, "shop").await;
    for week in [0, 6, 12, 18, 24] {
        adapters.storage.maintain(at(week * WEEK)).await.unwrap();
    }
    let mut expected = 0;
    for week in [-3, 0, 1, 9, 20, 22, 23, 24] {
        sent(adapters, &shop, &format!("of week {week}"), week * WEEK).await;
        expected += 1;
    }
    let now = 24 * WEEK + 3_600;
    assert_eq!(counts(adapters, now).await, [(shop.id, expected)]);
    sent(adapters, &shop, "a later one", 24 * WEEK + 60).await;
    assert_eq!(counts(adapters, now).await, [(shop.id, expected + 1)], "the last weeks are counted each time");
    assert_eq!(counted(adapters, now).await[0].none_since, Some(at(-3 * WEEK)));
}

async fn a_list_of_what_is_stuck_has_nothing_else(adapters: &Adapters) {
    let shop = an_instance(adapters, EVOLUTION, "shop").await;
    let other = an_instance(adapters, EVOLUTION, "other").await;
    let bank = an_instance(adapters, META, "bank").await;
    let hook = an_instance(adapters, "webhook", "hook").await;
    for week in [0, 6, 12] {
        adapters.storage.maintain(at(week * WEEK)).await.unwrap();
    }
    let mut stuck = Vec::new();
    for (name, of, seconds) in
        [("A", &shop, -20 * WEEK), ("B", &other, 0), ("C", &bank, 1), ("D", &shop, 9 * WEEK), ("E", &shop, 12 * WEEK)]
    {
        stuck.insert(0, sent(adapters, of, name, seconds).await);
    }
    for of in [&hook, &shop, &bank] {
        let delivered = sent(adapters, of, "delivered", 12 * WEEK).await;
        received(adapters, &named(&delivered, "delivered"), ReceiptStatus::Read, 12 * WEEK).await;
    }
    sent(adapters, &hook, "F", 0).await;
    sent(adapters, &bank, "G", 12 * WEEK).await;
    sent(adapters, &shop, "H", 12 * WEEK + 601).await;

    let since = rule(at(12 * WEEK + 1_200)).to_vec();
    let all = MessageFilter { status: Some(MessageStatus::Sent), stuck: Some(since), ..MessageFilter::default() };
    let of = |name: &str| MessageFilter { channel_instance_id: Some(name.to_owned()), ..all.clone() };
    let on = |channel: &str| MessageFilter { channel: Some(ChannelName::new(channel)), ..all.clone() };
    let recipient = |name: &str| MessageFilter { recipient: Some(name.to_owned()), ..all.clone() };
    for (filter, expected) in [
        (all.clone(), "EDCBA"),
        (of("shop"), "EDA"),
        (of("hook"), ""),
        (on(META), "C"),
        (on(EVOLUTION), "EDBA"),
        (recipient("5585999999999"), "EDCBA"),
        (recipient("55"), ""),
        (MessageFilter { created_after: Some(at(0)), ..all.clone() }, "EDC"),
        (MessageFilter { created_before: Some(at(0)), ..of("shop") }, "A"),
    ] {
        let (mut seen, mut before) = (String::new(), None);
        loop {
            let page = adapters.search.list(&tenant("acme"), &filter, before, 2).await.unwrap();
            before = page.messages.last().map(|message| message.id);
            seen.extend(page.messages.iter().filter_map(|message| message.channel_message_id.clone()));
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, expected, "{filter:?}");
        let counted = adapters.search.count(&tenant("acme"), &filter).await.unwrap();
        assert_eq!(counted.values().sum::<u64>(), expected.len() as u64, "{filter:?}");
        assert!(adapters.search.list(&tenant("globex"), &filter, None, 2).await.unwrap().messages.is_empty());
    }
}
