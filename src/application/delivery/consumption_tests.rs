use proptest::prelude::*;

use super::*;
use crate::application::ports::DeliveryRequest;
use crate::domain::instance::channel::ChannelName;
use crate::domain::message::MessageId;

const ONE: Partition = Partition(1);

fn record(partition: Partition, offset: i64) -> Record {
    let call = DeliveryRequest { message_id: MessageId(uuid::Uuid::nil()), channel: ChannelName::new("webhook") };
    Record { partition, offset, key: None, value: None, content: Ok(call) }
}

fn lane(key: &str) -> Option<Vec<u8>> {
    Some(key.as_bytes().to_vec())
}

fn with_one_partition(limits: Limits) -> Consumption {
    let mut consumption = Consumption::new(limits);
    consumption.assigned(&[ONE]);
    consumption
}

fn limits(concurrency: usize, records: usize) -> Limits {
    Limits { concurrency, records, bytes: usize::MAX }
}

fn begin_all(consumption: &mut Consumption) -> Vec<Job> {
    std::iter::from_fn(|| consumption.begin()).collect()
}

#[test]
fn one_key_in_order_and_another_beside_it() {
    let mut consumption = with_one_partition(limits(10, 100));
    for (offset, key) in [(0, "ana"), (1, "ana"), (2, "bia")] {
        assert_eq!(consumption.arrived(record(ONE, offset), lane(key)), None);
    }
    let begun = begin_all(&mut consumption);
    assert_eq!(begun.iter().map(|job| job.record.offset).collect::<Vec<_>>(), [0, 2]);
    consumption.ended(begun[0].ticket.clone(), true);
    assert_eq!(begin_all(&mut consumption).iter().map(|job| job.record.offset).collect::<Vec<_>>(), [1]);
}

#[test]
fn whoever_only_waits_for_the_database_leaves_its_place_to_the_next() {
    let mut consumption = with_one_partition(limits(2, 100));
    for offset in 0..30 {
        consumption.arrived(record(ONE, offset), None);
    }
    let begun = begin_all(&mut consumption);
    assert_eq!(begun.len(), 2);
    consumption.called(begun[0].ticket.slot);
    consumption.called(begun[0].ticket.slot);
    let next = begin_all(&mut consumption);
    assert_eq!(next.iter().map(|job| job.record.offset).collect::<Vec<_>>(), [2]);

    // A record is not finished before its delivery has ended, and its place is not given away twice.
    assert_eq!(consumption.ended(begun[1].ticket.clone(), true), []);
    assert_eq!(begin_all(&mut consumption).len(), 1);
    assert_eq!(consumption.ended(begun[0].ticket.clone(), true), [Consequence::Finished(ONE, 1)]);
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
        consumption.called(job.ticket.slot);
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
    let begun = begin_all(&mut consumption);
    assert_eq!(consumption.ended(begun[2].ticket.clone(), true), []);
    assert_eq!(consumption.ended(begun[0].ticket.clone(), true), [Consequence::Finished(ONE, 0)]);
    assert_eq!(consumption.ended(begun[1].ticket.clone(), true), [Consequence::Finished(ONE, 2)]);
}

#[test]
fn a_record_that_was_left_holds_the_prefix_back() {
    let mut consumption = with_one_partition(limits(10, 100));
    for offset in 0..2 {
        consumption.arrived(record(ONE, offset), None);
    }
    let begun = begin_all(&mut consumption);
    assert_eq!(consumption.ended(begun[0].ticket.clone(), false), []);
    assert_eq!(consumption.ended(begun[1].ticket.clone(), true), []);
}

#[test]
fn no_more_begin_than_may_run_at_once() {
    let mut consumption = with_one_partition(limits(2, 100));
    for offset in 0..5 {
        consumption.arrived(record(ONE, offset), None);
    }
    let begun = begin_all(&mut consumption);
    assert_eq!(begun.len(), 2);
    consumption.ended(begun[0].ticket.clone(), true);
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
    let offsets = |jobs: &[Job]| jobs.iter().map(|job| job.record.offset).collect::<Vec<_>>();
    let mut begun = begin_all(&mut consumption);
    assert_eq!(offsets(&begun), [0, 5], "what can be delivered does not wait for it");
    for expected in [vec![1], vec![2, 3]] {
        consumption.ended(begun.remove(0).ticket, true);
        begun = begin_all(&mut consumption);
        assert_eq!(offsets(&begun), expected);
    }
    consumption.ended(begun.remove(0).ticket, true);
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
    assert_eq!(begun.iter().filter(|job| job.record.content.is_ok()).count(), 2);
    assert_eq!(begun.iter().filter(|job| job.record.content.is_err()).count(), SET_ASIDE_AT_ONCE);
    for job in begun {
        consumption.ended(job.ticket, true);
    }
    assert_eq!(begin_all(&mut consumption).len(), 4 + 2);
}

#[test]
fn a_full_window_pauses_its_partition_and_half_an_empty_one_resumes_it() {
    let mut consumption = with_one_partition(limits(10, 4));
    let asked: Vec<_> = (0..5).map(|offset| consumption.arrived(record(ONE, offset), None)).collect();
    assert_eq!(asked, [None, None, None, Some(Consequence::Pause(ONE)), None]);
    let begun = begin_all(&mut consumption);
    let said: Vec<_> = begun.iter().flat_map(|job| consumption.ended(job.ticket.clone(), true)).collect();
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
    assert_eq!(consumption.ended(begun.ticket, true), [Consequence::Finished(ONE, 0)]);
    assert!(consumption.is_drained(&[ONE]));
    assert!(consumption.begin().is_none());
    assert_eq!(consumption.arrived(record(ONE, 4), lane("ana")), None);
    assert!(consumption.begin().is_none());
    assert!(consumption.lanes.is_empty() && consumption.tenures.is_empty());
}

#[test]
fn a_partition_that_comes_back_does_not_hear_of_its_earlier_tenure() {
    let mut consumption = with_one_partition(limits(10, 100));
    consumption.arrived(record(ONE, 7), None);
    let before = consumption.begin().unwrap();
    consumption.give_up(&[ONE]);
    consumption.assigned(&[ONE]);
    consumption.arrived(record(ONE, 5), None);
    assert_eq!(consumption.ended(before.ticket, true), []);
    let again = consumption.begin().unwrap();
    assert_eq!(consumption.ended(again.ticket, true), [Consequence::Finished(ONE, 5)]);
}

#[derive(Clone, Debug)]
enum Step {
    Arrive { partition: i32, key: u8 },
    Begin,
    End { which: usize, is_done: bool },
    GiveUp(i32),
    Assign(i32),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..3i32, 0..4u8).prop_map(|(partition, key)| Step::Arrive { partition, key }),
        4 => Just(Step::Begin),
        4 => (any::<usize>(), proptest::bool::weighted(0.95)).prop_map(|(which, is_done)| Step::End { which, is_done }),
        1 => (0..3i32).prop_map(Step::GiveUp),
        1 => (0..3i32).prop_map(Step::Assign),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_keys_are_alone_and_nothing_unfinished_is_called_finished(
        steps in proptest::collection::vec(any_step(), 1..200),
    ) {
        let mut consumption = Consumption::new(limits(3, 12));
        let mut next_offset = [0i64; 3];
        let mut running: Vec<Job> = Vec::new();
        let mut done = std::collections::HashSet::new();
        for step in steps {
            match step {
                Step::Assign(partition) => {
                    if !consumption.current.contains_key(&Partition(partition)) {
                        consumption.assigned(&[Partition(partition)]);
                    }
                }
                Step::GiveUp(partition) => consumption.give_up(&[Partition(partition)]),
                Step::Arrive { partition, key } => {
                    let offset = &mut next_offset[usize::try_from(partition).unwrap()];
                    consumption.arrived(record(Partition(partition), *offset), Some(vec![key]));
                    if consumption.current.contains_key(&Partition(partition)) {
                        *offset += 1;
                    }
                }
                Step::Begin => running.extend(consumption.begin()),
                Step::End { which, is_done } => {
                    if running.is_empty() {
                        continue;
                    }
                    let job = running.swap_remove(which % running.len());
                    if is_done {
                        done.insert((job.record.partition, job.record.offset));
                    }
                    for consequence in consumption.ended(job.ticket, is_done) {
                        if let Consequence::Finished(partition, upto) = consequence {
                            prop_assert!(done.contains(&(partition, upto)));
                        }
                    }
                }
            }
            prop_assert!(running.len() <= 3);
            let mut keys: Vec<_> = running.iter().map(|job| job.ticket.lane.clone()).collect();
            let count = keys.len();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), count, "two of one key at once");
        }
        for job in running {
            consumption.ended(job.ticket, true);
        }
        while let Some(job) = consumption.begin() {
            consumption.ended(job.ticket, true);
        }
        prop_assert!(consumption.is_idle() && consumption.lanes.is_empty());
    }
}
