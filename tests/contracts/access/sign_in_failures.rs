use correio::application::ports::SignInEnd;
use correio::domain::access::lockout::FAILURES;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::at;

on_every_adapter![
    five_failures_lock_a_name_and_no_other,
    a_success_forgets_what_failed_before,
    of_many_tries_at_once_five_are_told_anything,
    old_failures_are_forgotten,
];

const NAME: [u8; 32] = [7; 32];
const OTHER: [u8; 32] = [8; 32];
const QUARTER: i64 = 15 * 60;

async fn fail(adapters: &Adapters, seconds: i64) -> SignInEnd {
    adapters.sign_in_failures.end(&NAME, false, at(seconds)).await.unwrap()
}

async fn five_failures_lock_a_name_and_no_other(adapters: &Adapters) {
    for second in 0..5 {
        assert_eq!(adapters.sign_in_failures.locked_until(&NAME, at(second)).await.unwrap(), None);
        assert_eq!(fail(adapters, second).await, SignInEnd::Noted);
    }
    let until = at(4 + QUARTER);
    assert_eq!(adapters.sign_in_failures.locked_until(&NAME, at(5)).await.unwrap(), Some(until));
    assert_eq!(fail(adapters, 6).await, SignInEnd::LockedUntil(until));
    let right = adapters.sign_in_failures.end(&NAME, true, at(7)).await.unwrap();
    assert_eq!(right, SignInEnd::LockedUntil(until), "also for the right password");
    assert_eq!(adapters.sign_in_failures.locked_until(&OTHER, at(5)).await.unwrap(), None);
    assert_eq!(adapters.sign_in_failures.locked_until(&NAME, until).await.unwrap(), None);
    assert_eq!(adapters.sign_in_failures.end(&NAME, true, until).await.unwrap(), SignInEnd::Noted);
}

async fn a_success_forgets_what_failed_before(adapters: &Adapters) {
    for second in 0..4 {
        fail(adapters, second).await;
    }
    assert_eq!(adapters.sign_in_failures.end(&NAME, true, at(4)).await.unwrap(), SignInEnd::Noted);
    for second in 5..9 {
        assert_eq!(fail(adapters, second).await, SignInEnd::Noted);
    }
    assert_eq!(adapters.sign_in_failures.locked_until(&NAME, at(9)).await.unwrap(), None);
}

async fn of_many_tries_at_once_five_are_told_anything(adapters: &Adapters) {
    let tries = (0..20).map(|number| {
        let failures = adapters.of_process(number).sign_in_failures.clone();
        async move { failures.end(&NAME, false, at(0)).await.unwrap() }
    });
    let ends = futures::future::join_all(tries).await;
    assert_eq!(ends.iter().filter(|end| **end == SignInEnd::Noted).count(), FAILURES);
}

async fn old_failures_are_forgotten(adapters: &Adapters) {
    fail(adapters, 0).await;
    adapters.sign_in_failures.end(&OTHER, false, at(100)).await.unwrap();
    assert!(!adapters.sign_in_failures.forget(at(50)).await.unwrap());
    for second in 1..5 {
        fail(adapters, second).await;
        adapters.sign_in_failures.end(&OTHER, false, at(100 + second)).await.unwrap();
    }
    assert_eq!(adapters.sign_in_failures.locked_until(&NAME, at(5)).await.unwrap(), None, "one of five is forgotten");
    assert!(adapters.sign_in_failures.locked_until(&OTHER, at(105)).await.unwrap().is_some());
}
