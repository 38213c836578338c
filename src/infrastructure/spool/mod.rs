//! Events that wait on this machine for the database: files to which they are appended, each synced before it is answered.

mod directory;
mod emergency;
mod event_record;
mod missing;
mod reader;
mod record;
mod slot;
mod writer;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use futures::channel::oneshot;

use crate::application::ports::{EventSpool, NewEvent, Portion, SpoolError, SpoolStanding};
use directory::{Segment, aside, left_behind, put_aside, sync};
use slot::Slot;
use writer::{Append, Kept, Request, Shared, Writer, lock};

pub use emergency::FileSwitch;
pub use missing::MissingSpool;

/// Events that may wait for the disk at the same time.
const WAITING: usize = 4_096;

/// The spool of one process.
pub struct FileSpool {
    // Before the slot, so that it is dropped before it.
    writer: WriterThread,
    slot: Slot,
    shared: Shared,
    most_bytes: u64,
    /// Files of which it was said what cannot be read.
    said: Arc<Mutex<BTreeSet<u64>>>,
}

/// Ends with what was asked of it, before another process may have the files.
struct WriterThread {
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for WriterThread {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // One that panicked has nothing to end.
            let _ = thread.join();
        }
    }
}

impl FileSpool {
    /// Opens it, and takes over what ended processes left.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(root: &Path, most_bytes: u64) -> io::Result<Self> {
        let slot = Slot::take(root)?;
        let directory = slot.directory.clone();
        let sealed = left_behind(&directory)?;
        sync(&directory)?;
        let next = sealed.last().map_or(1, |last| last.number + 1);
        let events = sealed.iter().map(|segment| segment.events).sum();
        let bytes = sealed.iter().map(|segment| segment.bytes).sum::<u64>() + aside(&directory).1;
        let kept = Kept { sealed: sealed.into(), events, bytes, ..Kept::default() };
        let shared: Shared = Arc::new(Mutex::new(kept));
        let writer = Writer { directory, most_bytes, next, shared: shared.clone(), open: None };
        let (requests, received) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("spool".to_owned()).spawn(move || writer.run(&received))?;
        let writer = WriterThread { requests: Some(requests), thread: Some(thread) };
        Ok(Self { slot, writer, shared, most_bytes, said: Arc::default() })
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, SpoolError> {
        let (sender, answer) = oneshot::channel();
        let requests = self.writer.requests.as_ref().ok_or_else(stopped)?;
        requests.try_send(request(sender)).map_err(|error| match error {
            TrySendError::Full(_) => SpoolError::Busy,
            TrySendError::Disconnected(_) => stopped(),
        })?;
        answer.await.map_err(|_| stopped())
    }

    fn first(&self) -> Option<Segment> {
        lock(&self.shared).sealed.front().cloned()
    }

    /// Reads files on a thread that may wait.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, SpoolError> {
        // Not the slot: whoever drops the spool may leave this behind, and the next process needs its files.
        let directory = self.slot.directory.clone();
        let done = tokio::task::spawn_blocking(move || work(&directory)).await;
        done.map_err(|error| SpoolError::Unusable(error.to_string()))?.map_err(|error| unusable(&error))
    }
}

/// How many events wait in all processes' files, and their bytes.
///
/// # Errors
/// When the disk does not let it.
pub fn count(root: &Path) -> io::Result<(u64, u64)> {
    if !root.exists() {
        return Ok((0, 0));
    }
    let mut all = (0, 0);
    for directory in slot::directories(root)? {
        let (events, bytes) = directory::count(&directory)?;
        all = (all.0 + events, all.1 + bytes);
    }
    Ok(all)
}

/// Where the spool is, below the directory of an installation's data.
pub fn root(data_dir: &Path) -> PathBuf {
    data_dir.join("spool")
}

#[async_trait]
impl EventSpool for FileSpool {
    async fn append(&self, new: &NewEvent) -> Result<(), SpoolError> {
        let written = event_record::written(new);
        let content = written.ok_or_else(|| SpoolError::Unusable("the event cannot be written as JSON".to_owned()))?;
        self.ask(|answer| Request::Append(Append { content, answer })).await?
    }

    async fn oldest(&self) -> Result<Option<Portion>, SpoolError> {
        if self.first().is_none() && lock(&self.shared).open_events > 0 {
            self.ask(Request::Seal).await?;
        }
        let Some(segment) = self.first() else { return Ok(None) };
        let says_so = self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(segment.number);
        let number = segment.number;
        let events = self.blocking(move |directory| reader::read(directory, &segment, says_so)).await?;
        Ok(Some(Portion { number, events }))
    }

    async fn discard(&self, number: u64) -> Result<(), SpoolError> {
        let Some(segment) = self.first().filter(|first| first.number == number) else { return Ok(()) };
        let path = segment.path.clone();
        let aside = self.blocking(move |directory| {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            Ok(aside(directory).1)
        });
        let aside = aside.await?;
        let mut kept = lock(&self.shared);
        kept.sealed.retain(|it| it.number != number);
        kept.events = kept.events.saturating_sub(segment.events);
        // Counted anew, as pieces may have been put aside, or been cleared away.
        let open = kept.bytes.saturating_sub(segment.bytes);
        kept.bytes = if kept.sealed.is_empty() && kept.open_events == 0 { aside } else { open };
        drop(kept);
        self.said.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        Ok(())
    }

    async fn set_aside(&self, new: &NewEvent, reason: &str) -> Result<(), SpoolError> {
        let content = event_record::written(new).unwrap_or_default();
        let (id, reason) = (new.event.id, reason.to_owned());
        tracing::error!(event.id = %id, %reason, "the database does not take an event of the spool; it is kept aside");
        self.blocking(move |directory| put_aside(directory, &format!("{id}.json"), &content)).await
    }

    fn standing(&self) -> SpoolStanding {
        let (pieces, _) = aside(&self.slot.directory);
        let kept = lock(&self.shared);
        let mut troubles = Vec::from_iter(kept.trouble.clone());
        let is_failing = kept.trouble.is_some();
        let percent = kept.bytes.saturating_mul(100) / self.most_bytes.max(1);
        if percent >= 80 {
            troubles.push(format!(
                "the spool is {percent} % full; once it is full, events are refused: raise SPOOL_MAX_BYTES, or bring the \
                 database back"
            ));
        }
        if pieces > 0 {
            let directory = self.slot.directory.join("aside");
            let directory = directory.display();
            troubles.push(format!(
                "{pieces} pieces of the spool could not be read or stored: they are in {directory} until they are \
                 deleted"
            ));
        }
        SpoolStanding { events: kept.events, bytes: kept.bytes, most_bytes: self.most_bytes, is_failing, troubles }
    }
}

fn unusable(error: &io::Error) -> SpoolError {
    SpoolError::Unusable(error.to_string())
}

fn stopped() -> SpoolError {
    SpoolError::Unusable("its thread has stopped".to_owned())
}
