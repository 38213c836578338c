//! Lines on their way to standard error. They are written by a thread of their own: a collector that stops reading fills its
//! pipe, and a thread that writes into a full pipe stands still.
//!
//! `tracing-appender` has such a queue. It cannot be waited for before the end, though, and at the end, when it is full, it
//! prints to standard output, which may lead to the same collector.

use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a pipe takes in one piece (`PIPE_BUF`), so that lines of processes that share one stay whole.
const PIECE: usize = 4096;

/// About what a line takes beside its bytes.
const COST_OF_A_LINE: usize = 64;

pub struct Limits {
    /// Bytes of lines that may wait.
    pub room: usize,
    /// Pause between two lines that say that lines were lost.
    pub said_every: Duration,
}

pub struct LogQueue {
    entries: Sender<Entry>,
    state: Arc<State>,
}

enum Entry {
    Line(Vec<u8>),
    /// Everything before it is to be written.
    Flush(Sender<()>),
}

struct State {
    limits: Limits,
    /// Bytes.
    waiting: AtomicUsize,
    /// Lines since the start.
    lost: AtomicU64,
    said: Mutex<Said>,
    /// Says how many were lost.
    say: fn(u64),
}

#[derive(Default)]
struct Said {
    lost: u64,
    at: Option<Instant>,
}

impl LogQueue {
    /// # Errors
    /// When the system gives no thread.
    pub fn start(out: impl Write + Send + 'static, limits: Limits, say: fn(u64)) -> io::Result<Self> {
        let (entries, queued) = channel();
        let state =
            State { limits, waiting: AtomicUsize::new(0), lost: AtomicU64::new(0), said: Mutex::default(), say };
        let state = Arc::new(state);
        let shared = state.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || write(&queued, out, &shared))?;
        Ok(Self { entries, state })
    }

    /// Adds a line, or loses it when too much waits.
    pub fn add(&self, line: &[u8]) {
        let cost = line.len().saturating_add(COST_OF_A_LINE);
        let before = self.state.waiting.fetch_add(cost, Ordering::Relaxed);
        if before.saturating_add(cost) > self.state.limits.room
            || self.entries.send(Entry::Line(line.to_vec())).is_err()
        {
            self.state.waiting.fetch_sub(cost, Ordering::Relaxed);
            self.state.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns when everything is written that was added before, or after `patience`.
    pub fn flush(&self, patience: Duration) {
        let (done, written) = channel();
        if self.entries.send(Entry::Flush(done)).is_ok() {
            // In vain: nothing reads, and this was for what does.
            let _ = written.recv_timeout(patience);
        }
    }
}

impl Write for &LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    /// The next entry; none when there comes no other.
    fn next(&self, queued: &Receiver<Entry>) -> Option<Entry> {
        loop {
            if !self.has_to_say() {
                return queued.recv().ok();
            }
            match queued.recv_timeout(self.limits.said_every) {
                Err(RecvTimeoutError::Timeout) => self.say_what_was_lost(),
                entry => return entry.ok(),
            }
        }
    }

    fn has_to_say(&self) -> bool {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).lost != self.lost.load(Ordering::Relaxed)
    }

    fn say_what_was_lost(&self) {
        let lost = self.lost.load(Ordering::Relaxed);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if lost == said.lost || said.at.is_some_and(|at| at.elapsed() < self.limits.said_every) {
            return;
        }
        *said = Said { lost, at: Some(Instant::now()) };
        drop(said);
        (self.say)(lost);
    }
}

fn write(queued: &Receiver<Entry>, out: impl Write, state: &State) {
    let mut out = BufWriter::with_capacity(PIECE, out);
    while let Some(first) = state.next(queued) {
        let mut flushes = Vec::new();
        for entry in std::iter::once(first).chain(queued.try_iter()) {
            match entry {
                Entry::Line(line) => {
                    if out.write_all(&line).is_err() {
                        state.lost.fetch_add(1, Ordering::Relaxed);
                    }
                    state.waiting.fetch_sub(line.len().saturating_add(COST_OF_A_LINE), Ordering::Relaxed);
                    state.say_what_was_lost();
                }
                Entry::Flush(done) => {
                    flushes.push(done);
                    break;
                }
            }
        }
        // A standard error that is broken has nowhere to be reported.
        let _ = out.flush();
        for done in flushes {
            let _it_waits_no_more = done.send(());
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
