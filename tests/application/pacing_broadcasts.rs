//! Broadcasts with a rate: how many messages are made, for which times, whatever happens to the broadcast and to the clock.

use std::time::Duration;

use chrono::TimeDelta;
use correio::application::Stop;
use correio::application::broadcasts::send_broadcast::{SendBroadcastCommand, To};
use correio::application::ports::{BroadcastChange, Clock};
use correio::application::service::Repeated;
use correio::domain::Timestamp;
use correio::domain::broadcast::recipient::BroadcastRecipient;
use correio::domain::broadcast::{Broadcast, BroadcastDraft};
use correio::domain::instance::InstanceName;
use correio::domain::message::{Content, MessageId};
use futures::FutureExt;

use super::gateway::TestGateway;
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;

on_every_adapter![
    messages_are_made_half_a_minute_ahead_of_their_slots,
    a_broadcast_that_was_paused_goes_on_at_its_rate,
    no_more_are_made_than_a_minutes_worth_while_none_is_sent,
    what_fails_before_it_is_sent_has_no_slot,
    a_clock_that_is_set_back_does_not_hold_it_up,
];

async fn sent(gateway: &TestGateway, rate: u32, recipients: Vec<BroadcastRecipient>) -> Broadcast {
    let name = InstanceName::parse(gateway.instance.channel_instance_id.clone()).unwrap();
    let command = SendBroadcastCommand {
        instance: Some((gateway.instance.channel.clone(), name)),
        to: To::Listed(recipients),
        draft: BroadcastDraft {
            group: None,
            content: Content { text: Some("Olá, {{nome}}".to_owned()), ..Content::default() },
            is_template: true,
            max_tries: None,
            priority: None,
            rate_per_minute: Some(rate),
            send_at: None,
        },
        request: None,
    };
    gateway.broadcasts.send.execute(&gateway.caller(), command).await.unwrap().standing.broadcast
}

fn recipients(count: usize) -> Vec<BroadcastRecipient> {
    let variables = [("nome".to_owned(), "Ana".to_owned())];
    (0..count).map(|it| BroadcastRecipient { address: it.to_string(), variables: variables.clone().into() }).collect()
}

/// One round of those who make messages.
async fn make(gateway: &TestGateway) {
    let never: Stop = std::future::pending().boxed().shared();
    gateway.expand_broadcasts().round(&never).await.unwrap();
}

/// Lets so many seconds pass, with heartbeats.
async fn pass(gateway: &TestGateway, seconds: u64) {
    for _ in 0..seconds {
        gateway.clock.advance(Duration::from_secs(1));
        gateway.keep_node_alive.beat().await.unwrap();
    }
}

/// The times of its messages, in the order of its recipients; none: of one that has failed.
async fn slots(adapters: &Adapters, broadcast: &Broadcast) -> Vec<Option<Timestamp>> {
    let (mut slots, mut after) = (Vec::new(), None::<MessageId>);
    loop {
        let listed = adapters.broadcasts.messages(broadcast, after, 1_000).await.unwrap();
        slots.extend(listed.messages.iter().map(|message| message.next_attempt_at));
        after = listed.messages.last().map(|message| message.id);
        if !listed.more {
            return slots;
        }
    }
}

/// So many seconds after the beginning of the test.
fn seconds(begun: Timestamp, after: &[i64]) -> Vec<Option<Timestamp>> {
    after.iter().map(|it| Some(begun + TimeDelta::seconds(*it))).collect()
}

async fn change(gateway: &TestGateway, broadcast: &Broadcast, change: BroadcastChange) {
    gateway.broadcasts.change.execute(&gateway.caller(), Some(broadcast.id), change).await.unwrap();
}

async fn messages_are_made_half_a_minute_ahead_of_their_slots(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let (begun, broadcast) = (gateway.clock.now(), sent(&gateway, 12, recipients(20)).await);
    make(&gateway).await;
    make(&gateway).await;
    let first = [0, 5, 10, 15, 20, 25, 30];
    assert_eq!(slots(adapters, &broadcast).await, seconds(begun, &first));
    pass(&gateway, 19).await;
    make(&gateway).await;
    assert_eq!(slots(adapters, &broadcast).await.len(), 7, "the next slot is 16 s away");
    pass(&gateway, 1).await;
    make(&gateway).await;
    assert_eq!(slots(adapters, &broadcast).await, seconds(begun, &[first.as_slice(), &[35, 40, 45, 50]].concat()));
}

async fn a_broadcast_that_was_paused_goes_on_at_its_rate(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let (begun, broadcast) = (gateway.clock.now(), sent(&gateway, 3, recipients(20)).await);
    make(&gateway).await;
    assert_eq!(slots(adapters, &broadcast).await, seconds(begun, &[0, 20]));
    for _ in 0..3 {
        change(&gateway, &broadcast, BroadcastChange::Pause).await;
        change(&gateway, &broadcast, BroadcastChange::Resume).await;
        make(&gateway).await;
    }
    assert_eq!(slots(adapters, &broadcast).await.len(), 2, "its next slot is where it was");
    change(&gateway, &broadcast, BroadcastChange::Pause).await;
    pass(&gateway, 600).await;
    make(&gateway).await;
    change(&gateway, &broadcast, BroadcastChange::Resume).await;
    make(&gateway).await;
    assert_eq!(slots(adapters, &broadcast).await, seconds(begun, &[0, 20, 600, 620]), "what it missed is lost");
}

async fn no_more_are_made_than_a_minutes_worth_while_none_is_sent(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let broadcast = sent(&gateway, 60, recipients(500)).await;
    for _ in 0..10 {
        make(&gateway).await;
        pass(&gateway, 20).await;
    }
    let made = slots(adapters, &broadcast).await.len();
    assert!((30..=60).contains(&made), "{made}");
}

async fn what_fails_before_it_is_sent_has_no_slot(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let mut recipients = recipients(6);
    for nameless in [1, 2] {
        recipients[nameless].variables.clear();
    }
    let (begun, broadcast) = (gateway.clock.now(), sent(&gateway, 12, recipients).await);
    make(&gateway).await;
    let [first, second, third, fourth] = [0, 5, 10, 15].map(|it| Some(begun + TimeDelta::seconds(it)));
    assert_eq!(slots(adapters, &broadcast).await, [first, None, None, second, third, fourth]);
}

async fn a_clock_that_is_set_back_does_not_hold_it_up(adapters: &Adapters) {
    let gateway = TestGateway::start(adapters).await;
    let (begun, broadcast) = (gateway.clock.now(), sent(&gateway, 3, recipients(20)).await);
    make(&gateway).await;
    gateway.clock.set_by(-3_600);
    make(&gateway).await;
    make(&gateway).await;
    let behind = -3_600 + 30 + 20;
    assert_eq!(slots(adapters, &broadcast).await, seconds(begun, &[0, 20, behind]), "behind what was made");
    pass(&gateway, 60).await;
    make(&gateway).await;
    assert_eq!(slots(adapters, &broadcast).await, seconds(begun, &[0, 20, behind, behind + 20, behind + 40]));
}
