//! Clients that look for messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::filters::{Filter, Search};
use crate::Result;
use crate::connection::Connection;

/// What they were answered.
#[derive(Default)]
pub struct Tally {
    pub searches: u64,
    pub refused: u64,
    pub slowest: Duration,
}

impl Tally {
    fn count(&mut self, search: &Search) {
        self.add(&Self { searches: 1, refused: u64::from(search.was_refused), slowest: search.took });
    }

    pub fn add(&mut self, other: &Self) {
        self.searches += other.searches;
        self.refused += other.refused;
        self.slowest = self.slowest.max(other.slowest);
    }
}

/// So many clients ask the same at the same time, each once.
///
/// # Errors
/// When the server is not there, does not understand it, or does not find what is there.
pub async fn at_once(address: &str, clients: usize, filter: &Filter) -> Result<Tally> {
    let barrier = Arc::new(Barrier::new(clients));
    let mut searches = JoinSet::new();
    for _ in 0..clients {
        let mut connection = Connection::open(address).await?;
        let (barrier, filter) = (barrier.clone(), filter.clone());
        searches.spawn(async move {
            barrier.wait().await;
            filter.ask(&mut connection).await
        });
    }
    let mut tally = Tally::default();
    while let Some(search) = searches.join_next().await {
        tally.count(&search??);
    }
    Ok(tally)
}

/// Clients that ask for everything in turn, without a pause.
pub struct Searchers {
    clients: JoinSet<Result<Tally>>,
    is_over: Arc<AtomicBool>,
}

impl Searchers {
    pub fn begin(address: &str, count: usize, filters: &[Filter]) -> Self {
        let (mut clients, is_over) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
        for client in 0..count {
            let (mut filters, first) = (filters.to_vec(), client * filters.len() / count);
            filters.rotate_left(first);
            clients.spawn(search(address.to_owned(), filters, is_over.clone()));
        }
        Self { clients, is_over }
    }

    /// Returns when each has its last answer.
    ///
    /// # Errors
    /// As [`at_once`].
    pub async fn end(mut self) -> Result<Tally> {
        self.is_over.store(true, Relaxed);
        let mut tally = Tally::default();
        while let Some(client) = self.clients.join_next().await {
            tally.add(&client??);
        }
        Ok(tally)
    }
}

async fn search(address: String, filters: Vec<Filter>, is_over: Arc<AtomicBool>) -> Result<Tally> {
    let (mut tally, mut connection) = (Tally::default(), Connection::open(&address).await?);
    for filter in filters.iter().cycle() {
        if is_over.load(Relaxed) {
            break;
        }
        let search = filter.ask(&mut connection).await?;
        if search.was_refused {
            // Its answer may still come.
            connection = Connection::open(&address).await?;
        }
        tally.count(&search);
    }
    Ok(tally)
}
