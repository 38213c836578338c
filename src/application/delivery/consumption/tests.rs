use super::limits::{RECORDING_PER_CALL, SET_ASIDE_AT_ONCE};
use super::scene::*;
use super::*;

#[test]
fn one_key_in_order_and_another_beside_it() {
    let mut consumption = with_one_partition(limits(10, 100));
    for (offset, key) in [(0, "ana"), (1, "ana"), (2, "bia")] {
        assert_eq!(consumption.arrived(record(ONE, offset), lane(key)), None);
    }
    let mut begun = begin_all(&mut consumption);
    assert_eq!(offsets(&begun), [0, 2]);
    consumption.ended(begun.remove(0), End::Done);
    assert_eq!(offsets(&begin_all(&mut consumption)), [1]);
}

#[test]
fn whoever_only_waits_for_the_database_leaves_its_place_to_the_next() {
    let mut consumption = with_one_partition(limits(2, 100));
    for offset in 0..30 {
        consumption.arrived(record(ONE, offset), None);
    }
    let mut begun = begin_all(&mut consumption);
    assert_eq!(begun.len(), 2);
    consumption.called(&begun[0]);
    consumption.called(&begun[0]);
    assert_eq!(offsets(&begin_all(&mut consumption)), [2]);

    // A record is not finished before its delivery has ended, and its place is not given away twice.
    assert_eq!(consumption.ended(begun.remove(1), End::Done), []);
    assert_eq!(begin_all(&mut consumption).len(), 1);
    assert_eq!(consumption.ended(begun.remove(0), End::Done), [Consequence::Finished(ONE, 1)]);
    assert_eq!(begin_all(&mut consumption).len(), 0);
}

#[test]
fn outcomes_that_cannot_be_recorded_hold_up_further_calls() {
    let mut consumption = with_one_partition(limits(2, 100));
    for offset in 0..30 {
        consumption.arrived(record(ONE, offset), None);
    }
    let mut called = 0;
    while let Some(job) = consumption.begin() {
        consumption.called(&job);
        called += 1;
    }
    assert_eq!(called, 2 * RECORDING_PER_CALL);
}

#[test]
fn only_the_unbroken_prefix_is_finished() {
    let mut consumption = with_one_partition(limits(10, 100));
    for offset in 0..3 {
        consumption.arrived(record(ONE, offset), None);
    }
    let mut begun = begin_all(&mut consumption);
    assert_eq!(consumption.ended(begun.remove(2), End::Done), []);
    assert_eq!(consumption.ended(begun.remove(0), End::Done), [Consequence::Finished(ONE, 0)]);
    assert_eq!(consumption.ended(begun.remove(0), End::Done), [Consequence::Finished(ONE, 2)]);
}

#[test]
fn a_record_that_was_left_holds_the_prefix_back() {
    let mut consumption = with_one_partition(limits(10, 100));
    for offset in 0..2 {
        consumption.arrived(record(ONE, offset), None);
    }
    let mut begun = begin_all(&mut consumption);
    assert_eq!(consumption.ended(begun.remove(0), End::Left), []);
    assert_eq!(consumption.ended(begun.remove(0), End::Done), []);
}

#[test]
fn no_more_begin_than_may_run_at_once() {
    let mut consumption = with_one_partition(limits(2, 100));
    for offset in 0..5 {
        consumption.arrived(record(ONE, offset), None);
    }
    let mut begun = begin_all(&mut consumption);
    assert_eq!(begun.len(), 2);
    consumption.ended(begun.remove(0), End::Done);
    assert_eq!(begin_all(&mut consumption).len(), 1);
}

#[test]
fn large_records_are_set_aside_one_after_the_other() {
    let mut consumption = with_one_partition(limits(10, 100));
    for (offset, size) in [(0, 10 << 20), (1, 10 << 20), (2, 3 << 20), (3, 3 << 20), (4, 3 << 20)] {
        let poison =
            Record { value: Some(vec![0; size]), content: Err("is no JSON".to_owned()), ..record(ONE, offset) };
        consumption.arrived(poison, None);
    }
    consumption.arrived(record(ONE, 5), None);
    let mut begun = begin_all(&mut consumption);
    assert_eq!(offsets(&begun), [0, 5], "what can be delivered does not wait for it");
    for expected in [vec![1], vec![2, 3]] {
        consumption.ended(begun.remove(0), End::Done);
        begun = begin_all(&mut consumption);
        assert_eq!(offsets(&begun), expected);
    }
    consumption.ended(begun.remove(0), End::Done);
    assert_eq!(offsets(&begin_all(&mut consumption)), [4]);
}

#[test]
fn what_is_set_aside_takes_no_place_of_what_can_be_delivered() {
    let mut consumption = with_one_partition(limits(2, 100));
    for offset in 0..20 {
        consumption.arrived(Record { content: Err("is no JSON".to_owned()), ..record(ONE, offset) }, None);
    }
    for offset in 20..25 {
        consumption.arrived(record(ONE, offset), None);
    }
    let begun = begin_all(&mut consumption);
    assert_eq!(begun.iter().filter(|job| job.task == Task::Deliver).count(), 2);
    assert_eq!(begun.iter().filter(|job| job.task == Task::SetAside).count(), SET_ASIDE_AT_ONCE);
    for job in begun {
        consumption.ended(job, End::Done);
    }
    assert_eq!(begin_all(&mut consumption).len(), 4 + 2);
}

#[test]
fn a_full_window_pauses_its_partition_and_half_an_empty_one_resumes_it() {
    let mut consumption = with_one_partition(limits(10, 4));
    let asked: Vec<_> = (0..5).map(|offset| consumption.arrived(record(ONE, offset), None)).collect();
    assert_eq!(asked, [None, None, None, Some(Consequence::Pause(ONE)), None]);
    let begun = begin_all(&mut consumption);
    let said: Vec<_> = begun.into_iter().flat_map(|job| consumption.ended(job, End::Done)).collect();
    assert_eq!(said.iter().filter(|it| **it == Consequence::Resume(ONE)).count(), 1);
    assert_eq!(said[4], Consequence::Resume(ONE), "with one of four left: {said:?}");
}

#[test]
fn bytes_fill_a_window_too() {
    let mut consumption = with_one_partition(Limits { concurrency: 1, records: 1_000, bytes: 10_000 });
    let heavy = Record { value: Some(vec![0; 20_000]), ..record(ONE, 0) };
    assert_eq!(consumption.arrived(heavy, None), Some(Consequence::Pause(ONE)));
}

#[test]
fn what_had_not_begun_in_a_partition_that_is_given_up_never_does() {
    let mut consumption = with_one_partition(limits(1, 100));
    for offset in 0..3 {
        consumption.arrived(record(ONE, offset), lane("ana"));
    }
    consumption.arrived(record(ONE, 3), lane("bia"));
    let begun = consumption.begin().unwrap();
    consumption.give_up(&[ONE]);
    assert!(begun.is_given_up());
    assert!(!consumption.is_drained(&[ONE]));
    assert_eq!(consumption.ended(begun, End::Done), [Consequence::Finished(ONE, 0)]);
    assert!(consumption.is_drained(&[ONE]));
    assert!(consumption.begin().is_none());
    assert_eq!(consumption.arrived(record(ONE, 4), lane("ana")), None);
    assert!(consumption.begin().is_none());
    assert!(consumption.consumption.lanes.is_empty() && consumption.consumption.tenures.is_empty());
}

#[test]
fn a_partition_that_comes_back_does_not_hear_of_its_earlier_tenure() {
    let mut consumption = with_one_partition(limits(10, 100));
    consumption.arrived(record(ONE, 7), None);
    let before = consumption.begin().unwrap();
    consumption.give_up(&[ONE]);
    consumption.assigned(&[ONE]);
    consumption.arrived(record(ONE, 5), None);
    assert_eq!(consumption.ended(before, End::Done), []);
    let again = consumption.begin().unwrap();
    assert_eq!(consumption.ended(again, End::Done), [Consequence::Finished(ONE, 5)]);
}
