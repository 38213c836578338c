//! Runs futures on one thread, in an order that a seed decides, in a time of its own.
//!
//! The application never calls tokio and has its time injected, so this is all that a simulation of it needs: which task is
//! polled next is drawn, every await is a point where another one may go on, and when nobody can, time jumps to the next
//! moment that somebody sleeps for.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fastrand::Rng;
use futures::future::BoxFuture;

/// What a task panics with that was told to.
pub const TOLD_TO_PANIC: &str = "told to panic";

/// Which process a task belongs to; its tasks die and freeze together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u32);

/// The world around the processes: clients, channels, the network, the operator.
pub const OUTSIDE: ProcessId = ProcessId(0);

/// Hands out the same scheduler to everybody.
#[derive(Clone)]
pub struct Scheduler(Arc<Mutex<State>>);

struct State {
    rng: Rng,
    now: Duration,
    /// By number; none is used twice, and nothing is left where one has ended.
    tasks: Vec<Option<Task>>,
    ready: Arc<Mutex<BTreeSet<usize>>>,
    frozen: BTreeSet<ProcessId>,
    dead: BTreeSet<ProcessId>,
    /// By time, and then by order of asking.
    timers: BTreeMap<(Duration, u64), Waker>,
    next_timer: u64,
    panics: Vec<String>,
}

fn said(panicked: &(dyn std::any::Any + Send)) -> String {
    let text = panicked.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panicked.downcast_ref::<String>().cloned()).unwrap_or_default()
}

struct Task {
    process: ProcessId,
    waker: Waker,
    /// None while it is being polled.
    future: Option<BoxFuture<'static, ()>>,
}

struct Ready {
    task: usize,
    ready: Arc<Mutex<BTreeSet<usize>>>,
}

/// Taken out of its place for as long as it is polled.
struct Picked {
    task: usize,
    waker: Waker,
    future: BoxFuture<'static, ()>,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        lock(&self.ready).insert(self.task);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scheduler {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: Rng::with_seed(seed),
            now: Duration::ZERO,
            tasks: Vec::new(),
            ready: Arc::default(),
            frozen: BTreeSet::new(),
            dead: BTreeSet::new(),
            timers: BTreeMap::new(),
            next_timer: 0,
            panics: Vec::new(),
        })))
    }

    /// Draws something. Nothing else in a simulation is random.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut lock(&self.0).rng)
    }

    pub fn chance(&self, of: f64) -> bool {
        self.draw(|rng| rng.f64() < of)
    }

    pub fn between(&self, least: Duration, most: Duration) -> Duration {
        least + most.saturating_sub(least).mul_f64(self.draw(Rng::f64))
    }

    /// Time since the simulation began.
    pub fn now(&self) -> Duration {
        lock(&self.0).now
    }

    pub fn spawn(&self, process: ProcessId, future: BoxFuture<'static, ()>) {
        let mut state = lock(&self.0);
        if state.dead.contains(&process) {
            drop(state);
            drop(future);
            return;
        }
        let task = state.tasks.len();
        let waker = Waker::from(Arc::new(Ready { task, ready: Arc::clone(&state.ready) }));
        state.tasks.push(Some(Task { process, waker, future: Some(future) }));
        lock(&state.ready).insert(task);
    }

    /// Everything in the memory of this process is gone, at whatever await it was.
    pub fn kill(&self, process: ProcessId) {
        let dead: Vec<Task> = {
            let mut state = lock(&self.0);
            state.dead.insert(process);
            let its_own = |task: &mut Task| task.process == process;
            state.tasks.iter_mut().filter_map(|task| task.take_if(its_own)).collect()
        };
        // Dropped outside the lock: what they hold may ask the scheduler.
        drop(dead);
    }

    /// Nothing of it goes on until it thaws; time does.
    pub fn freeze(&self, process: ProcessId) {
        lock(&self.0).frozen.insert(process);
    }

    pub fn thaw(&self, process: ProcessId) {
        lock(&self.0).frozen.remove(&process);
    }

    pub fn is_frozen(&self, process: ProcessId) -> bool {
        lock(&self.0).frozen.contains(&process)
    }

    pub fn sleep(&self, duration: Duration) -> Sleep {
        let end = self.now() + duration;
        Sleep { scheduler: self.clone(), end, is_asleep: false }
    }

    /// A point where another task may go on.
    pub async fn pass(&self) {
        let mut passed = false;
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut passed, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Lets so many tasks go on, each to its next await, and as much time pass as that takes. Stops in the middle of it all:
    /// [`run_until`](Self::run_until) ends when everybody waits for some later time.
    pub fn run_steps(&self, steps: usize) {
        for _ in 0..steps {
            if !self.step(Duration::MAX) {
                return;
            }
        }
    }

    /// What tasks panicked with, but for what is part of the play.
    pub fn panics(&self) -> Vec<String> {
        lock(&self.0).panics.clone()
    }

    /// Whether the process has anything left to do.
    pub fn lives(&self, process: ProcessId) -> bool {
        lock(&self.0).tasks.iter().flatten().any(|task| task.process == process)
    }

    /// Runs until the time has come, or nobody has anything left to do.
    pub fn run_until(&self, end: Duration) {
        while self.now() < end && self.step(end) {}
    }

    /// Runs until `is_done`, for at most so long of its time. Returns whether it was done.
    pub fn run_while(&self, end: Duration, mut is_done: impl FnMut() -> bool) -> bool {
        loop {
            if is_done() {
                return true;
            }
            if self.now() >= end || !self.step(end) {
                return false;
            }
        }
    }

    /// Polls one task, or lets time pass to the next moment. False when nothing is left to do.
    fn step(&self, end: Duration) -> bool {
        let Some(picked) = self.pick() else { return self.advance(end) };
        self.poll(picked);
        true
    }

    fn poll(&self, picked: Picked) {
        let Picked { task: number, waker, mut future } = picked;
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(&waker))));
        match polled {
            Ok(Poll::Pending) => {
                // It may have been killed by itself meanwhile.
                if let Some(task) = &mut lock(&self.0).tasks[number] {
                    task.future = Some(future);
                    return;
                }
                drop(future);
            }
            Ok(Poll::Ready(())) => {
                drop(future);
                lock(&self.0).tasks[number] = None;
            }
            // A task that panics ends alone, as it does in the real program.
            Err(panicked) => {
                drop(future);
                let mut state = lock(&self.0);
                state.tasks[number] = None;
                if panicked.downcast_ref::<&str>() != Some(&TOLD_TO_PANIC) {
                    state.panics.push(said(panicked.as_ref()));
                }
            }
        }
    }

    fn pick(&self) -> Option<Picked> {
        let mut guard = lock(&self.0);
        let State { rng, tasks, ready, frozen, .. } = &mut *guard;
        let mut ready = lock(ready);
        let mut may_run = Vec::with_capacity(ready.len());
        ready.retain(|&number| {
            let Some(task) = &tasks[number] else { return false };
            if !frozen.contains(&task.process) {
                may_run.push(number);
            }
            true
        });
        if may_run.is_empty() {
            return None;
        }
        let number = may_run[rng.usize(0..may_run.len())];
        ready.remove(&number);
        let task = tasks[number].as_mut()?;
        Some(Picked { task: number, waker: task.waker.clone(), future: task.future.take()? })
    }

    fn advance(&self, end: Duration) -> bool {
        let mut due = Vec::new();
        {
            let mut state = lock(&self.0);
            let Some((&(next, _), _)) = state.timers.first_key_value() else {
                state.now = end;
                return false;
            };
            if next > end {
                state.now = end;
                return false;
            }
            state.now = state.now.max(next);
            while let Some(timer) = state.timers.first_entry().filter(|timer| timer.key().0 == next) {
                due.push(timer.remove());
            }
        }
        due.into_iter().for_each(Waker::wake);
        true
    }
}

/// Ready when its time has come.
pub struct Sleep {
    scheduler: Scheduler,
    end: Duration,
    is_asleep: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let scheduler = self.scheduler.clone();
        let mut state = lock(&scheduler.0);
        if state.now >= self.end {
            return Poll::Ready(());
        }
        // A waker is asked for anew at each poll; one that is woken for nothing does no harm.
        self.is_asleep = true;
        let number = state.next_timer;
        state.next_timer += 1;
        state.timers.insert((self.end, number), context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(seed: u64) -> Vec<(u64, u32)> {
        let scheduler = Scheduler::new(seed);
        let said = Arc::new(Mutex::new(Vec::new()));
        for number in 0..5u32 {
            let (scheduler, said) = (scheduler.clone(), said.clone());
            let inner = scheduler.clone();
            scheduler.spawn(
                ProcessId(number),
                Box::pin(async move {
                    for round in 1..=3 {
                        inner.pass().await;
                        lock(&said).push((inner.now().as_secs(), number));
                        inner.sleep(Duration::from_secs(round * u64::from(number % 2 + 1))).await;
                    }
                }),
            );
        }
        scheduler.run_until(Duration::from_secs(100));
        Arc::into_inner(said).map_or_else(Vec::new, |said| said.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    #[test]
    fn a_seed_alone_decides_the_order() {
        assert_eq!(trace(7), trace(7));
        assert_ne!(trace(7), trace(8));
        assert_eq!(trace(7).len(), 15);
    }
}
