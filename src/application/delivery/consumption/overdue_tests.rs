use uuid::Uuid;

use super::limits::{HANGING_BYTES, HANGING_PER_CALL, RECORDING_BYTES};
use super::scene::*;
use super::*;
use crate::domain::message::delivery::{DeliveryError, OffCause};

/// Its claim is answered.
fn claimed(job: Job) -> Job {
    job.is_claimed.store(true, Ordering::Relaxed);
    job
}

#[test]
fn an_instance_has_its_share_of_the_places_and_the_next_of_it_has_the_first_that_is_free() {
    let mut consumption = Scene::sharing(limits(10, 100), 2);
    consumption.assigned(&[ONE]);
    for offset in 0..5 {
        consumption.arrived(record_of(7, ONE, offset), None);
    }
    consumption.arrived(record_of(8, ONE, 5), None);
    let begun = begin_all(&mut consumption);
    assert_eq!(offsets(&begun), [0, 1, 5], "another instance does not wait behind it");
    consumption.called(&begun[1]);
    assert_eq!(offsets(&begin_all(&mut consumption)), [2]);
}

#[test]
fn a_call_that_hangs_holds_no_window_and_no_place_and_what_waits_behind_it_is_put_off() {
    let mut consumption = with_one_partition(limits(1, 100));
    for offset in 0..3 {
        consumption.arrived(record(ONE, offset), lane("ana"));
    }
    consumption.arrived(record(ONE, 3), lane("bia"));
    let hung = consumption.begin().map(claimed).unwrap();
    assert_eq!(consumption.pass(4), []);
    assert!(consumption.begin().is_none(), "there is one place");
    assert_eq!(consumption.pass(1), [Consequence::Finished(ONE, 0)]);

    // One after the other, so that none comes back before an earlier one.
    let mut begun = begin_all(&mut consumption);
    assert_eq!(offsets(&begun), [1, 3]);
    let first = begun.remove(0);
    let Task::PutOff { wait, not_before: None } = &first.task else { panic!("{:?}", first.task) };
    assert_eq!(wait.pause, None, "nobody knows how long it hangs");
    let back_at = consumption.time(10);
    assert_eq!(consumption.ended(first, End::PutOff(back_at)), [Consequence::Finished(ONE, 1)]);
    let second = consumption.begin().unwrap();
    let Task::PutOff { wait, not_before } = &second.task else { panic!("{:?}", second.task) };
    assert_eq!((wait.pause, *not_before), (Some(Duration::ZERO), Some(back_at)));
    consumption.ended(second, End::PutOff(back_at));

    // Nor does a later one overtake them, until they are back.
    consumption.arrived(record(ONE, 4), lane("ana"));
    assert!(
        matches!(consumption.begin().unwrap().task, Task::PutOff { not_before, .. } if not_before == Some(back_at))
    );
    assert_eq!(consumption.ended(hung, End::Done), []);
    consumption.ended(begun.remove(0), End::Done);
    consumption.pass(5);
    consumption.arrived(record(ONE, 5), lane("bia"));
    assert_eq!(consumption.begin().unwrap().task, Task::Deliver);
}

#[test]
fn a_key_is_delivered_again_when_what_was_put_off_is_back() {
    let mut consumption = with_one_partition(limits(2, 100));
    consumption.arrived(record(ONE, 0), lane("ana"));
    consumption.arrived(record(ONE, 1), lane("ana"));
    let hung = consumption.begin().map(claimed).unwrap();
    consumption.pass(5);
    let waiting = consumption.begin().unwrap();
    let back_at = consumption.time(7);
    consumption.ended(waiting, End::PutOff(back_at));
    consumption.ended(hung, End::Done);
    consumption.pass(2);
    consumption.arrived(record(ONE, 2), lane("ana"));
    assert_eq!(consumption.begin().unwrap().task, Task::Deliver);
}

#[test]
fn a_key_whose_instance_has_returned_is_delivered_again_at_once() {
    let mut consumption = with_an_instance_that_is_off();
    consumption.arrived(record_of(7, ONE, 0), lane("ana"));
    consumption.pass(1);
    let first = consumption.begin().unwrap();
    assert!(matches!(first.task, Task::PutOff { .. }));
    let back_at = consumption.time(300);
    consumption.ended(first, End::PutOff(back_at));
    consumption.arrived(record_of(7, ONE, 1), lane("ana"));
    let behind = consumption.begin().unwrap();
    assert!(matches!(behind.task, Task::PutOff { not_before, .. } if not_before == Some(back_at)));
    consumption.ended(behind, End::PutOff(back_at));

    let (admission, instance) = (consumption.consumption.admission.clone(), InstanceId(Uuid::from_u128(7)));
    admission.let_in(instance);
    consumption.arrived(record_of(7, ONE, 2), lane("ana"));
    let early = consumption.begin().unwrap();
    assert!(matches!(early.task, Task::PutOff { .. }), "the others are not made due yet: it would overtake them");
    assert_eq!(admission.returned().take().into_iter().collect::<Vec<_>>(), [instance]);
    consumption.pass(1);
    admission.returned().are_recalled([instance], consumption.now().monotonic);
    consumption.ended(early, End::PutOff(back_at));
    consumption.arrived(record_of(7, ONE, 3), lane("ana"));
    assert_eq!(consumption.begin().unwrap().task, Task::Deliver);
}

fn with_an_instance_that_is_off() -> Scene {
    let mut consumption = with_one_partition(limits(10, 100));
    consumption.pass(1);
    let error = DeliveryError::instance_disconnected("off", Duration::from_secs(300), OffCause::Disconnected);
    let instance = InstanceId(Uuid::from_u128(7));
    consumption.consumption.admission.heard(instance, Duration::from_secs(1), &Err(error));
    consumption
}

#[test]
fn a_call_that_is_not_claimed_yet_keeps_its_record() {
    let mut consumption = with_one_partition(limits(1, 100));
    consumption.arrived(record(ONE, 0), lane("ana"));
    let waits_for_the_database = consumption.begin().unwrap();
    assert_eq!(consumption.pass(60), []);
    assert_eq!(consumption.ended(waits_for_the_database, End::Done), [Consequence::Finished(ONE, 0)]);
}

#[test]
fn what_only_waits_for_a_place_is_not_put_off() {
    let mut consumption = with_one_partition(limits(1, 100));
    consumption.arrived(record(ONE, 0), None);
    for offset in 1..4 {
        consumption.arrived(record(ONE, offset), lane("ana"));
    }
    let slow = consumption.begin().unwrap();
    consumption.pass(60);
    assert!(consumption.begin().is_none());
    consumption.ended(slow, End::Done);
    let _hung = consumption.begin().map(claimed).unwrap();
    consumption.pass(4);
    assert!(consumption.begin().is_none(), "it has waited for 64 s, but for only 4 of them behind a call");
    consumption.pass(1);
    assert!(matches!(consumption.begin().unwrap().task, Task::PutOff { .. }));
}

#[test]
fn what_waits_for_its_instance_is_put_off_when_others_wait_behind_it() {
    let mut consumption = Scene::sharing(limits(10, 8), 1);
    consumption.assigned(&[ONE]);
    for offset in 0..7 {
        consumption.arrived(record_of(7, ONE, offset), None);
    }
    let mut hung: Vec<Job> = begin_all(&mut consumption).into_iter().map(claimed).collect();
    assert_eq!(offsets(&hung), [0]);
    consumption.pass(6);
    assert!(consumption.begin().is_none(), "nobody waits behind them");
    for offset in 7..10 {
        consumption.arrived(record_of(8, ONE, offset), None);
    }
    let of_another = begin_all(&mut consumption);
    assert_eq!(offsets(&of_another), [7]);
    consumption.pass(0);
    let put_off = begin_all(&mut consumption);
    assert_eq!(offsets(&put_off), (1..7).collect::<Vec<_>>());
    let pauses: Vec<Duration> = put_off
        .iter()
        .map(
            |job| {
                if let Task::PutOff { wait, .. } = &job.task { wait.pause.unwrap() } else { panic!("{:?}", job.task) }
            },
        )
        .collect();
    assert!(pauses.is_sorted() && pauses[0] < pauses[5], "each at a moment of its own: {pauses:?}");
    consumption.ended(hung.remove(0), End::Done);
    assert!(consumption.consumption.blocked.keys().all(|instance| instance.0 == Uuid::from_u128(8)));
}

#[test]
fn calls_that_hang_leave_their_places_to_so_many_others_and_no_more() {
    let mut consumption = with_one_partition(limits(2, 1_000));
    for offset in 0..100 {
        consumption.arrived(record(ONE, offset), None);
    }
    let mut hung = 0;
    loop {
        let begun: Vec<Job> = begin_all(&mut consumption).into_iter().map(claimed).collect();
        if begun.is_empty() {
            break;
        }
        hung += begun.len();
        consumption.pass(5);
    }
    assert_eq!(hung, 2 + 2 * HANGING_PER_CALL);
}

#[test]
fn a_key_is_free_after_its_wait_when_the_clock_is_set() {
    for by in [-3_600, 3_600] {
        let mut consumption = with_one_partition(limits(2, 100));
        consumption.arrived(record(ONE, 0), lane("ana"));
        consumption.arrived(record(ONE, 1), lane("ana"));
        let hung = consumption.begin().map(claimed).unwrap();
        consumption.pass(5);
        let waiting = consumption.begin().unwrap();
        let back_at = consumption.time(17);
        consumption.ended(waiting, End::PutOff(back_at));
        consumption.ended(hung, End::Done);

        consumption.set_by(by);
        consumption.pass(2);
        for offset in [2, 3] {
            // Not before the first, whose row's time went along with the clock.
            consumption.arrived(record(ONE, offset), lane("ana"));
            let next = consumption.begin().unwrap();
            let Task::PutOff { not_before: Some(not_before), .. } = next.task else { panic!("{:?}", next.task) };
            assert_eq!(not_before, consumption.time(17 + by + 1));
            consumption.ended(next, End::PutOff(not_before));
        }
        consumption.pass(11);
        consumption.arrived(record(ONE, 4), lane("ana"));
        assert_eq!(consumption.begin().unwrap().task, Task::Deliver);
    }
}

#[test]
fn a_backlog_of_one_key_is_put_off_at_once_and_delivered_when_it_is_back() {
    let mut consumption = with_one_partition(limits(1, 10_000));
    for offset in 0..2_000 {
        consumption.arrived(record(ONE, offset), lane("ana"));
    }
    let hung = consumption.begin().map(claimed).unwrap();
    consumption.pass(6);
    let first = consumption.begin().unwrap();
    assert!(consumption.begin().is_none(), "the others come after it");
    let back_at = consumption.time(16);
    consumption.ended(first, End::PutOff(back_at));
    // As many at once as share statements.
    let mut begun = begin_all(&mut consumption);
    assert_eq!(begun.len(), 512);
    assert!(begun.iter().all(|job| matches!(job.task, Task::PutOff { not_before, .. } if not_before == Some(back_at))));
    // It takes long: those that are not put off when the first are back need not be.
    consumption.pass(11);
    for job in begun.drain(..) {
        consumption.ended(job, End::PutOff(back_at));
    }
    assert!(consumption.begin().is_none());
    consumption.ended(hung, End::Done);
    let next = consumption.begin().unwrap();
    assert_eq!((&next.task, next.record.offset), (&Task::Deliver, 514));
}

#[test]
fn an_instance_with_much_to_send_leaves_places_that_get_free_to_others() {
    let mut consumption = Scene::sharing(limits(4, 10_000), 2);
    consumption.assigned(&[ONE]);
    for offset in 0..1_000 {
        consumption.arrived(record_of((offset % 2) as u128, ONE, offset), None);
    }
    consumption.arrived(record_of(7, ONE, 1_000), None);
    let mut begun = begin_all(&mut consumption);
    assert_eq!(begun.len(), 4);
    consumption.ended(begun.remove(0), End::Done);
    assert_eq!(offsets(&begin_all(&mut consumption)), [1_000]);
}

/// Instance 7 has one place, which hangs, and eight messages that fill the window.
fn with_an_instance_that_hangs() -> (Scene, Job) {
    let mut consumption = Scene::sharing(limits(10, 8), 1);
    consumption.assigned(&[ONE]);
    for offset in 0..8 {
        consumption.arrived(record_of(7, ONE, offset), lane(&offset.to_string()));
    }
    let hung = consumption.begin().map(claimed).unwrap();
    (consumption, hung)
}

fn put_off(consumption: &mut Scene, job: Job) {
    assert!(matches!(job.task, Task::PutOff { .. }), "{} is not put off", job.record.offset);
    let back_at = consumption.time(60);
    consumption.ended(job, End::PutOff(back_at));
}

#[test]
fn a_backlog_of_many_windows_tries_the_patience_of_others_once() {
    let (mut consumption, hung) = with_an_instance_that_hangs();
    assert!(consumption.begin().is_none());
    consumption.pass(5);
    for job in begin_all(&mut consumption) {
        put_off(&mut consumption, job);
    }
    for offset in 8..1_000 {
        consumption.arrived(record_of(7, ONE, offset), lane(&offset.to_string()));
        let job = consumption.begin().expect("it is put off as it arrives");
        put_off(&mut consumption, job);
    }
    consumption.arrived(record_of(8, ONE, 1_000), None);
    assert_eq!(offsets(&begin_all(&mut consumption)), [1_000]);

    // Its backlog is gone: from then on it may wait again.
    consumption.ended(hung, End::Done);
    consumption.pass(5);
    for offset in [1_001, 1_002] {
        consumption.arrived(record_of(7, ONE, offset), lane(&offset.to_string()));
    }
    let begun = begin_all(&mut consumption);
    assert_eq!((offsets(&begun), &begun[0].task), (vec![1_001], &Task::Deliver));
}

#[test]
fn an_instance_in_the_way_has_the_places_that_get_free() {
    let (mut consumption, hung) = with_an_instance_that_hangs();
    consumption.pass(5);
    for job in begin_all(&mut consumption) {
        put_off(&mut consumption, job);
    }
    consumption.ended(hung, End::Done);
    consumption.arrived(record_of(7, ONE, 8), lane("8"));
    assert_eq!(consumption.begin().map(|job| job.task), Some(Task::Deliver));
}

#[test]
fn an_instance_that_works_through_a_window_in_time_waits_in_memory() {
    let mut consumption = Scene::sharing(limits(10, 8), 2);
    consumption.assigned(&[ONE]);
    let mut next = 0;
    for _ in 0..30 {
        while !consumption.consumption.tenures.values().all(|window| window.is_paused) {
            consumption.arrived(record_of(7, ONE, next), None);
            next += 1;
        }
        consumption.pass(1);
        for job in begin_all(&mut consumption) {
            assert_eq!(job.task, Task::Deliver);
            consumption.ended(job, End::Done);
        }
    }
}

#[test]
fn an_instance_is_forgotten_when_its_last_call_leaves_between_two_questions() {
    let consumption = Scene::sharing(limits(10, 8), 1);
    let instance = InstanceId(Uuid::from_u128(7));
    let admission = &consumption.consumption.admission;
    let pass = admission.enter(instance).unwrap();
    assert!(admission.enter(instance).is_none());
    assert_eq!(admission.full(), [instance]);
    drop(pass);
    assert!(admission.wait(instance).pause.is_some());
    assert!(admission.is_empty());
}

#[test]
fn large_messages_whose_calls_hang_are_bounded_in_bytes() {
    let mut consumption = with_one_partition(limits(2, 1_000));
    let large = |offset| Record { value: Some(vec![0; HANGING_BYTES / 4]), ..record(ONE, offset) };
    for offset in 0..100 {
        consumption.arrived(large(offset), None);
    }
    let mut hung = 0;
    loop {
        let begun: Vec<Job> = begin_all(&mut consumption).into_iter().map(claimed).collect();
        if begun.is_empty() {
            break;
        }
        hung += begun.len();
        consumption.pass(5);
    }
    assert!((2 + 3..=2 + 4).contains(&hung), "{hung}");
}

/// The record of one whose content is in its row is small.
#[test]
fn messages_whose_calls_hang_are_bounded_in_bytes_of_their_content() {
    let mut consumption = with_one_partition(limits(40, 1_000));
    for offset in 0..500 {
        let mut small = record(ONE, offset);
        if let Ok(request) = &mut small.content {
            request.omits_content = true;
        }
        consumption.arrived(small, None);
    }
    let mut hung = 0;
    loop {
        let begun: Vec<Job> = begin_all(&mut consumption).into_iter().map(claimed).collect();
        if begun.is_empty() {
            break;
        }
        hung += begun.len();
        consumption.pass(5);
    }
    assert!((40 + 60..=40 + 64).contains(&hung), "{hung}");
}

#[test]
fn large_messages_whose_outcomes_wait_for_the_database_are_bounded_in_bytes() {
    let mut consumption = with_one_partition(limits(10, 1_000));
    for offset in 0..100 {
        let large = Record { value: Some(vec![0; RECORDING_BYTES / 4]), ..record(ONE, offset) };
        consumption.arrived(large, None);
    }
    let begun = begin_all(&mut consumption);
    begun.iter().for_each(|job| consumption.called(job));
    assert!(consumption.begin().is_none());
}

#[test]
fn a_key_whose_first_is_back_while_others_are_being_put_off_waits_for_them() {
    let (mut consumption, _hung) = with_an_instance_that_hangs();
    consumption.pass(5);
    let mut begun = begin_all(&mut consumption);
    // Of key 7 a second one is being put off, behind the first.
    consumption.arrived(record_of(7, ONE, 8), lane("7"));
    let first = begun.pop().unwrap();
    let back_at = consumption.time(6);
    consumption.ended(first, End::PutOff(back_at));
    let second = consumption.begin().unwrap();
    assert!(matches!(second.task, Task::PutOff { not_before: Some(_), .. }));
    consumption.arrived(record_of(7, ONE, 9), lane("7"));
    consumption.pass(3);
    assert!(consumption.begin().is_none(), "it is neither delivered nor handed to and fro");
    consumption.ended(second, End::PutOff(back_at));
}
