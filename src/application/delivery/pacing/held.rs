//! The slots that this process has of one instance, and who waits for one: in memory, without I/O.

use std::collections::VecDeque;
use std::time::Duration;

use futures::channel::oneshot;

use crate::domain::instance::pace::{HORIZON, Pace, Reserved, SLOT_LIVES};

/// The right to call an instance once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Not before this, by the monotonic clock.
    pub at: Duration,
}

impl Slot {
    /// Whether it is too late for it: the slots after it are used on time.
    pub fn is_lost(self, now: Duration) -> bool {
        now > self.at.saturating_add(SLOT_LIVES)
    }
}

pub struct Held {
    pub pace: Pace,
    slots: VecDeque<Slot>,
    /// The time of the next slot that nobody had when that was last asked for.
    next: Duration,
    /// Not asked again before this.
    ask_at: Duration,
    /// How many wait in the consumer.
    pub queued: usize,
    /// And those that wait for themselves.
    waiting: VecDeque<oneshot::Sender<Slot>>,
    /// A task asks for slots and gives them out.
    pub is_served: bool,
    /// When there last was something to send.
    pub touched: Duration,
}

/// What is to be done for those that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many slots are to be reserved.
    Ask(u32),
    Sleep(Duration),
    /// Nothing waits any more.
    End,
}

/// A slot may be given out so much before its time: its claim takes as long, and its call waits for it.
const NEARLY: Duration = Duration::from_millis(10);

/// The next are asked for when the last lies no further ahead.
const PREFETCH: Duration = Duration::from_millis(500);

/// Between two answers that gave nothing.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// Slots are given out together that lie closer.
const TICK: Duration = Duration::from_millis(5);

/// Something may have changed: its rate, above all.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// How long a message may wait here for its slot: it comes back so long before it, and from a broker in its own time.
const WAITS: Duration = Duration::from_millis(2_500);

impl Held {
    pub fn new(pace: Pace, now: Duration) -> Self {
        Self {
            pace,
            slots: VecDeque::new(),
            next: now,
            ask_at: now,
            queued: 0,
            waiting: VecDeque::new(),
            is_served: false,
            touched: now,
        }
    }

    /// A slot whose time has come, or nearly. Those that wait for themselves come first.
    pub fn take(&mut self, now: Duration) -> Option<Slot> {
        self.touched = now;
        self.drop_lost(now);
        self.waiting.retain(|waiting| !waiting.is_canceled());
        if self.waiting.is_empty() { self.due(now) } else { None }
    }

    /// Its call was not made.
    pub fn give_back(&mut self, slot: Slot) {
        self.slots.push_front(slot);
    }

    pub fn wait(&mut self, now: Duration) -> oneshot::Receiver<Slot> {
        let (sender, receiver) = oneshot::channel();
        self.touched = now;
        self.waiting.push_back(sender);
        receiver
    }

    /// How long one waits for a slot that comes after all that wait already.
    pub fn expected(&self, now: Duration) -> Duration {
        let waiting = self.demand();
        let at = match self.slots.get(waiting) {
            Some(slot) => slot.at,
            None => {
                let behind = u32::try_from(waiting.saturating_sub(self.slots.len())).unwrap_or(u32::MAX);
                let interval = Duration::from_nanos(self.pace.interval());
                self.next.max(now).saturating_add(interval.saturating_mul(behind))
            }
        };
        at.saturating_sub(now)
    }

    /// Whether one more may wait here.
    pub fn may_wait(&self, now: Duration) -> bool {
        self.expected(now) <= WAITS
    }

    /// Gives slots to those that wait for themselves; whether the consumer can have one.
    pub fn serve(&mut self, now: Duration) -> bool {
        self.drop_lost(now);
        self.waiting.retain(|waiting| !waiting.is_canceled());
        while !self.waiting.is_empty() {
            let Some(slot) = self.due(now) else { return false };
            let mut slot = Some(slot);
            while let Some(waiting) = self.waiting.pop_front() {
                // It may have given up since.
                let Err(back) = waiting.send(slot.take().unwrap_or(Slot { at: now })) else { break };
                slot = Some(back);
            }
            if let Some(unused) = slot {
                self.give_back(unused);
            }
        }
        self.queued > 0 && self.slots.front().is_some_and(|slot| slot.at <= now + NEARLY)
    }

    pub fn step(&mut self, now: Duration) -> Step {
        self.drop_lost(now);
        self.waiting.retain(|waiting| !waiting.is_canceled());
        let (demand, held) = (self.demand(), self.slots.len());
        if demand == 0 {
            return Step::End;
        }
        self.touched = now;
        let asks = demand > held;
        let ask_at = self.slots.back().map_or(self.ask_at, |last| self.ask_at.max(last.at.saturating_sub(PREFETCH)));
        if asks && ask_at <= now {
            let wanted = u32::try_from(demand - held).unwrap_or(u32::MAX);
            return Step::Ask(wanted.min(self.pace.block()));
        }
        let slot_at = self.slots.front().map(|slot| slot.at);
        let next = slot_at.into_iter().chain(asks.then_some(ask_at)).min().unwrap_or(now + LONGEST_SLEEP);
        Step::Sleep(next.saturating_sub(now).clamp(TICK, LONGEST_SLEEP))
    }

    /// What was reserved, as it was answered at `now`: no slot is used before its time by the clock that all share.
    pub fn granted(&mut self, reserved: &Reserved, now: Duration) {
        let interval = Duration::from_nanos(self.pace.interval());
        let first = after(now, reserved.first_slot);
        // Those of a burst lie back: they are used as soon as they are here.
        self.slots.extend((0..reserved.slots).map(|nth| Slot { at: first.saturating_add(interval * nth).max(now) }));
        self.next = after(now, reserved.next_slot);
        let pause = if reserved.slots == 0 { SHORTEST_PAUSE } else { Duration::ZERO };
        self.ask_at = (now + pause).max(self.next.saturating_sub(HORIZON));
    }

    /// The database did not answer.
    pub fn unanswered(&mut self, now: Duration) {
        self.ask_at = now + SHORTEST_PAUSE * 4;
    }

    /// Another pace: what was said of the former one does not hold.
    pub fn change(&mut self, pace: Pace, now: Duration) {
        if self.pace != pace {
            self.pace = pace;
            self.next = self.next.min(now);
            self.ask_at = self.ask_at.min(now);
        }
    }

    fn demand(&self) -> usize {
        self.queued + self.waiting.len()
    }

    fn due(&mut self, now: Duration) -> Option<Slot> {
        self.slots.pop_front_if(|slot| slot.at <= now + NEARLY)
    }

    fn drop_lost(&mut self, now: Duration) {
        while self.slots.pop_front_if(|slot| slot.is_lost(now)).is_some() {}
    }
}

fn after(now: Duration, nanos: i64) -> Duration {
    let distance = Duration::from_nanos(nanos.unsigned_abs());
    if nanos < 0 { now.saturating_sub(distance) } else { now.saturating_add(distance) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    /// At 600 a minute, with so many that wait in the consumer.
    fn held(queued: usize) -> Held {
        let mut held = Held::new(Pace::new(600, None).unwrap(), ms(0));
        held.queued = queued;
        held
    }

    fn reserved(slots: u32, first_slot: i64) -> Reserved {
        let next_slot = first_slot + i64::from(slots) * SECOND / 10;
        Reserved { slots, first_slot, next_slot, first_return: next_slot }
    }

    #[test]
    fn a_slot_is_given_out_at_its_time_and_a_late_one_never() {
        let mut held = held(3);
        assert_eq!(held.step(ms(0)), Step::Ask(3));
        held.granted(&reserved(3, SECOND / 10), ms(0));
        assert_eq!(held.take(ms(80)), None);
        assert_eq!(held.take(ms(95)), Some(Slot { at: ms(100) }), "nearly");
        assert_eq!(held.take(ms(1_250)), Some(Slot { at: ms(300) }), "that of 200 ms is lost");
    }

    #[test]
    fn with_more_waiting_the_next_are_asked_for_while_some_are_left() {
        let mut held = held(100);
        assert_eq!(held.step(ms(0)), Step::Ask(5), "the slots of half a second");
        held.granted(&reserved(5, 0), ms(0));
        assert_eq!(held.step(ms(0)), Step::Ask(5));
        held.granted(&reserved(5, SECOND / 2), ms(0));
        assert_eq!(held.step(ms(0)), Step::Sleep(TICK), "the first is due");
        while held.take(ms(100)).is_some() {}
        assert_eq!(held.step(ms(100)), Step::Sleep(ms(100)));
        assert_eq!(held.step(ms(400)), Step::Ask(5), "that of 900 ms is no further ahead");
    }

    #[test]
    fn the_one_who_waits_for_himself_comes_first() {
        let mut held = held(1);
        let mut waiting = held.wait(ms(0));
        held.granted(&reserved(1, 0), ms(0));
        assert_eq!(held.take(ms(0)), None);
        assert!(!held.serve(ms(0)), "none is left for the consumer");
        assert_eq!(waiting.try_recv(), Ok(Some(Slot { at: ms(0) })));
    }

    #[test]
    fn one_who_has_given_up_gets_none() {
        let mut held = held(1);
        drop(held.wait(ms(0)));
        held.granted(&reserved(1, 0), ms(0));
        assert!(held.serve(ms(0)));
        assert_eq!(held.take(ms(0)), Some(Slot { at: ms(0) }));
    }

    #[test]
    fn only_those_wait_here_whose_turn_comes_soon() {
        let mut held = held(0);
        held.granted(&reserved(0, 0), ms(0));
        assert!(held.may_wait(ms(0)));
        held.queued = 25;
        assert!(held.may_wait(ms(0)));
        held.queued = 26;
        assert!(!held.may_wait(ms(0)));
        assert_eq!(held.expected(ms(0)), ms(2_600));
    }

    #[test]
    fn without_anybody_who_waits_nothing_is_asked() {
        assert_eq!(held(0).step(ms(0)), Step::End);
    }
}
