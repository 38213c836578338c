//! When messages come back that found no slot: tickets, numbered in the order in which they were put off, and the times that
//! were reserved for them.

use std::collections::VecDeque;
use std::time::Duration;

use futures::channel::oneshot;

use crate::domain::instance::InstanceId;
use crate::domain::instance::pace::{MOST_RETURNS, return_after};

/// The place of a message among those of its instance that this process puts off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub instance: InstanceId,
    /// Which returns numbered it.
    of: u64,
    number: u64,
}

#[derive(Default)]
pub struct Returns {
    /// Those of an instance that was forgotten and came again are others.
    of: u64,
    next: u64,
    /// Below this, times are reserved.
    reserved: u64,
    blocks: VecDeque<Block>,
    is_asking: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

struct Block {
    first: u64,
    /// When it was reserved, by the monotonic clock.
    at: Duration,
    /// How long after that the first of them is, in nanoseconds.
    after: i64,
    interval: u64,
}

/// A ticket that was not asked for its time so long after others gets that of those.
const MOST_BLOCKS: usize = 256;

/// How a ticket gets its time.
pub enum Asked {
    At(Duration),
    /// So many times are to be reserved, by who asked.
    Reserve(u32),
    /// Who asked before reserves them.
    Wait(oneshot::Receiver<()>),
}

impl Returns {
    pub fn new(of: u64) -> Self {
        Self { of, ..Self::default() }
    }

    pub fn ticket(&mut self, instance: InstanceId) -> Ticket {
        self.next += 1;
        Ticket { instance, of: self.of, number: self.next - 1 }
    }

    /// The ticket, or the next one if its instance was forgotten meanwhile: its number says nothing here.
    pub fn known(&mut self, ticket: Ticket) -> Ticket {
        if ticket.of == self.of { ticket } else { self.ticket(ticket.instance) }
    }

    pub fn ask(&mut self, Ticket { number, .. }: Ticket) -> Asked {
        if number < self.reserved {
            let block = self.blocks.iter().rev().find(|block| block.first <= number).or(self.blocks.front());
            let Some(block) = block else { return Asked::At(Duration::ZERO) };
            let after = return_after(block.after, block.interval, number.saturating_sub(block.first));
            return Asked::At(block.at.saturating_add(Duration::from_nanos(after.unsigned_abs())));
        }
        if self.is_asking {
            let (sender, receiver) = oneshot::channel();
            self.waiting.push(sender);
            return Asked::Wait(receiver);
        }
        self.is_asking = true;
        Asked::Reserve(u32::try_from(self.next - self.reserved).unwrap_or(u32::MAX).min(MOST_RETURNS))
    }

    /// At this moment, by the monotonic clock; the first of them so many nanoseconds after it.
    pub fn answered(&mut self, times: u32, (at, after): (Duration, i64), interval: u64) {
        self.blocks.push_back(Block { first: self.reserved, at, after, interval });
        self.reserved += u64::from(times);
        if self.blocks.len() > MOST_BLOCKS {
            self.blocks.pop_front();
        }
        self.unanswered();
    }

    /// Another one asks.
    pub fn unanswered(&mut self) {
        self.is_asking = false;
        self.waiting.drain(..).for_each(|waiting| _ = waiting.send(()));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn at(asked: Asked) -> Option<u64> {
        if let Asked::At(at) = asked { Some(at.as_secs()) } else { None }
    }

    #[test]
    fn a_ticket_of_an_instance_that_was_forgotten_is_one_more() {
        let instance = InstanceId(Uuid::nil());
        let mut former = Returns::new(1);
        let old = (0..5_000).map(|_| former.ticket(instance)).last().unwrap();
        let mut returns = Returns::new(2);
        let known = returns.known(old);
        assert!(matches!(returns.ask(known), Asked::Reserve(1)), "one is asked for, not thousands");
        returns.answered(1, (Duration::from_secs(10), 3_000_000_000), 1_000_000_000);
        assert_eq!(at(returns.ask(known)), Some(13));
        assert_eq!(returns.known(known), known);
    }
}
