//! A partition that stands still although there is more to read.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::application::ports::Partition;

/// Looks in a row, a second apart, that find records waiting behind a position that does not move.
const LIMIT: u32 = 60;

/// After a longer pause between two looks the watch begins anew: the process was frozen, or waited for a partition to drain.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Watches the partitions that may be read. librdkafka's consumer can stop reading one of them for good after its leader was
/// away for some seconds (<https://github.com/confluentinc/librdkafka/issues/5430>, seen with 2.12.1).
#[derive(Default)]
pub struct Standstill {
    looked_at: Option<Instant>,
    /// Where each was while records waited, and in how many looks.
    seen: BTreeMap<Partition, (i64, u32)>,
    /// Where one stood when it was found: another consumer that reads no more than the one before is not replaced again.
    found: BTreeMap<Partition, i64>,
}

/// What is known of a partition that may be read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    pub partition: Partition,
    /// The offset that is read next.
    pub next: i64,
    /// Where the partition ends.
    pub end: i64,
}

impl Standstill {
    /// A new consumer has a minute of its own.
    pub fn begin(&mut self) {
        self.seen.clear();
    }

    /// One that stands still for too long.
    pub fn look(&mut self, readings: &[Reading], now: Instant) -> Option<Partition> {
        let last = self.looked_at.replace(now);
        if last.is_none_or(|last| now.saturating_duration_since(last) > LONGEST_PAUSE) {
            self.seen.clear();
        }
        self.seen.retain(|partition, _| readings.iter().any(|reading| reading.partition == *partition));
        for Reading { partition, next, end } in readings.iter().copied() {
            if end <= next {
                self.seen.remove(&partition);
                continue;
            }
            let (at, looks) = self.seen.entry(partition).or_insert((next, 0));
            if *at != next {
                (*at, *looks) = (next, 0);
            }
            *looks += 1;
            if *looks > LIMIT && self.found.insert(partition, next) != Some(next) {
                return Some(partition);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Partition = Partition(1);

    /// Looks once a second, and returns after how many one stood still.
    fn looks(standstill: &mut Standstill, start: Instant, reading: impl Fn(u64) -> (i64, i64)) -> Option<u64> {
        (0..300).find(|second| {
            let (next, end) = reading(*second);
            let now = start + Duration::from_secs(*second);
            standstill.look(&[Reading { partition: ONE, next, end }], now).is_some()
        })
    }

    #[test]
    fn records_that_wait_for_a_minute_behind_a_position_that_does_not_move_are_a_standstill() {
        assert_eq!(looks(&mut Standstill::default(), Instant::now(), |_| (5, 6)), Some(60));
    }

    #[test]
    fn what_is_idle_or_moves_does_not_stand_still() {
        assert_eq!(looks(&mut Standstill::default(), Instant::now(), |_| (5, 5)), None);
        // A record now and then that is read soon.
        let now_and_then = |second: u64| {
            let read = i64::try_from(second / 61).unwrap();
            (read, if second % 61 == 60 { read + 1 } else { read })
        };
        assert_eq!(looks(&mut Standstill::default(), Instant::now(), now_and_then), None);
        let slowly = |second: u64| (i64::try_from(second / 59).unwrap(), 1_000);
        assert_eq!(looks(&mut Standstill::default(), Instant::now(), slowly), None);
    }

    #[test]
    fn a_pause_between_two_looks_begins_anew_and_what_was_found_is_not_found_again() {
        let (mut standstill, start) = (Standstill::default(), Instant::now());
        let reading = [Reading { partition: ONE, next: 5, end: 6 }];
        for second in 0..60 {
            assert_eq!(standstill.look(&reading, start + Duration::from_secs(second)), None);
        }
        assert_eq!(standstill.look(&reading, start + Duration::from_secs(90)), None);
        assert_eq!(looks(&mut standstill, start + Duration::from_secs(91), |_| (5, 6)), Some(59));
        standstill.begin();
        assert_eq!(looks(&mut standstill, start + Duration::from_secs(400), |_| (5, 6)), None);
    }
}
