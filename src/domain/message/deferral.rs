//! Putting a queued message off whose instance may not be called now. No try is spent on it.

use std::time::Duration;

use super::MessageId;
use crate::domain::Timestamp;
use crate::domain::instance::pace::LONGEST_PACED;

/// How often a message is put off between its accept, or replay, and a claim. With no bound, two processes could put it off
/// in turns for ever, without any fault.
pub const MAX_DEFERRALS: u32 = 32;

/// The reason of one that must not overtake others.
pub const RECIPIENT_WAITS: &str = "Earlier messages to this recipient were put off.";

/// The longest first pause. Each one may be twice as long as the one before: so a message that waits because something is
/// broken is not looked at all the time, and once that is mended waits no longer than it has waited already.
const FIRST: Duration = Duration::from_secs(10);

/// How often the longest pause doubles: up to an hour and a half.
pub const DOUBLINGS: u32 = 9;

/// Until when to put one message off.
#[derive(Clone, Debug)]
pub struct Deferral {
    pub id: MessageId,
    /// How long it is expected to take until the instance may be called; none: unknown. Of one that is longer than
    /// [`longest_pause`] only the rest counts, so that messages that wait for long come back one after the other, and not all
    /// at once.
    pub pause: Option<Duration>,
    /// Whether it waits for the pace of its instance: then the pause was [asked for](crate::domain::instance::pace::Course), and is
    /// as long as that, if it is not too far off for a rate that is changed to be felt ([`LONGEST_PACED`]).
    pub is_paced: bool,
    /// When the message that it must not overtake comes back.
    pub not_before: Option<Timestamp>,
    /// A sentence for people.
    pub reason: String,
    /// Whether perhaps no process can ever deliver it (`UNDELIVERABLE_AFTER`). Otherwise it waits for a place.
    pub is_undeliverable: bool,
    pub now: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deferred {
    Until(Timestamp),
    /// It is not waiting to be claimed: it has been claimed, waits for its time, has ended, or does not exist.
    Nothing,
    /// It was put off [`MAX_DEFERRALS`] times: it has to be claimed.
    TooOften,
}

/// How long a message may be put off that was put off `deferrals` times before.
pub fn longest_pause(deferrals: u32) -> Duration {
    FIRST * 2_u32.pow(deferrals.min(DOUBLINGS))
}

/// From then on the shortest pause doubles, too, at this share of the longest. So no mistake about the time, such as a clock
/// that is behind those of other processes, brings a message back all the time.
pub const OFTEN: u32 = 4;
pub const SHORTEST_OF_LONGEST: u32 = 16;

fn shortest_pause(deferrals: u32) -> Duration {
    if deferrals < OFTEN { Duration::ZERO } else { longest_pause(deferrals) / SHORTEST_OF_LONGEST }
}

/// What remains of a pause that is longer than this one may be is at least so long.
pub const SHORTEST_REST: Duration = Duration::from_secs(1);

fn pause(asked: Option<Duration>, longest: Duration) -> Duration {
    match asked {
        None => longest,
        Some(pause) if pause <= longest => pause,
        Some(pause) => Duration::from_nanos((pause.as_nanos() % longest.as_nanos()) as u64).max(SHORTEST_REST),
    }
}

impl Deferral {
    /// When a message comes back that was put off `deferrals` times before.
    pub fn until(&self, deferrals: u32) -> Timestamp {
        let until = self.now
            + match self.pause {
                Some(pause) if self.is_paced => pause.min(LONGEST_PACED),
                asked => pause(asked, longest_pause(deferrals)).max(shortest_pause(deferrals)),
            };
        self.not_before.map_or(until, |not_before| until.max(not_before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_as_long_as_expected_but_at_first_not_longer_than_ten_seconds() {
        let now = Timestamp::UNIX_EPOCH;
        let id = MessageId(uuid::Uuid::nil());
        let until = |pause, deferrals, not_before| {
            let pause = (pause < u64::MAX).then(|| Duration::from_secs(pause));
            let reason = String::new();
            Deferral { id, pause, is_paced: false, not_before, reason, is_undeliverable: false, now }
                .until(deferrals)
                .timestamp()
        };
        assert_eq!([0, 3, 4, 5, 40].map(|deferrals| until(3, deferrals, None)), [3, 3, 10, 20, 320]);
        assert_eq!(
            [0, 1, 2, 9, 10, u32::MAX].map(|deferrals| until(u64::MAX, deferrals, None)),
            [10, 20, 40, 5_120, 5_120, 5_120]
        );
        assert_eq!([until(10, 0, None), until(13, 0, None), until(20, 0, None), until(13, 1, None)], [10, 3, 1, 13]);
        assert_eq!(until(3, 0, Some(now + Duration::from_secs(60))), 60);
        assert_eq!(until(3, 0, Some(now)), 3);
    }

    #[test]
    fn a_message_that_waits_for_a_pace_comes_back_when_it_is_next() {
        let until = |pause| {
            let (id, now) = (MessageId(uuid::Uuid::nil()), Timestamp::UNIX_EPOCH);
            let (pause, reason) = (Some(Duration::from_secs(pause)), String::new());
            Deferral { id, pause, is_paced: true, not_before: None, reason, is_undeliverable: false, now }
                .until(20)
                .timestamp()
        };
        assert_eq!([0, 3, 600, 632, 100_000].map(until), [0, 3, 600, 632, 3_600]);
    }
}
