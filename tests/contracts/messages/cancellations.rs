use std::time::Duration;

use correio::application::ports::{Cancellation, Take};
use correio::domain::message::{Message, MessageStatus};
use futures::future::join_all;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, message, node, outcome, retry, sent, take, tenant};

on_every_adapter![
    a_message_that_waits_is_cancelled_and_delivered_by_nobody,
    what_is_under_way_or_has_ended_stays_as_it_is,
    one_that_is_cancelled_already_is_said_to_be_so_and_stays_as_it_is,
    a_foreign_message_is_like_none,
    of_a_claim_and_a_cancellation_at_once_one_wins,
    a_retry_and_a_cancellation_at_once_leave_it_cancelled_or_waiting,
];

async fn cancel(adapters: &Adapters, message: &Message, now: i64) -> Cancellation {
    adapters.cancellations.cancel(&message.tenant, message.id, Duration::ZERO, at(now)).await.unwrap()
}

async fn a_message_that_waits_is_cancelled_and_delivered_by_nobody(adapters: &Adapters) {
    let (owner, taker) = (adapters.live_node().await, adapters.live_node().await);
    for is_timed in [false, true] {
        let waiting = match is_timed {
            true => adapters.timed(owner, 60).await,
            false => adapters.open(MessageStatus::Queued, owner).await,
        };
        assert_eq!(cancel(adapters, &waiting, 50).await, Cancellation::Cancelled);
        let expected =
            Message { status: MessageStatus::Cancelled, next_attempt_at: None, updated_at: at(50), ..waiting.clone() };
        assert_eq!(format!("{:?}", adapters.now(&waiting).await), format!("{expected:?}"));
        assert!(adapters.messages.claim(waiting.id, owner, at(70)).await.unwrap().is_none());
        assert_eq!(adapters.due.make_due(&[(waiting.id, owner)], at(70)).await.unwrap(), 0);
        let everything = Take { gone: vec![owner], unconsumed: true, ..take(taker, 70) };
        assert_eq!(adapters.taken(&everything).await, []);
    }
}

async fn what_is_under_way_or_has_ended_stays_as_it_is(adapters: &Adapters) {
    let owner = node();
    let processing = adapters.open(MessageStatus::Processing, owner).await;
    let mut others = vec![adapters.open(MessageStatus::Pending, owner).await, processing.clone()];
    others.push(adapters.failed(message(MessageStatus::Queued, owner), Some(at(10))).await);
    for other in &others {
        assert_eq!(cancel(adapters, other, 50).await, Cancellation::NotQueued(other.status));
        assert_eq!(format!("{:?}", adapters.now(other).await), format!("{other:?}"));
    }
    assert!(adapters.messages.record(&outcome(&processing, sent())).await.unwrap());
    assert_eq!(cancel(adapters, &processing, 50).await, Cancellation::NotQueued(MessageStatus::Sent));
}

async fn one_that_is_cancelled_already_is_said_to_be_so_and_stays_as_it_is(adapters: &Adapters) {
    let waiting = adapters.open(MessageStatus::Queued, node()).await;
    for now in [50, 60] {
        assert_eq!(cancel(adapters, &waiting, now).await, Cancellation::Cancelled);
        assert_eq!(adapters.now(&waiting).await.updated_at, at(50));
    }
}

async fn a_foreign_message_is_like_none(adapters: &Adapters) {
    let waiting = adapters.open(MessageStatus::Queued, node()).await;
    let foreign = Message { tenant: tenant("globex"), ..waiting.clone() };
    assert_eq!(cancel(adapters, &foreign, 50).await, Cancellation::Unknown);
    assert_eq!(adapters.now(&waiting).await.status, MessageStatus::Queued);
    assert_eq!(cancel(adapters, &message(MessageStatus::Queued, node()), 50).await, Cancellation::Unknown);
}

async fn of_a_claim_and_a_cancellation_at_once_one_wins(adapters: &Adapters) {
    let owner = node();
    let one = async |_| {
        let waiting = adapters.open(MessageStatus::Queued, owner).await;
        let (claimed, cancelled) =
            futures::join!(adapters.messages.claim(waiting.id, owner, at(50)), cancel(adapters, &waiting, 50));
        let now = adapters.now(&waiting).await.status;
        match claimed.unwrap() {
            Some(_) => {
                assert_eq!(cancelled, Cancellation::NotQueued(MessageStatus::Processing));
                assert_eq!(now, MessageStatus::Processing);
            }
            None => assert_eq!((cancelled, now), (Cancellation::Cancelled, MessageStatus::Cancelled)),
        }
    };
    join_all((0..50).map(one)).await;
}

/// A message that becomes queued while its cancellation waits for the row.
async fn a_retry_and_a_cancellation_at_once_leave_it_cancelled_or_waiting(adapters: &Adapters) {
    let owner = node();
    let one = async |_| {
        let claimed = adapters.open(MessageStatus::Processing, owner).await;
        let outcome = outcome(&claimed, retry(60));
        let (recorded, cancelled) = futures::join!(adapters.messages.record(&outcome), cancel(adapters, &claimed, 50));
        assert!(recorded.unwrap());
        let now = adapters.now(&claimed).await.status;
        let expected = match cancelled {
            Cancellation::NotQueued(MessageStatus::Processing) => MessageStatus::Queued,
            Cancellation::Cancelled => MessageStatus::Cancelled,
            other => panic!("{other:?}"),
        };
        assert_eq!(now, expected);
    };
    join_all((0..50).map(one)).await;
}
