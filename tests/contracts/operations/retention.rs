//! What is old and at an end is deleted; everything else stays.

use std::time::Duration;

use correio::application::ports::{Cancellation, Replay};
use correio::domain::Timestamp;
use correio::domain::message::{Message, MessageId, MessageStatus};
use futures::future::join_all;
use uuid::Uuid;

use crate::contracts::messages::message_search::are_counted;
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, message, node, outcome, retry, sent};

on_every_adapter![
    what_is_older_than_the_retention_is_deleted_with_its_attempts,
    what_lies_in_no_week_is_deleted_as_well,
    what_is_open_or_owes_a_dead_letter_stays,
    what_is_cancelled_goes_too,
    a_deleted_message_is_unknown,
    several_processes_may_delete_at_once,
];

const RETENTION: Duration = Duration::from_secs(90 * 24 * 60 * 60);

const OLD: &str = "2020-01-08T12:00:00Z";
const YOUNG: &str = "2020-05-20T12:00:00Z";

fn now() -> Timestamp {
    "2020-06-01T00:00:00Z".parse().unwrap()
}

/// A message that was accepted then.
pub fn accepted(time: &str, status: MessageStatus) -> Message {
    let time: Timestamp = time.parse().unwrap();
    let random = Uuid::new_v4().as_u128() & ((1 << 62) - 1);
    let id = (u128::from(time.timestamp_millis().unsigned_abs()) << 80) | (7 << 76) | (2 << 62) | random;
    Message { id: MessageId(Uuid::from_u128(id)), created_at: time, ..message(status, node()) }
}

/// Until there is no more to delete.
async fn delete(adapters: &Adapters) {
    while adapters.storage.delete_history(RETENTION, now()).await.unwrap() {}
    are_counted(adapters, "acme").await;
    adapters.storage.overhaul(now()).await.unwrap();
    are_counted(adapters, "acme").await;
}

/// Room for messages that are that old, where they are stored by weeks.
async fn make_weeks(adapters: &Adapters) {
    for time in [OLD, YOUNG] {
        adapters.storage.maintain(time.parse().unwrap()).await.unwrap();
    }
}

async fn is_there(adapters: &Adapters, message: &Message) -> bool {
    adapters.messages.find(message.id).await.unwrap().is_some()
}

async fn what_is_older_than_the_retention_is_deleted_with_its_attempts(adapters: &Adapters) {
    make_weeks(adapters).await;
    the_old_goes_and_the_young_stays(adapters).await;
}

async fn what_lies_in_no_week_is_deleted_as_well(adapters: &Adapters) {
    the_old_goes_and_the_young_stays(adapters).await;
}

async fn the_old_goes_and_the_young_stays(adapters: &Adapters) {
    let mut old = Vec::new();
    for _ in 0..3 {
        old.push(adapters.failed(accepted(OLD, MessageStatus::Queued), Some(at(10))).await);
    }
    let young = adapters.failed(accepted(YOUNG, MessageStatus::Queued), Some(at(10))).await;
    delete(adapters).await;
    for message in &old {
        assert!(!is_there(adapters, message).await);
        // Its attempts would be seen again.
        adapters.messages.accept(message, None).await.unwrap();
        let (_, attempts) = adapters.search.find(&message.tenant, message.id).await.unwrap().unwrap();
        assert!(attempts.is_empty(), "{attempts:?}");
    }
    let (found, attempts) = adapters.search.find(&young.tenant, young.id).await.unwrap().unwrap();
    assert_eq!((found.status, attempts.len()), (MessageStatus::Failed, 1));
}

async fn what_is_open_or_owes_a_dead_letter_stays(adapters: &Adapters) {
    make_weeks(adapters).await;
    let queued = || accepted(OLD, MessageStatus::Queued);
    let mut open = vec![
        adapters.stored(accepted(OLD, MessageStatus::Pending)).await,
        adapters.stored(queued()).await,
        adapters.failed(queued(), None).await,
    ];
    for waits in [false, true] {
        let message = adapters.stored(queued()).await;
        let claimed = adapters.messages.claim(message.id, message.node.unwrap(), at(1)).await.unwrap().unwrap().message;
        if waits {
            assert!(adapters.messages.record(&outcome(&claimed, retry(20))).await.unwrap());
        }
        open.push(adapters.now(&message).await);
    }
    delete(adapters).await;
    for message in &open {
        let found = adapters.now(message).await;
        assert_eq!((found.guard(), found.next_attempt_at), (message.guard(), message.next_attempt_at));
    }
    // Their ends are recorded, and then they can go.
    for message in open.iter().filter(|message| message.status == MessageStatus::Failed) {
        assert!(adapters.owed_dead_letters.mark_paid(message.id, message.try_number, at(20)).await.unwrap());
    }
    for message in open.iter().filter(|message| message.status == MessageStatus::Processing) {
        assert!(adapters.messages.record(&outcome(message, sent())).await.unwrap());
    }
    delete(adapters).await;
    assert!(is_there(adapters, &open[0]).await, "it is pending");
}

async fn what_is_cancelled_goes_too(adapters: &Adapters) {
    make_weeks(adapters).await;
    let message = adapters.stored(accepted(OLD, MessageStatus::Queued)).await;
    adapters.cancellations.cancel(&message.tenant, message.id, Duration::ZERO, at(1)).await.unwrap();
    delete(adapters).await;
    assert!(!is_there(adapters, &message).await);
}

async fn a_deleted_message_is_unknown(adapters: &Adapters) {
    make_weeks(adapters).await;
    let message = adapters.failed(accepted(OLD, MessageStatus::Queued), Some(at(10))).await;
    delete(adapters).await;
    assert_eq!(adapters.failed.replay(&message.tenant, message.id, now()).await.unwrap(), Replay::Unknown);
    let cancelled = adapters.cancellations.cancel(&message.tenant, message.id, Duration::ZERO, now()).await.unwrap();
    assert_eq!(cancelled, Cancellation::Unknown);
    assert!(adapters.messages.claim(message.id, node(), now()).await.unwrap().is_none());
    let processing = Message { status: MessageStatus::Processing, ..message };
    assert!(!adapters.messages.record(&outcome(&processing, sent())).await.unwrap());
}

async fn several_processes_may_delete_at_once(adapters: &Adapters) {
    make_weeks(adapters).await;
    let old = adapters.failed(accepted(OLD, MessageStatus::Queued), Some(at(10))).await;
    join_all((0..4).map(|_| delete(adapters))).await;
    assert!(!is_there(adapters, &old).await);
}
