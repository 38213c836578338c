//! When messages come back that found no slot: tickets, numbered in the order in which they were put off, and the times that
//! were reserved for them.

use std::collections::VecDeque;
use std::time::Duration;

use futures::channel::oneshot;

use crate::domain::instance::InstanceId;

/// The place of a message among those of its instance that this process puts off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub instance: InstanceId,
    number: u64,
}

#[derive(Default)]
pub struct Returns {
    next: u64,
    /// Below this, times are reserved.
    reserved: u64,
    blocks: VecDeque<Block>,
    is_asking: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

struct Block {
    first: u64,
    /// By the monotonic clock.
    at: Duration,
    interval: Duration,
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
    pub fn ticket(&mut self, instance: InstanceId) -> Ticket {
        self.next += 1;
        Ticket { instance, number: self.next - 1 }
    }

    pub fn ask(&mut self, Ticket { number, .. }: Ticket) -> Asked {
        // Its instance was forgotten meanwhile.
        self.next = self.next.max(number + 1);
        if number < self.reserved {
            let block = self.blocks.iter().rev().find(|block| block.first <= number).or(self.blocks.front());
            let Some(block) = block else { return Asked::At(Duration::ZERO) };
            let nth = u32::try_from(number.saturating_sub(block.first)).unwrap_or(u32::MAX);
            return Asked::At(block.at.saturating_add(block.interval.saturating_mul(nth)));
        }
        if self.is_asking {
            let (sender, receiver) = oneshot::channel();
            self.waiting.push(sender);
            return Asked::Wait(receiver);
        }
        self.is_asking = true;
        Asked::Reserve(u32::try_from(self.next - self.reserved).unwrap_or(u32::MAX))
    }

    pub fn answered(&mut self, times: u32, at: Duration, interval: Duration) {
        self.blocks.push_back(Block { first: self.reserved, at, interval });
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
