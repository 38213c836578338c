//! When which message is to be sent: as soon as a connection is free, or at a fixed rate whatever the server does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// What is due at a fixed rate may still be sent this long after the duration is over; then it never is.
const GRACE: Duration = Duration::from_secs(1);

/// The shortest and the longest sleep of the task that keeps the rate: it does not spin, and it sees a stop.
const SLEEPS: (Duration, Duration) = (Duration::from_micros(200), Duration::from_millis(100));

/// How much is to be sent, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// At most so many messages.
    pub messages: Option<u64>,
    /// Not longer than this.
    pub duration: Option<Duration>,
    /// Messages a second, at fixed times (an open loop). None: one after the other on each connection (a closed loop).
    pub rate: Option<f64>,
}

impl Plan {
    /// How many messages there are in all, where that is known before.
    pub fn messages(&self) -> Option<u64> {
        match (self.messages, self.rate, self.duration) {
            (Some(messages), ..) => Some(messages),
            (None, Some(rate), Some(duration)) => Some(((rate * duration.as_secs_f64()) as u64).max(1)),
            _ => None,
        }
    }
}

/// One message's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    pub sequence: u64,
    /// When it was to be sent, from the beginning of the run: latency counts from here.
    pub start: Duration,
}

/// Hands out the turns of a run, which begins when this is made.
pub struct Schedule {
    plan: Plan,
    began: Instant,
    next: AtomicU64,
    /// Turns that are due; only at a fixed rate.
    due: Semaphore,
    pub stop: CancellationToken,
}

impl Schedule {
    pub fn begin(plan: Plan, stop: CancellationToken) -> Self {
        Self { plan, began: Instant::now(), next: AtomicU64::new(0), due: Semaphore::new(0), stop }
    }

    pub fn began(&self) -> Instant {
        self.began
    }

    /// The next turn, when it is due. None when there is none any more.
    pub async fn next(&self) -> Option<Turn> {
        if self.plan.rate.is_some() {
            self.due.acquire().await.ok()?.forget();
        }
        self.take(self.began.elapsed())
    }

    fn take(&self, now: Duration) -> Option<Turn> {
        let grace = self.plan.rate.map_or(Duration::ZERO, |_| GRACE);
        let over = self.plan.duration.is_some_and(|duration| now >= duration + grace);
        if over || self.stop.is_cancelled() {
            return None;
        }
        let sequence = self.next.fetch_add(1, Ordering::Relaxed);
        if self.plan.messages().is_some_and(|messages| sequence >= messages) {
            return None;
        }
        let start = self.plan.rate.map_or(now, |rate| intended(sequence, rate));
        Some(Turn { sequence, start })
    }

    /// Turns that were handed out.
    pub fn taken(&self) -> u64 {
        let next = self.next.load(Ordering::Relaxed);
        self.plan.messages().map_or(next, |messages| next.min(messages))
    }

    /// Messages that were to be sent and were not.
    pub fn unsent(&self) -> u64 {
        self.plan.messages().map_or(0, |messages| messages - self.taken())
    }

    /// Makes turns due at their times; nothing to do without a rate. It blocks a thread of its own, because a runtime's
    /// timers are a millisecond coarse, which would be a large part of what is measured. `workers` is how many wait for turns.
    pub fn keep_the_rate(&self, workers: usize) {
        let (Some(rate), Some(messages)) = (self.plan.rate, self.plan.messages()) else { return };
        let mut released = 0;
        while released < messages && !self.stop.is_cancelled() {
            let now = self.began.elapsed();
            let due = due_at(now, rate).min(messages);
            self.due.add_permits(usize::try_from(due.saturating_sub(released)).unwrap_or(0));
            released = released.max(due);
            let wait = intended(released, rate).saturating_sub(now);
            std::thread::sleep(wait.clamp(SLEEPS.0, SLEEPS.1));
        }
        // Every worker that still waits learns that there is nothing left.
        self.due.add_permits(workers);
    }
}

fn intended(sequence: u64, rate: f64) -> Duration {
    Duration::from_secs_f64(sequence as f64 / rate)
}

fn due_at(now: Duration, rate: f64) -> u64 {
    (now.as_secs_f64() * rate) as u64 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn begun(messages: Option<u64>, duration: Option<Duration>, rate: Option<f64>) -> Schedule {
        Schedule::begin(Plan { messages, duration, rate }, CancellationToken::new())
    }

    #[test]
    fn at_a_fixed_rate_a_late_turn_counts_from_its_time() {
        let schedule = begun(None, Some(10 * SECOND), Some(4.0));
        let turns: Vec<Turn> = std::iter::repeat_with(|| schedule.take(5 * SECOND).unwrap()).take(3).collect();
        let starts: Vec<u128> = turns.iter().map(|turn| turn.start.as_millis()).collect();
        assert_eq!(starts, [0, 250, 500]);
    }

    #[test]
    fn one_after_the_other_a_turn_counts_from_now() {
        let schedule = begun(Some(2), None, None);
        assert_eq!(schedule.take(SECOND), Some(Turn { sequence: 0, start: SECOND }));
        assert_eq!(schedule.take(3 * SECOND), Some(Turn { sequence: 1, start: 3 * SECOND }));
        assert_eq!(schedule.take(3 * SECOND), None);
        assert_eq!((schedule.taken(), schedule.unsent()), (2, 0));
    }

    #[test]
    fn a_rate_and_a_duration_are_a_number_of_messages() {
        let plan = |rate, duration| Plan { messages: None, duration: Some(duration), rate: Some(rate) };
        assert_eq!(plan(150.0, 2 * SECOND).messages(), Some(300));
        assert_eq!(plan(0.1, SECOND).messages(), Some(1));
        assert_eq!(Plan { messages: None, duration: Some(SECOND), rate: None }.messages(), None);
    }

    #[test]
    fn what_was_not_sent_in_time_is_counted() {
        let schedule = begun(None, Some(SECOND), Some(10.0));
        assert!(schedule.take(SECOND).is_some(), "the last ones may be a little late");
        assert_eq!(schedule.take(2 * SECOND), None);
        assert_eq!(schedule.unsent(), 9);
        let schedule = begun(None, Some(SECOND), None);
        assert_eq!(schedule.take(SECOND), None);
        assert_eq!(schedule.unsent(), 0, "no total was given");
    }

    #[test]
    fn turns_are_due_from_their_time_on() {
        assert_eq!(due_at(Duration::ZERO, 4.0), 1);
        assert_eq!(due_at(Duration::from_millis(249), 4.0), 1);
        assert_eq!(due_at(Duration::from_millis(250), 4.0), 2);
    }

    #[tokio::test]
    async fn everybody_who_waits_learns_that_it_is_over() {
        let schedule = begun(Some(3), None, Some(1_000_000.0));
        schedule.keep_the_rate(2);
        let mut sequences = Vec::new();
        while let Some(turn) = schedule.next().await {
            sequences.push(turn.sequence);
        }
        assert_eq!(sequences, [0, 1, 2]);
        assert_eq!(schedule.next().await, None);
        let stopped = begun(Some(3), None, Some(0.001));
        stopped.stop.cancel();
        stopped.keep_the_rate(1);
        assert_eq!(stopped.next().await, None);
    }
}
