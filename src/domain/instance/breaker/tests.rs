use proptest::prelude::*;

use super::*;

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn heard(calls: impl IntoIterator<Item = (u64, bool)>) -> Option<Opens> {
    let mut seen = Seen::default();
    calls.into_iter().fold(None, |opened, (second, fails)| opened.or_else(|| seen.heard(fails, at(second))))
}

#[test]
fn five_in_a_row_open_it_and_four_do_not() {
    assert_eq!(heard((0..5).map(|second| (second, true))), Some(Opens::InARow));
    assert_eq!(heard((0..4).map(|second| (second, true))), None);
    assert_eq!(heard((0..9).map(|second| (second, second != 4))), None);
}

#[test]
fn half_of_twenty_open_it_and_fewer_do_not() {
    assert_eq!(heard((0..20).map(|second| (second, second % 2 == 1))), Some(Opens::Half { failed: 10, of: 20 }));
    assert_eq!(heard((0..19).map(|second| (second, second % 2 == 1))), None, "too few calls");
    assert_eq!(heard((0..400).map(|call| (call / 10, call % 3 == 0))), None, "a third of them");
}

#[test]
fn calls_that_are_a_minute_old_count_for_nothing() {
    assert_eq!(heard((0..20).map(|call| (call * 7, call % 2 == 1))), None);
    let of_old = (0..100).map(|_| (0, false)).chain((0..20).map(|call| (70, call % 2 == 1)));
    assert_eq!(heard(of_old), Some(Opens::Half { failed: 10, of: 20 }));
}

#[test]
fn a_pause_doubles_with_each_probe_that_fails_up_to_five_minutes() {
    assert_eq!([0, 1, 2, 4, 5, u32::MAX].map(|probes| pause(probes).as_secs()), [10, 20, 40, 160, 300, 300]);
}

#[test]
fn what_is_refused_says_that_the_destination_works_and_what_was_not_called_says_nothing() {
    let of = |error: DeliveryError| Said::of(&Err(error));
    assert_eq!(Said::of(&Ok(Acceptance { channel_message_id: None, http_status: None })), Said::Works);
    assert_eq!(of(DeliveryError::refused("no such number")), Said::Works);
    assert_eq!(of(DeliveryError::misconfigured("no channel")), Said::Nothing);
    assert_eq!(of(DeliveryError::transient("HTTP 429").with_http_status(429)), Said::Nothing);
    assert_eq!(of(DeliveryError::transient("HTTP 503").with_http_status(503)), Said::Fails);
    assert_eq!(of(DeliveryError::transient("no connection")), Said::Fails);
    assert_eq!(of(DeliveryError::unknown("no answer in time")), Said::Fails);
    assert_eq!(of(DeliveryError::no_place("too fast", at(1))), Said::Nothing);
    assert_eq!(of(DeliveryError::instance_off("not connected", at(1))), Said::Nothing);
}

#[test]
fn a_host_that_answers_works_whatever_it_answers() {
    let of = |error: DeliveryError| Said::of_host(&Err(error));
    assert_eq!(of(DeliveryError::transient("HTTP 503").with_http_status(503)), Said::Works);
    assert_eq!(of(DeliveryError::transient("no connection")), Said::Fails);
    assert_eq!(of(DeliveryError::no_place("too fast", at(1))), Said::Nothing);
}

#[test]
fn a_breaker_is_stored_by_what_it_is_of() {
    let tenant = Tenant::new("acme").unwrap();
    let host = BreakerOf::Host(tenant, "https://shop.example:443".to_owned());
    assert_eq!(host.to_string(), "host:https://shop.example:443 acme");
    let instance = BreakerOf::Instance(InstanceId(uuid::Uuid::nil()));
    assert_eq!(instance.to_string(), "instance:00000000-0000-0000-0000-000000000000");
    for state in BreakerState::ALL {
        assert_eq!(state.as_str().parse::<BreakerState>().unwrap(), state);
    }
}

/// The rule, of all calls that were made.
fn exactly(calls: &[(Duration, bool)]) -> [bool; 2] {
    let in_a_row = calls.len() >= IN_A_ROW as usize && calls[calls.len() - IN_A_ROW as usize..].iter().all(|it| it.1);
    let now = calls.last().map_or(Duration::ZERO, |it| it.0);
    // Of some time up to a minute.
    let half_of = |window: &[(Duration, bool)]| {
        let failed = window.iter().filter(|it| it.1).count();
        window.len() >= AT_LEAST as usize && 2 * failed >= window.len()
    };
    let within = |first: usize| now.saturating_sub(calls[first].0) < WITHIN;
    [in_a_row, (0..calls.len()).any(|first| within(first) && half_of(&calls[first..]))]
}

proptest! {
    #[test]
    fn it_opens_for_no_other_reason(calls in prop::collection::vec((0_u64..9_000, prop::bool::weighted(0.4)), 1..200)) {
        let (mut seen, mut made, mut now) = (Seen::default(), Vec::new(), Duration::ZERO);
        for (later, fails) in calls {
            now += Duration::from_millis(later);
            made.push((now, fails));
            let opened = seen.heard(fails, now);
            let [in_a_row, half] = exactly(&made);
            match opened {
                Some(Opens::InARow) => prop_assert!(in_a_row),
                Some(Opens::Half { failed, of }) => prop_assert!(half && 2 * failed >= of && of >= AT_LEAST),
                None => prop_assert!(!in_a_row, "five in a row open it at once"),
            }
            if opened.is_some() {
                made.clear();
            }
        }
    }

    #[test]
    fn half_of_what_is_not_a_minute_old_opens_it(calls in prop::collection::vec((0_u64..2_700, prop::bool::ANY), 20)) {
        let (mut seen, mut now, mut failed, mut opened) = (Seen::default(), Duration::ZERO, 0, None);
        for (later, fails) in calls {
            now += Duration::from_millis(later);
            failed += usize::from(fails);
            opened = opened.or(seen.heard(fails, now));
        }
        // All of them within 55 s; nobody looks before one fails.
        opened = opened.or(seen.heard(true, now));
        prop_assert!(opened.is_some() || 2 * (failed + 1) < 21);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_forgotten(calls in prop::collection::vec((0_u64..600, prop::bool::ANY), 1..60)) {
        let (mut seen, mut now) = (Seen::default(), 0);
        for (later, fails) in calls {
            now += later;
            seen.heard(fails, at(now));
            prop_assert!(!seen.is_over(at(now)));
        }
        seen.heard(false, at(now));
        prop_assert!(seen.is_over(at(now + 66)));
        seen.heard(true, at(now));
        prop_assert!(!seen.is_over(at(now + 3_600)) && seen.is_over(at(now + 3_606)));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Ask(u128),
    Ends(u128, u8),
    Reopens,
    LetIn,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u64..40).prop_map(Step::Wait),
        (0_u128..6).prop_map(Step::Ask),
        (0_u128..6, 0_u8..3).prop_map(|(name, how)| Step::Ends(name, how)),
        Just(Step::Reopens),
        Just(Step::LetIn),
    ]
}

proptest! {
    #[test]
    fn one_probe_at_a_time_and_none_that_lasts_for_ever(steps in prop::collection::vec(step(), 1..80)) {
        const LEASE: Duration = at(15);
        let mut now = crate::domain::Timestamp::UNIX_EPOCH;
        let mut course = Course::opened("away".to_owned(), pause(0), now);
        // Who probes, and until when.
        let mut probing: Option<(u128, crate::domain::Timestamp)> = None;
        for step in steps {
            let before = course.clone();
            match step {
                Step::Wait(seconds) => now += at(seconds),
                Step::Ask(name) => {
                    let name = name + (u128::from(course.failed_probes) << 64);
                    if course.probe(uuid::Uuid::from_u128(name), LEASE, now).is_some() {
                        prop_assert!(before.probe_at <= now && before.disabled_at.is_none());
                        prop_assert!(probing.is_none_or(|(_, until)| until <= now), "another one probes");
                        probing = Some((name, now + LEASE));
                    } else if before.state != BreakerState::Closed && before.disabled_at.is_none() {
                        let is_free = probing.is_none_or(|(_, until)| until <= now);
                        prop_assert!(!is_free || now < before.probe_at, "there was none");
                    }
                }
                Step::Ends(name, how) => {
                    let name = name + (u128::from(course.failed_probes) << 64);
                    let end = match how {
                        0 => ProbeEnd::Works,
                        1 => ProbeEnd::Fails { reason: "still".to_owned(), pause: pause(1), disable_after: Some(at(90)) },
                        _ => ProbeEnd::Nothing { pause: pause(0) },
                    };
                    let is_its_own = probing.is_some_and(|(probe, _)| probe == name);
                    prop_assert_eq!(course.end(uuid::Uuid::from_u128(name), end, now), is_its_own);
                    if is_its_own {
                        probing = None;
                    } else {
                        prop_assert_eq!(&course, &before, "one that was late");
                    }
                }
                Step::Reopens => {
                    if course.open("again".to_owned(), pause(0), now) {
                        prop_assert_eq!(before.state, BreakerState::Closed);
                        prop_assert_eq!((course.since, course.failed_probes), (now, 0));
                    }
                }
                Step::LetIn => {
                    if course.close(now) {
                        probing = None;
                    }
                }
            }
            let is_half_open = probing.is_some_and(|(_, until)| now < until);
            prop_assert_eq!(course.state_at(now) == BreakerState::HalfOpen, is_half_open);
            prop_assert!(course.changes >= before.changes);
        }
    }
}

#[test]
fn it_is_disabled_once_it_has_failed_for_so_long_and_a_person_lets_it_in() {
    let opened = crate::domain::Timestamp::UNIX_EPOCH;
    let mut course = Course::opened("away".to_owned(), pause(0), opened);
    let name = uuid::Uuid::from_u128;
    let fails = || ProbeEnd::Fails { reason: "still away".to_owned(), pause: pause(1), disable_after: Some(at(100)) };
    assert_eq!(course.probe(name(1), at(30), opened + at(9)), None);
    assert_eq!(course.probe(name(1), at(30), opened + at(10)), Some(0));
    assert!(course.end(name(1), fails(), opened + at(99)) && course.disabled_at.is_none());
    assert_eq!((course.probe(name(2), at(30), opened + at(119)), course.changes), (Some(1), 1));
    assert!(course.end(name(2), fails(), opened + at(120)));
    assert_eq!((course.disabled_at, course.changes), (Some(opened + at(120)), 2));
    assert_eq!(course.probe(name(3), at(30), opened + at(9_999)), None, "a disabled one is not probed");
    assert!(course.close(opened + at(10_000)) && !course.close(opened + at(10_001)));
    assert_eq!((course.state, course.disabled_at, course.changes), (BreakerState::Closed, None, 3));
}
