use correio::application::ports::Allowance;
use correio::domain::access::request_limit::Counted;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::at;

on_every_adapter![
    no_more_than_the_limit_is_granted_in_a_minute,
    a_minute_begins_with_its_first_request,
    all_processes_share_a_limit,
];

fn caller() -> Counted {
    Counted::address("192.0.2.1")
}

async fn take(adapters: &Adapters, limit: u32, wanted: u32, seconds: i64) -> Allowance {
    adapters.request_allowances.take(&caller(), limit, wanted, at(seconds)).await.unwrap()
}

fn granted(granted: u32, taken: u32, began: i64) -> Allowance {
    Allowance { granted, taken, began_at: at(began) }
}

async fn no_more_than_the_limit_is_granted_in_a_minute(adapters: &Adapters) {
    assert_eq!(take(adapters, 10, 4, 0).await, granted(4, 4, 0));
    assert_eq!(take(adapters, 10, 4, 1).await, granted(4, 8, 0));
    assert_eq!(take(adapters, 10, 4, 2).await, granted(2, 10, 0));
    assert_eq!(take(adapters, 10, 4, 59).await, granted(0, 10, 0));
    let other = adapters.request_allowances.take(&Counted::address("192.0.2.2"), 10, 20, at(3)).await.unwrap();
    assert_eq!(other, granted(10, 10, 3));
    assert_eq!(take(adapters, 5, 4, 4).await, granted(0, 10, 0), "the limit was lowered");
    assert_eq!(take(adapters, 12, 4, 5).await, granted(2, 12, 0), "and raised");
}

async fn a_minute_begins_with_its_first_request(adapters: &Adapters) {
    assert_eq!(take(adapters, 3, 3, 7).await, granted(3, 3, 7));
    assert_eq!(take(adapters, 3, 1, 66).await, granted(0, 3, 7));
    assert_eq!(take(adapters, 3, 1, 67).await, granted(1, 1, 67));
    assert_eq!(take(adapters, 3, 1, 20).await, granted(1, 1, 20), "a clock was put back");
    assert!(!adapters.request_allowances.forget(at(21)).await.unwrap());
    assert_eq!(take(adapters, 3, 3, 21).await, granted(3, 3, 21));
}

async fn all_processes_share_a_limit(adapters: &Adapters) {
    let takes = (0..20).map(|number| {
        let allowances = adapters.of_process(number).request_allowances.clone();
        async move { allowances.take(&caller(), 50, 5, at(0)).await.unwrap().granted }
    });
    assert_eq!(futures::future::join_all(takes).await.into_iter().sum::<u32>(), 50);
}
