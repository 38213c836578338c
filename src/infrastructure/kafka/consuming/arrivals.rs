//! What the application is told, and for how long it is waited for.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::standing::Standing;
use crate::application::ports::{Arrival, Partition, Record};

/// Pause between two looks whether the application listens, or has drained its partitions.
pub const LOOK: Duration = Duration::from_millis(1);

/// Hands arrivals to the application, which may be slow.
#[derive(Clone)]
pub struct Arrivals {
    sender: mpsc::Sender<Arrival>,
    standing: Arc<Standing>,
    /// How long the application is waited for with what it may miss.
    drain_timeout: Duration,
}

impl Arrivals {
    pub fn new(sender: mpsc::Sender<Arrival>, standing: Arc<Standing>, drain_timeout: Duration) -> Self {
        Self { sender, standing, drain_timeout }
    }

    pub fn drain_timeout(&self) -> Duration {
        self.drain_timeout
    }

    pub fn record(&self, record: Record) {
        self.deliver(Arrival::Record(record), None);
    }

    /// However long the application takes to listen: records of a partition of which it has not heard are dropped there, and
    /// are read again only after another rebalance.
    pub fn assigned(&self, partitions: Vec<Partition>) {
        self.deliver(Arrival::Assigned(partitions), None);
    }

    pub fn given_up(&self, partitions: Vec<Partition>, drained: oneshot::Sender<()>) {
        self.deliver(Arrival::GivenUp { partitions, drained }, Some(self.drain_timeout));
    }

    pub fn closed(&self) {
        self.deliver(Arrival::Closed, Some(self.drain_timeout));
    }

    /// Without `patience`, waits until the application listens or shall end.
    fn deliver(&self, arrival: Arrival, patience: Option<Duration>) {
        let end = patience.map(|patience| Instant::now() + patience);
        let mut waiting = arrival;
        loop {
            match self.sender.try_send(waiting) {
                Ok(()) | Err(TrySendError::Closed(_)) => return,
                Err(TrySendError::Full(arrival)) => waiting = arrival,
            }
            let too_late = end.map_or_else(|| self.standing.is_closing(), |end| Instant::now() >= end);
            if too_late {
                return;
            }
            thread::sleep(LOOK);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// For which there is one place, which is taken.
    fn full(drain_timeout: Duration) -> (Arrivals, mpsc::Receiver<Arrival>, Arc<Standing>) {
        let (sender, receiver) = mpsc::channel(1);
        let standing = Arc::new(Standing::default());
        let arrivals = Arrivals::new(sender, standing.clone(), drain_timeout);
        arrivals.assigned(vec![Partition(0)]);
        (arrivals, receiver, standing)
    }

    #[test]
    fn an_application_that_listens_late_hears_of_its_partitions() {
        let (arrivals, mut receiver, _) = full(Duration::ZERO);
        let (drained, draining) = oneshot::channel();
        // What it may miss is dropped when it does not listen in time.
        arrivals.given_up(vec![Partition(7)], drained);
        assert!(draining.now_or_never().is_some());
        let waiting = thread::spawn(move || arrivals.assigned(vec![Partition(1)]));
        let mut heard = Vec::new();
        while let Some(arrival) = receiver.blocking_recv() {
            let Arrival::Assigned(partitions) = arrival else { panic!("{arrival:?}") };
            heard.extend(partitions);
        }
        waiting.join().unwrap();
        assert_eq!(heard, [Partition(0), Partition(1)]);
    }

    #[test]
    fn a_source_that_ends_waits_for_nobody() {
        let (arrivals, _receiver, standing) = full(Duration::ZERO);
        standing.close();
        arrivals.assigned(vec![Partition(1)]);
        arrivals.closed();
    }
}
