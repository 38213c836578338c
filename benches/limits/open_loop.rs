//! Requests at a steady rate, whether or not the answers come. A request's time counts from when it was due, so that a
//! stall of the server is not hidden by a client that waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};
use tokio::task::LocalSet;

use crate::Result;
use crate::connection::Connection;

/// Requests that are due within this time are sent together.
const TICK: Duration = Duration::from_micros(200);

pub struct OpenLoop {
    pub address: String,
    /// Requests a second.
    pub rate: f64,
    pub seconds: u32,
    pub connections: usize,
    /// Sent in turn.
    pub requests: Vec<Vec<u8>>,
    /// What every answer has to be.
    pub status: u16,
    /// A request that is begun later than this says that the server does not keep up: why go on.
    pub latest: Duration,
}

pub struct Load {
    /// How long each request took that was answered.
    pub times: Vec<Duration>,
    /// Whether all were sent, and none later than allowed.
    pub kept_up: bool,
}

impl OpenLoop {
    /// Returns when all requests are answered.
    ///
    /// # Errors
    /// When an answer is not as expected, or does not come.
    pub async fn run(self) -> Result<Load> {
        let (ended, end) = oneshot::channel();
        // One thread for all connections: they do not wake each other up.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let load = runtime.map_err(Into::into).and_then(|runtime| {
                let local = LocalSet::new();
                local.block_on(&runtime, self.drive())
            });
            let _nobody_waits_any_more = ended.send(load);
        });
        end.await.map_err(|_| "the open loop ended")?
    }

    async fn drive(self) -> Result<Load> {
        let count = (self.rate * f64::from(self.seconds)) as u64;
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(Connection::open(&self.address).await?);
        }
        let schedule = Arc::new(Schedule {
            begin: Instant::now() + Duration::from_millis(50),
            rate: self.rate,
            count,
            begun: AtomicU64::new(0),
            due: Semaphore::new(0),
            latest: self.latest,
            is_hopeless: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let _however_it_ends = Over(schedule.clone());
        let pacer = schedule.clone();
        std::thread::spawn(move || pacer.keep_time(self.connections));
        let requests = Arc::new(self.requests);
        let clients: Vec<_> = connections
            .into_iter()
            .map(|connection| {
                let client = client(schedule.clone(), connection, requests.clone(), self.status);
                tokio::task::spawn_local(client)
            })
            .collect();
        let mut times = Vec::new();
        for client in clients {
            times.extend(client.await??);
        }
        Ok(Load { times, kept_up: !schedule.is_hopeless.load(Relaxed) })
    }
}

struct Schedule {
    begin: Instant,
    rate: f64,
    count: u64,
    begun: AtomicU64,
    /// As many as are due and not begun.
    due: Semaphore,
    latest: Duration,
    is_hopeless: AtomicBool,
    is_over: AtomicBool,
}

/// Tells the pacer that nobody sends any more: it would wake up all the same, during the next measurement.
struct Over(Arc<Schedule>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.is_over.store(true, Relaxed);
    }
}

impl Schedule {
    fn when(&self, number: u64) -> Instant {
        self.begin + Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// On a thread of its own: timers of the runtime tick once a millisecond.
    fn keep_time(&self, connections: usize) {
        std::thread::sleep(self.begin.saturating_duration_since(Instant::now()));
        let mut given = 0;
        while given < self.count && !self.is_hopeless.load(Relaxed) && !self.is_over.load(Relaxed) {
            let due = ((self.begin.elapsed().as_secs_f64() * self.rate) as u64 + 1).min(self.count);
            self.due.add_permits(usize::try_from(due - given).unwrap_or(usize::MAX));
            given = due;
            let next = self.when(given).saturating_duration_since(Instant::now());
            std::thread::sleep(next.max(TICK));
        }
        // So that everybody looks once more, and finds that there is nothing left.
        self.due.add_permits(connections);
    }
}

async fn client(
    schedule: Arc<Schedule>,
    mut connection: Connection,
    requests: Arc<Vec<Vec<u8>>>,
    expected: u16,
) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    loop {
        schedule.due.acquire().await?.forget();
        let number = schedule.begun.fetch_add(1, Relaxed);
        if number >= schedule.count || schedule.is_hopeless.load(Relaxed) {
            return Ok(times);
        }
        if schedule.when(number).elapsed() > schedule.latest {
            schedule.is_hopeless.store(true, Relaxed);
        }
        let request = &requests[(number % requests.len() as u64) as usize];
        let status = connection.status_of(request).await?;
        times.push(schedule.when(number).elapsed());
        if status != expected {
            return Err(format!("a request was answered with {status} instead of {expected}").into());
        }
    }
}
