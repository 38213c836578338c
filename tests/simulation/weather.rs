use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::RepositoryError;

use super::scheduler::Scheduler;
use crate::support::memory::Weather;

/// One process's way to the database.
pub struct SimWeather {
    scheduler: Scheduler,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Default)]
pub struct State {
    /// Nothing arrives until it is over.
    pub is_away: bool,
    /// How likely a request is lost.
    pub lost: f64,
    /// How likely an answer is lost, although it was done.
    pub unanswered: f64,
    pub slow: f64,
}

impl SimWeather {
    pub fn new(scheduler: Scheduler) -> Self {
        Self { scheduler, state: Mutex::default() }
    }

    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    async fn travel(&self, lost: impl Fn(State) -> f64) -> Result<(), RepositoryError> {
        let state = *self.state.lock().unwrap();
        if state.slow > 0.0 && self.scheduler.chance(state.slow) {
            let pause = self.scheduler.between(Duration::from_millis(1), Duration::from_secs(2));
            self.scheduler.sleep(pause).await;
        } else {
            self.scheduler.pass().await;
        }
        if state.is_away {
            // As long as a caller waits for an answer.
            self.scheduler.sleep(Duration::from_millis(500)).await;
            return Err(RepositoryError::Unavailable("away".to_owned()));
        }
        if self.scheduler.chance(lost(state)) {
            return Err(RepositoryError::Unavailable("lost".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Weather for SimWeather {
    async fn before(&self, _: &'static str) -> Result<(), RepositoryError> {
        self.travel(|state| state.lost).await
    }

    async fn after(&self, _: &'static str) -> Result<(), RepositoryError> {
        self.travel(|state| state.unanswered).await
    }
}
