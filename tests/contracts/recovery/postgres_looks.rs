//! What the relay's looks read of a table of many weeks, and that nothing that is to be done there is missed for long.

use std::time::Duration;

use correio::application::ports::{Outcome, Position, Replay, Stores, Take};
use correio::domain::Timestamp;
use correio::domain::instance::InstanceId;
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use correio::infrastructure::storage::postgres::PgDatabase;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;

use crate::support::databases::{Adapters, FreshPostgres};
use crate::support::eventually::{SOON, eventually};
use crate::support::given::{at, failed, message, outcome, sent, take};

/// Weeks before that of noon of which there are partitions: three years.
const WEEKS: i64 = 160;

/// Long ago, among those weeks.
const OLD: i64 = 100;

/// An installation that is three years old, as two processes have it.
struct Installation {
    here: Adapters,
    there: Stores,
    connection: PgConnection,
    taker: NodeId,
}

async fn installation() -> Option<Installation> {
    let fresh = FreshPostgres::create().await?;
    let database = PgDatabase::connect_with(fresh.options()).await.unwrap();
    database.migrate().await.unwrap();
    let mut connection = PgConnection::connect_with(&fresh.options()).await.unwrap();
    for weeks in 1..=WEEKS {
        let create = format!(
            "create table {} partition of messaging_messages for values from ('{}') to ('{}')",
            week(weeks),
            first_id(monday(weeks)),
            first_id(monday(weeks - 1))
        );
        sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
    }
    let there = PgDatabase::connect_with(fresh.options()).await.unwrap().stores();
    let here = Adapters::new(database.stores(), fresh);
    let taker = here.live_node().await;
    Some(Installation { here, there, connection, taker })
}

fn week(weeks_ago: i64) -> String {
    format!("messaging_messages_{weeks_ago}_weeks_ago")
}

/// The one of the week that is so many before that of noon.
fn monday(weeks_ago: i64) -> Timestamp {
    at(-12 * 60 * 60) - chrono::Duration::weeks(weeks_ago)
}

fn first_id(time: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(time.timestamp_millis().cast_unsigned()) << 80)
}

impl Installation {
    fn look(&self) -> Take {
        take(self.taker, 1_000)
    }

    /// One that was accepted at that time.
    fn accepted(&self, time: Timestamp) -> Message {
        let id = Uuid::from_u128(first_id(time).as_u128() | Uuid::new_v4().as_u128() >> 48);
        Message { id: MessageId(id), created_at: time, ..message(MessageStatus::Queued, self.taker) }
    }

    /// One of a week long ago that has failed.
    async fn failed(&self, dead_lettered_at: Option<Timestamp>) -> Message {
        let message = self.here.stored(self.accepted(monday(OLD))).await;
        let claimed = self.there.messages.claim(message.id, self.taker, at(1)).await.unwrap().unwrap().message;
        let outcome = Outcome { dead_lettered_at, ..outcome(&claimed, failed()) };
        assert!(self.there.messages.record(&outcome).await.unwrap());
        claimed
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_does_not_wait_for_an_old_week_that_holds_nothing() {
    let Some(mut installation) = installation().await else { return };
    assert_eq!(installation.here.taken(&installation.look()).await, []);
    let mut holding = installation.connection.begin().await.unwrap();
    let lock = format!("lock table {} in access exclusive mode", week(OLD));
    sqlx::query(AssertSqlSafe(lock)).execute(&mut *holding).await.unwrap();
    let (here, taker) = (&installation.here, installation.taker);
    let looks = async {
        let look = Take { unconsumed: true, lost_before: Some(at(900)), ..take(taker, 1_000) };
        assert_eq!(here.taken(&look).await, []);
        assert_eq!(here.due.in_delivery(&[taker]).await.unwrap(), []);
        assert!(here.owed_dead_letters.owed(taker, Some(&[taker]), &[], 10).await.unwrap().is_empty());
        assert_eq!(here.owed_dead_letters.write_off(&[], 10, at(1_000)).await.unwrap(), 0);
        let (mut place, deleted) = (Some(Position::default()), [InstanceId(Uuid::nil())]);
        while let Some(after) = place {
            place = here.deleted_instances.open_messages(&deleted, &after, 10).await.unwrap().next;
        }
    };
    timeout(Duration::from_secs(5), looks).await.expect("a look waits for a week in which nothing is to be done");
    holding.rollback().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_this_process_replays_in_an_old_week_is_taken_by_its_next_look() {
    let Some(installation) = installation().await else { return };
    let (here, look) = (&installation.here, installation.look());
    for matching in [false, true] {
        let failed = installation.failed(Some(at(10))).await;
        assert_eq!(here.taken(&look).await, []);
        if matching {
            assert_eq!(here.failed.replay_matching(&Default::default(), None, 10, at(50)).await.unwrap().count, 1);
        } else {
            assert_eq!(here.failed.replay(&failed.tenant, failed.id, at(50)).await.unwrap(), Replay::Queued);
        }
        assert_eq!(here.taken(&look).await, [failed.id]);
        // As long as it is open, no look and no comparison passes it over.
        let claimed = here.messages.claim(failed.id, installation.taker, at(1_001)).await.unwrap().unwrap().message;
        assert_eq!(here.taken(&look).await, []);
        assert_eq!(here.due.in_delivery(&[installation.taker]).await.unwrap(), [claimed.guard()]);
        assert!(here.messages.record(&outcome(&claimed, sent())).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_replays_in_an_old_week_is_taken_soon() {
    let Some(installation) = installation().await else { return };
    let failed = installation.failed(Some(at(10))).await;
    let (here, there, look) = (&installation.here, &installation.there, installation.look());
    assert_eq!(here.taken(&look).await, []);
    assert_eq!(there.failed.replay(&failed.tenant, failed.id, at(50)).await.unwrap(), Replay::Queued);
    let taken = eventually(SOON, "it is taken", async || here.due.take(&look).await.unwrap().pop()).await;
    assert_eq!(taken.id, failed.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_letter_that_is_owed_in_an_old_week_stays_in_sight() {
    let Some(installation) = installation().await else { return };
    let owing = installation.failed(None).await;
    let owed = async || {
        let owed = installation.here.owed_dead_letters.owed(installation.taker, None, &[], 10).await.unwrap();
        owed.iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!(owed().await, [owing.id]);
    assert_eq!(installation.here.taken(&installation.look()).await, []);
    assert_eq!(owed().await, [owing.id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_that_is_made_later_is_looked_at() {
    let Some(installation) = installation().await else { return };
    let (here, taker) = (&installation.here, installation.taker);
    assert_eq!(here.taken(&installation.look()).await, []);
    let later = monday(-20);
    here.storage.maintain(later).await.unwrap();
    let new = Message { next_attempt_at: Some(at(60)), ..installation.accepted(later) };
    here.stored(new.clone()).await;
    assert_eq!(here.taken(&installation.look()).await, [new.id]);
    let newer = Message { next_attempt_at: Some(later), ..installation.accepted(later) };
    here.stored(newer.clone()).await;
    assert_eq!(here.taken(&Take { now: later, ..take(taker, 0) }).await, [newer.id]);
}
