//! The way of one process's statements to the database and back.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::ports::RepositoryError;
use correio::domain::Timestamp;
use futures::channel::oneshot;
use futures::future::{Either, select};

use super::chronicle::Chronicle;
use super::scheduler::{OUTSIDE, ProcessId, Scheduler};
use crate::support::given::at;
use crate::support::memory::{MemoryDatabase, Statement, Weather};

/// How long a process waits for an answer, unless a run says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// How long after it was sent a statement may still be carried out.
pub const LATEST: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug, Default)]
pub struct State {
    /// How likely a request is lost.
    pub lost: f64,
    /// How likely an answer is lost, although it was done.
    pub unanswered: f64,
    /// How likely it is slow, so that some are given up before they are carried out.
    pub slow: f64,
}

/// On an ordinary bad day.
pub const BAD: State = State { lost: 0.1, unanswered: 0.1, slow: 0.3 };

/// Whether the database answers nobody, and how often it has died.
#[derive(Clone, Default)]
pub struct Outage {
    is_away: Arc<AtomicBool>,
    deaths: Arc<AtomicU32>,
}

impl Outage {
    pub fn set(&self, is_away: bool) {
        self.is_away.store(is_away, Ordering::Relaxed);
    }

    /// Every connection is gone, and what was on its way on it.
    pub fn dies(&self) {
        self.set(true);
        self.deaths.fetch_add(1, Ordering::Relaxed);
    }

    fn is_on(&self) -> bool {
        self.is_away.load(Ordering::Relaxed)
    }

    fn deaths(&self) -> u32 {
        self.deaths.load(Ordering::Relaxed)
    }
}

/// A statement travels on its own: it arrives also when its process has died or is frozen.
pub struct SimWeather {
    pub scheduler: Scheduler,
    pub process: ProcessId,
    pub database: MemoryDatabase,
    pub outage: Outage,
    pub chronicle: Chronicle,
    pub patience: Duration,
    pub state: Mutex<State>,
}

impl SimWeather {
    pub fn change(&self, state: State) {
        *self.state.lock().unwrap() = state;
    }

    /// What an answer says may be long past when it is there.
    fn pause_back(&self, state: State) -> Duration {
        let longest = if self.scheduler.chance(state.slow) { self.patience } else { Duration::from_millis(2) };
        self.scheduler.between(Duration::ZERO, longest)
    }

    fn pause(&self, state: State) -> Duration {
        self.scheduler.draw(|rng| {
            let longest = if rng.f64() < state.slow { if rng.bool() { 2_000 } else { 8_000 } } else { rng.u64(0..12) };
            Duration::from_micros(rng.u64(0..=longest * 1_000))
        })
    }

    async fn failed(&self, operation: &'static str, sent: Duration) -> Result<(), RepositoryError> {
        let now = self.scheduler.now();
        if !self.outage.is_on() {
            self.chronicle.say(now, format!("{:?} gets no answer to {operation}", self.process));
            self.chronicle.interrupted(Some(self.process), sent, now + LATEST);
        }
        Err(RepositoryError::Unavailable("no answer".to_owned()))
    }
}

#[async_trait]
impl Weather for SimWeather {
    fn now(&self) -> Option<Timestamp> {
        Some(at(0) + self.scheduler.now())
    }

    async fn carry(&self, operation: &'static str, statement: Statement) -> Result<(), RepositoryError> {
        let (scheduler, sent) = (&self.scheduler, self.scheduler.now());
        let state = *self.state.lock().unwrap();
        if self.outage.is_on() {
            scheduler.sleep(scheduler.between(Duration::from_millis(10), self.patience)).await;
            return self.failed(operation, sent).await;
        }
        if scheduler.chance(state.lost) {
            scheduler.sleep(self.patience).await;
            return self.failed(operation, sent).await;
        }
        let (there, back) = (self.pause(state), self.pause_back(state));
        let is_unanswered = scheduler.chance(state.unanswered);
        let (answer, answered) = oneshot::channel();
        let way = Way { scheduler: scheduler.clone(), outage: self.outage.clone(), database: self.database.clone() };
        let (chronicle, deaths) = (self.chronicle.clone(), self.outage.deaths());
        scheduler.spawn(
            OUTSIDE,
            Box::pin(async move {
                way.scheduler.sleep(there).await;
                if way.outage.is_on() || way.outage.deaths() != deaths {
                    return;
                }
                statement();
                chronicle.changed(way.database.lengths(), way.scheduler.now());
                way.scheduler.sleep(back).await;
                if !is_unanswered && way.outage.deaths() == deaths {
                    let _ = answer.send(());
                }
            }),
        );
        match select(answered, scheduler.sleep(self.patience)).await {
            Either::Left((Ok(()), _)) => Ok(()),
            Either::Left((Err(_), patience)) => {
                patience.await;
                self.failed(operation, sent).await
            }
            Either::Right(_) => self.failed(operation, sent).await,
        }
    }
}

struct Way {
    scheduler: Scheduler,
    outage: Outage,
    database: MemoryDatabase,
}
