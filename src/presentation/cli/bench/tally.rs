//! What came of a run's messages: on the one side what the server answered, on the other what the receiver got.

use std::collections::BTreeMap;
use std::time::Duration;

use super::latency::Latencies;

/// A set of sequence numbers that begin at 0: a bit each.
#[derive(Default)]
pub struct SequenceSet {
    words: Vec<u64>,
    len: u64,
}

impl SequenceSet {
    /// False when it was there already.
    pub fn insert(&mut self, sequence: u64) -> bool {
        let word = usize::try_from(sequence / 64).unwrap_or(usize::MAX);
        let bit = 1 << (sequence % 64);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.len += u64::from(new);
        new
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// How many of these are not in the other.
    pub fn not_in(&self, other: &Self) -> u64 {
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        self.words.iter().zip(others).map(|(mine, theirs)| u64::from((mine & !theirs).count_ones())).sum()
    }
}

/// What the server answered.
pub struct Answers {
    pub accepted: SequenceSet,
    pub latencies: Latencies,
    /// Messages that were delivered while we waited (200), and that will be later (202).
    pub direct: u64,
    pub kafka: u64,
    /// Requests that were not accepted, by why.
    pub errors: BTreeMap<String, u64>,
    /// When the last one was accepted, from the beginning of the run.
    pub last: Duration,
}

impl Answers {
    /// # Errors
    /// When there is no room for latencies.
    pub fn new() -> Result<Self, String> {
        Ok(Self {
            accepted: SequenceSet::default(),
            latencies: Latencies::new()?,
            direct: 0,
            kafka: 0,
            errors: BTreeMap::new(),
            last: Duration::ZERO,
        })
    }

    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// What the receiver got.
pub struct Arrivals {
    pub delivered: SequenceSet,
    pub latencies: Latencies,
    /// Deliveries after the first of the same message.
    pub duplicates: u64,
    /// When the last first one came, from the beginning of the run.
    pub last: Duration,
}

impl Arrivals {
    /// # Errors
    /// When there is no room for latencies.
    pub fn new() -> Result<Self, String> {
        let latencies = Latencies::new()?;
        Ok(Self { delivered: SequenceSet::default(), latencies, duplicates: 0, last: Duration::ZERO })
    }

    /// A message that was to be sent at `start` arrives at `now`.
    pub fn arrive(&mut self, sequence: u64, start: Duration, now: Duration) {
        if self.delivered.insert(sequence) {
            self.latencies.record(now.saturating_sub(start));
            self.last = now;
        } else {
            self.duplicates += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_accepted_and_did_not_arrive_is_counted() {
        let (mut accepted, mut delivered) = (SequenceSet::default(), SequenceSet::default());
        for sequence in [0, 63, 64, 1_000] {
            assert!(accepted.insert(sequence));
        }
        assert_eq!(accepted.not_in(&delivered), 4);
        for sequence in [63, 64, 5_000] {
            delivered.insert(sequence);
        }
        assert_eq!(accepted.not_in(&delivered), 2);
        assert_eq!(delivered.not_in(&accepted), 1);
    }

    #[test]
    fn only_the_first_arrival_counts() {
        let mut arrivals = Arrivals::new().unwrap();
        let second = Duration::from_secs(1);
        arrivals.arrive(7, Duration::ZERO, second);
        arrivals.arrive(7, Duration::ZERO, 9 * second);
        assert_eq!((arrivals.delivered.len(), arrivals.duplicates, arrivals.last), (1, 1, second));
        assert!((arrivals.latencies.summary().unwrap().max - 1_000.0).abs() < 1.0);
    }
}
