//! How often the open messages of a tenant are counted, and what becomes of those who want to enter meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::messages::open_bound::{Entered, OpenBound, TooManyOpen};
use correio::application::ports::RepositoryError;
use correio::domain::message::MessageStatus;
use futures::future::join_all;

use super::scripted::ManualClock;
use crate::support::databases::Adapters;
use crate::support::given::{message, node, tenant};
use crate::support::memory::{MemoryDatabase, Statement, Weather};

/// Counts how often it is counted.
#[derive(Default)]
struct Counted {
    times: AtomicUsize,
    is_away: AtomicBool,
}

#[async_trait]
impl Weather for Counted {
    async fn carry(&self, operation: &'static str, statement: Statement) -> Result<(), RepositoryError> {
        // Others come in between.
        tokio::task::yield_now().await;
        if operation == "search.count_open" {
            self.times.fetch_add(1, Ordering::Relaxed);
            if self.is_away.load(Ordering::Relaxed) {
                return Err(RepositoryError::Unavailable("away".to_owned()));
            }
        }
        statement();
        Ok(())
    }
}

impl Counted {
    /// Since it was asked last.
    fn times(&self) -> usize {
        self.times.swap(0, Ordering::Relaxed)
    }
}

async fn begin(open: usize, limit: u64) -> (Adapters, Arc<Counted>, Arc<ManualClock>, OpenBound) {
    let (counted, clock) = (Arc::new(Counted::default()), Arc::new(ManualClock::new()));
    let adapters = MemoryDatabase::default().under(counted.clone()).adapters();
    for _ in 0..open {
        adapters.messages.accept(&message(MessageStatus::Queued, node()), None).await.unwrap();
    }
    let bound = OpenBound::new(adapters.search.clone(), adapters.broadcasts.clone(), clock.clone(), Some(limit));
    (adapters, counted, clock, bound)
}

/// So many at once, while time passes.
async fn enter<'a>(
    bound: &'a OpenBound,
    clock: &ManualClock,
    times: usize,
) -> Vec<Result<Option<Entered<'a>>, TooManyOpen>> {
    let acme = tenant("acme");
    let passing = async {
        loop {
            tokio::task::yield_now().await;
            clock.advance(Duration::from_millis(1));
        }
    };
    tokio::select! {
        entered = join_all((0..times).map(|_| bound.enter(&acme, 1))) => entered,
        () = passing => unreachable!("time passes for ever"),
    }
}

#[tokio::test]
async fn however_many_come_at_once_they_are_counted_for_together() {
    let (_, counted, clock, bound) = begin(3, 40).await;
    for _ in 0..3 {
        let entered = enter(&bound, &clock, 50).await;
        assert_eq!(entered.iter().filter(|entered| entered.is_ok()).count(), 37, "those that leave do so afterwards");
        let times = counted.times();
        assert!(times <= 3, "counted {times} times");
        drop(entered);
        clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn who_is_refused_is_refused_by_what_was_counted_after_he_came() {
    let (adapters, counted, clock, bound) = begin(3, 3).await;
    let acme = tenant("acme");
    let refused = bound.enter(&acme, 1).await.err().unwrap();
    assert_eq!((refused.open, refused.limit, counted.times()), (3, 3, 1));
    clock.advance(Duration::from_millis(1));
    assert!(bound.enter(&acme, 1).await.is_err());
    assert_eq!(counted.times(), 1, "another process may have ended one");
    drop(adapters);
}

#[tokio::test]
async fn while_nothing_can_be_counted_all_enter_and_ask_once_together() {
    let (_, counted, clock, bound) = begin(0, 10).await;
    counted.is_away.store(true, Ordering::Relaxed);
    let entered = enter(&bound, &clock, 10).await;
    assert!(entered.iter().all(Result::is_ok));
    assert_eq!(counted.times(), 1);
}
