//! Putting messages off.

use correio::application::ports::{Forgotten, Outcome, Take};
use correio::domain::message::deferral::{Deferral, Deferred, MAX_DEFERRALS};
use correio::domain::message::{Guard, MessageId, MessageStatus};

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, deferral, failed, id, node, outcome, put_off, retry, sent, take, without_place};

on_every_adapter![
    a_message_is_put_off_as_long_as_it_may_and_says_why,
    since_when_no_process_can_deliver_a_message_is_kept_until_a_try,
    of_many_that_are_put_off_at_once_each_gets_its_own_answer,
    what_was_sent_by_its_first_try_is_sent_although_it_was_put_off_since,
    a_try_that_was_not_made_is_not_spent,
    what_is_claimed_to_be_put_off_waits_for_its_place_and_is_not_undeliverable,
];

/// Somebody else took it for unclaimed, and put it off.
async fn what_was_sent_by_its_first_try_is_sent_although_it_was_put_off_since(adapters: &Adapters) {
    let owner = node();
    for (next, holds) in [(sent(), true), (retry(60), false), (failed(), false)] {
        let queued = adapters.open(MessageStatus::Queued, owner).await;
        let Deferred::Until(_) = adapters.messages.defer(&deferral(queued.id, 7)).await.unwrap() else { panic!() };
        let guard = Guard { status: MessageStatus::Processing, node: Some(node()), try_number: 1, id: queued.id };
        let outcome = Outcome { guard, ..outcome(&queued, next) };
        assert_eq!(adapters.messages.record(&outcome).await.unwrap(), holds);
        let now = adapters.now(&queued).await;
        let expected = if holds { (MessageStatus::Sent, None) } else { (MessageStatus::Queued, Some(at(12))) };
        assert_eq!((now.status, now.next_attempt_at), expected);
    }
}

async fn a_message_is_put_off_as_long_as_it_may_and_says_why(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let queued = adapters.open(MessageStatus::Queued, owner).await;
    let taker = adapters.live_node().await;
    for times in 0..MAX_DEFERRALS {
        let asked = Deferral { not_before: (times == 1).then(|| at(100)), ..deferral(queued.id, 1_000_000) };
        let expected = asked.until(times);
        assert_eq!(adapters.messages.defer(&asked).await.unwrap(), Deferred::Until(expected));
        assert_eq!(adapters.messages.defer(&asked).await.unwrap(), Deferred::Nothing, "it waits for its time");
        let now = adapters.now(&queued).await;
        assert_eq!((now.status, now.node, now.tries, now.try_number), (MessageStatus::Queued, queued.node, 0, 0));
        assert_eq!((now.next_attempt_at, now.deferrals), (Some(expected), times + 1));
        assert_eq!(
            (now.error.as_deref(), now.deferred_since),
            (Some("too many at once"), None),
            "it waits for a place"
        );
        assert_eq!(adapters.taken(&Take { now: expected, ..take(taker, 0) }).await, [queued.id]);
        // Whoever owned it.
        adapters.taken(&Take { gone: vec![taker], ..take(owner, 0) }).await;
    }
    assert_eq!(adapters.messages.defer(&deferral(queued.id, 1)).await.unwrap(), Deferred::TooOften);
    assert_eq!(adapters.messages.defer(&deferral(MessageId(id()), 1)).await.unwrap(), Deferred::Nothing);
    assert!(adapters.messages.claim(queued.id, owner, at(9)).await.unwrap().is_some());
}

async fn since_when_no_process_can_deliver_a_message_is_kept_until_a_try(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let queued = adapters.open(MessageStatus::Queued, owner).await;
    let mut since = None;
    for (moment, is_undeliverable) in [(5, false), (20, true), (40, false), (60, true)] {
        let asked = Deferral { is_undeliverable, now: at(moment), ..deferral(queued.id, 1) };
        let Deferred::Until(back_at) = adapters.messages.defer(&asked).await.unwrap() else { panic!() };
        since = since.or(is_undeliverable.then(|| at(moment)));
        assert_eq!(adapters.now(&queued).await.deferred_since, since);
        assert_eq!(adapters.taken(&Take { now: back_at, ..take(owner, 0) }).await, [queued.id]);
    }
}

async fn of_many_that_are_put_off_at_once_each_gets_its_own_answer(adapters: &Adapters) {
    let owner = node();
    let mut asked = Vec::new();
    for number in 0..40 {
        let status = if number % 2 == 0 { MessageStatus::Queued } else { MessageStatus::Processing };
        asked.push((number, adapters.open(status, owner).await));
    }
    let answers = asked.iter().map(async |(number, message)| {
        let answer = adapters.messages.defer(&deferral(message.id, *number)).await.unwrap();
        let until = deferral(message.id, *number).until(0);
        let expected = if number % 2 == 0 { Deferred::Until(until) } else { Deferred::Nothing };
        assert_eq!(answer, expected, "{number}");
    });
    futures::future::join_all(answers).await;
}

async fn a_try_that_was_not_made_is_not_spent(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let claimed = adapters.open(MessageStatus::Processing, owner).await;
    assert!(adapters.messages.record(&outcome(&claimed, put_off(60))).await.unwrap());
    let now = adapters.now(&claimed).await;
    assert_eq!((now.status, now.tries, now.try_number, now.deferrals), (MessageStatus::Queued, 0, 1, 1));
    assert_eq!((now.next_attempt_at, now.deferred_since), (Some(at(60)), Some(at(10))));

    let claimed = adapters.open(MessageStatus::Processing, owner).await;
    let forgotten = Forgotten { guard: claimed.guard(), is_spent: false };
    assert_eq!(adapters.due.give_back(&[forgotten], at(20)).await.unwrap(), 1);
    let now = adapters.now(&claimed).await;
    assert_eq!((now.status, now.tries, now.try_number), (MessageStatus::Queued, 0, 1));
}

async fn what_is_claimed_to_be_put_off_waits_for_its_place_and_is_not_undeliverable(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let mut message = adapters.open(MessageStatus::Processing, owner).await;
    let mut since = None;
    for (step, back_at) in [(without_place(60), 60), (put_off(120), 120), (without_place(180), 180)] {
        let is_undeliverable = back_at == 120;
        assert!(adapters.messages.record(&outcome(&message, step)).await.unwrap());
        let now = adapters.now(&message).await;
        since = since.or(is_undeliverable.then_some(at(10)));
        assert_eq!((now.tries, now.next_attempt_at, now.deferred_since), (0, Some(at(back_at)), since));
        assert_eq!(adapters.taken(&Take { now: at(back_at), ..take(owner, 0) }).await, [message.id]);
        message = adapters.messages.claim(message.id, owner, at(back_at)).await.unwrap().unwrap().message;
    }
    // A claim that a crash took back, and this outcome in one.
    let queued = adapters.open(MessageStatus::Queued, owner).await;
    let guard = Guard { status: MessageStatus::Processing, node: Some(owner), try_number: 1, id: queued.id };
    let outcome = Outcome { guard, ..outcome(&queued, without_place(60)) };
    assert!(adapters.messages.record(&outcome).await.unwrap());
    assert_eq!(adapters.now(&queued).await.deferred_since, None);
}
