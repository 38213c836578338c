use std::time::Instant;

use correio::application::ports::SlotsAsked;
use correio::domain::Timestamp;
use correio::domain::instance::InstanceId;
use correio::domain::instance::pace::{Pace, Reserved};
use correio::infrastructure::storage::sqlite::SqliteDatabase;
use uuid::Uuid;

use crate::contracts::on_every_adapter;
use crate::support::adapters::Adapters;

on_every_adapter![
    slots_follow_each_other_at_the_rate,
    no_slot_is_reserved_twice_however_many_ask,
    after_a_pause_a_burst_is_there_at_once,
    returns_follow_each_other_and_the_slots,
    a_raised_rate_is_felt_at_once,
    the_paces_of_two_instances_have_nothing_to_do_with_each_other,
];

const SECOND: i64 = 1_000_000_000;

fn instance() -> InstanceId {
    InstanceId(Uuid::now_v7())
}

fn pace(per_minute: u32, burst: u32) -> Pace {
    Pace::new(per_minute, Some(burst)).unwrap()
}

fn now() -> Timestamp {
    chrono::Utc::now()
}

async fn reserve(adapters: &Adapters, instance: InstanceId, pace: Pace, slots: u32, returns: u32) -> Reserved {
    reserve_in(adapters, 0, SlotsAsked { instance, pace, slots, returns, now: now() }).await
}

async fn reserve_in(adapters: &Adapters, process: usize, asked: SlotsAsked) -> Reserved {
    adapters.of_process(process).paces.reserve(&asked).await.unwrap()
}

async fn slots_follow_each_other_at_the_rate(adapters: &Adapters) {
    let (shop, six_a_minute) = (instance(), pace(6, 1));
    let first = reserve(adapters, shop, six_a_minute, 10, 0).await;
    assert_eq!((first.slots, first.first_slot, first.next_slot), (1, 0, 10 * SECOND), "{first:?}");
    let none = reserve(adapters, shop, six_a_minute, 10, 0).await;
    assert_eq!(none.slots, 0, "{none:?}");
    assert!((7 * SECOND..10 * SECOND).contains(&none.next_slot), "{none:?}");
}

async fn no_slot_is_reserved_twice_however_many_ask(adapters: &Adapters) {
    let (shop, fast) = (instance(), pace(6_000, 1));
    let begun = Instant::now();
    let asking = (0..40).map(|number| {
        let asked = SlotsAsked { instance: shop, pace: fast, slots: 20, returns: 0, now: now() };
        async move { reserve_in(adapters, number, asked).await.slots }
    });
    let reserved: u32 = futures::future::join_all(asking).await.into_iter().sum();
    // What there is within the horizon, and no more.
    let most = begun.elapsed().as_millis() / 10 + 151;
    assert!((150..=most).contains(&u128::from(reserved)), "{reserved} slots of at most {most}");
}

async fn after_a_pause_a_burst_is_there_at_once(adapters: &Adapters) {
    let (shop, in_bursts) = (instance(), pace(6, 5));
    let burst = reserve(adapters, shop, in_bursts, 10, 0).await;
    assert_eq!((burst.slots, burst.first_slot), (5, -40 * SECOND), "all of them lie back: {burst:?}");
    assert_eq!(reserve(adapters, shop, in_bursts, 10, 0).await.slots, 0);
}

async fn returns_follow_each_other_and_the_slots(adapters: &Adapters) {
    let (shop, six_a_minute) = (instance(), pace(6, 1));
    reserve(adapters, shop, six_a_minute, 1, 0).await;
    let begun = Instant::now();
    let first = reserve(adapters, shop, six_a_minute, 0, 3).await;
    let passed = || i64::try_from(begun.elapsed().as_nanos()).unwrap() + SECOND;
    // A second before the next slot.
    assert!((9 * SECOND - passed()..=9 * SECOND).contains(&first.first_return), "{first:?}");
    let next = reserve(adapters, shop, six_a_minute, 0, 1).await;
    assert!((39 * SECOND - passed()..=39 * SECOND).contains(&next.first_return), "{next:?}");
    assert!(next.next_slot <= 10 * SECOND, "no slot is lost for it: {next:?}");
}

async fn a_raised_rate_is_felt_at_once(adapters: &Adapters) {
    let shop = instance();
    reserve(adapters, shop, pace(1, 1), 1, 60).await;
    let raised = reserve(adapters, shop, pace(600, 1), 0, 1).await;
    assert!(raised.next_slot <= 2 * SECOND && raised.first_return <= 7 * SECOND, "{raised:?}");
}

async fn the_paces_of_two_instances_have_nothing_to_do_with_each_other(adapters: &Adapters) {
    let (shop, other) = (instance(), instance());
    reserve(adapters, shop, pace(1, 1), 1, 100).await;
    let free = reserve(adapters, other, pace(1, 1), 1, 0).await;
    assert_eq!((free.slots, free.first_slot), (1, 0));
}

#[tokio::test]
async fn what_was_reserved_before_the_process_died_stays_reserved() {
    let directory = tempfile::tempdir().unwrap();
    let (shop, slow) = (instance(), pace(6, 1));
    for slots in [1, 0] {
        let database = SqliteDatabase::open(&directory.path().join("correio.db")).await.unwrap();
        database.migrate().await.unwrap();
        let asked = SlotsAsked { instance: shop, pace: slow, slots: 1, returns: 0, now: now() };
        assert_eq!(database.stores().paces.reserve(&asked).await.unwrap().slots, slots);
    }
}
