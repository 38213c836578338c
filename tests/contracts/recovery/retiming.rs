//! `DueMessages`, of what waits for a time that a wrong clock set.

use std::time::Duration;

use chrono::TimeDelta;
use correio::application::node::clock_watch::ClockStep;
use correio::application::ports::{Position, Retimed, Retiming};
use correio::domain::message::deferral::{Deferral, Deferred};
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, message, node};

on_every_adapter![
    what_a_process_waits_for_goes_along_with_its_clock,
    what_waits_goes_along_whatever_its_age,
    since_when_a_message_is_put_off_goes_along_and_the_time_of_its_sender_does_not,
    what_is_timed_anew_is_bounded_and_timed_once,
    what_was_due_when_it_was_written_is_called_in,
];

const HOUR: i64 = 3_600;

/// Written, and to be tried again, so many seconds after noon.
async fn waiting(adapters: &Adapters, owner: NodeId, written: i64, next: i64) -> MessageId {
    let waiting =
        Message { next_attempt_at: Some(at(next)), updated_at: at(written), ..message(MessageStatus::Queued, owner) };
    adapters.stored(waiting).await.id
}

async fn time(adapters: &Adapters, id: MessageId) -> i64 {
    let message = adapters.messages.find(id).await.unwrap().unwrap();
    (message.next_attempt_at.unwrap() - at(0)).num_seconds()
}

/// At noon the clock was set by so much.
fn set(process: NodeId, seconds: i64) -> Retiming {
    let by = TimeDelta::seconds(seconds);
    let step = ClockStep { by, now: at(0), passed: TimeDelta::seconds(1) };
    Retiming { process, by, since: step.since(), until: at(10), after: Position::default(), reach: 100, now: at(1) }
}

async fn what_waits_goes_along_whatever_its_age(adapters: &Adapters) {
    let process = adapters.live_node().await;
    for by in [-HOUR, HOUR] {
        let mut ids = Vec::new();
        for age in [10, 30 * 60, 90 * 60] {
            ids.push(waiting(adapters, process, -by - age, 3 * HOUR).await);
        }
        let since = [waiting(adapters, process, -1, 3 * HOUR).await, waiting(adapters, process, 1, 3 * HOUR).await];
        assert_eq!(adapters.due.retime(&set(process, by)).await.unwrap().written, 3, "{by}");
        for id in ids {
            assert_eq!(time(adapters, id).await, 3 * HOUR + by);
        }
        for id in since {
            assert_eq!(time(adapters, id).await, 3 * HOUR);
        }
    }
}

async fn since_when_a_message_is_put_off_goes_along_and_the_time_of_its_sender_does_not(adapters: &Adapters) {
    let process = adapters.live_node().await;
    // Scheduled, and put off when its time came, five minutes before the clock went back.
    let put_off = Message { send_at: Some(at(HOUR - 300)), ..message(MessageStatus::Queued, process) };
    let tried = Message { tries: 1, ..put_off.clone() };
    let tried = Message { id: message(MessageStatus::Queued, process).id, ..tried };
    let [put_off, tried] = [adapters.stored(put_off).await, adapters.stored(tried).await];
    for id in [put_off.id, tried.id] {
        let (pause, not_before, now) = (Some(Duration::ZERO), Some(at(HOUR + 60)), at(HOUR - 300));
        let reason = "later".to_owned();
        let deferral = Deferral { id, pause, is_paced: false, not_before, reason, is_undeliverable: true, now };
        assert_eq!(adapters.messages.defer(&deferral).await.unwrap(), Deferred::Until(at(HOUR + 60)));
    }
    assert_eq!(adapters.due.retime(&set(process, -HOUR)).await.unwrap().written, 2);
    assert_eq!([time(adapters, put_off.id).await, time(adapters, tried.id).await], [HOUR - 300, 60]);
    assert_eq!(adapters.now(&put_off).await.deferred_since, Some(at(-300)));
}

async fn what_a_process_waits_for_goes_along_with_its_clock(adapters: &Adapters) {
    let (first, other, later) = (adapters.live_node().await, adapters.live_node().await, node());
    adapters.nodes.register(later, first, Default::default(), at(0)).await.unwrap();
    let before = [waiting(adapters, first, HOUR - 5, HOUR).await, waiting(adapters, later, HOUR - 90, HOUR + 7).await];
    let after = waiting(adapters, first, 0, 30).await;
    let of_another = waiting(adapters, other, HOUR - 5, HOUR).await;
    let scheduled = Message {
        send_at: Some(at(2 * HOUR)),
        next_attempt_at: Some(at(2 * HOUR)),
        updated_at: at(HOUR - 5),
        ..message(MessageStatus::Queued, first)
    };
    let scheduled = adapters.stored(scheduled).await.id;
    let untimed = adapters.stored(message(MessageStatus::Queued, first)).await;

    assert_eq!(adapters.due.retime(&set(first, -HOUR)).await.unwrap().written, 2);
    assert_eq!([time(adapters, before[0]).await, time(adapters, before[1]).await], [0, 7]);
    assert_eq!([time(adapters, after).await, time(adapters, of_another).await], [30, HOUR]);
    assert_eq!(time(adapters, scheduled).await, 2 * HOUR);
    assert_eq!(adapters.now(&untimed).await.next_attempt_at, None);
    // Set ahead again, it goes along again.
    let ahead = Retiming { since: at(HOUR / 2), until: at(HOUR + 10), now: at(HOUR + 1), ..set(first, HOUR) };
    assert_eq!(adapters.due.retime(&ahead).await.unwrap().written, 3);
    assert_eq!([time(adapters, before[0]).await, time(adapters, after).await], [HOUR, HOUR + 30]);
    assert_eq!(time(adapters, scheduled).await, 2 * HOUR);
}

async fn what_is_timed_anew_is_bounded_and_timed_once(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(waiting(adapters, owner, HOUR - 5, HOUR + number).await);
    }
    let mut some = Retiming { reach: 2, ..set(owner, -HOUR) };
    for (written, is_end) in [(2, false), (2, false), (1, true)] {
        let retimed = adapters.due.retime(&some).await.unwrap();
        assert_eq!((retimed.written, retimed.next.is_none()), (written, is_end));
        some.after = retimed.next.unwrap_or_default();
    }
    assert_eq!(adapters.due.retime(&set(owner, -HOUR)).await.unwrap(), Retimed { written: 0, next: None });
    for (number, id) in (0..).zip(ids) {
        assert_eq!(time(adapters, id).await, number);
    }
}

async fn what_was_due_when_it_was_written_is_called_in(adapters: &Adapters) {
    let owner = node();
    let mut due = Vec::new();
    for number in 0..3 {
        due.push(waiting(adapters, owner, HOUR + number, HOUR + number).await);
    }
    let waits = waiting(adapters, owner, HOUR, HOUR + 5).await;
    let past = waiting(adapters, owner, -5, -5).await;
    for called_in in [2, 1, 0] {
        assert_eq!(adapters.due.call_in(at(0), 2).await.unwrap(), called_in);
    }
    for id in due {
        assert_eq!(time(adapters, id).await, 0);
    }
    assert_eq!([time(adapters, waits).await, time(adapters, past).await], [HOUR + 5, -5]);
}
