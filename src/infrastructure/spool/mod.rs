//! Events that wait on this machine for the database: files to which they are appended, each synced before it is answered.

mod aside;
mod directory;
mod emergency;
mod event_record;
mod missing;
mod reader;
mod record;
mod slot;
mod whole;
mod writer;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::channel::oneshot;
use tracing::error;

use crate::application::ports::{EventSpool, NewEvent, Portion, SpoolError, SpoolStanding};
use aside::{Aside, move_aside, put_aside};
use directory::{Segment, left_behind, sync};
use slot::Slot;
use writer::{Append, Kept, Request, Shared, Writer, lock};

pub use emergency::FileSwitch;
pub use missing::MissingSpool;
pub use whole::{count, is_known, know, reset, root};

/// Events that may wait for the disk at the same time.
const WAITING: usize = 4_096;

/// After so many failures a file is passed over.
const TRIES: u32 = 3;

/// Pause between two looks for what ended processes have left.
const INHERITS_EVERY: Duration = Duration::from_secs(10);

/// The spool of one process.
pub struct FileSpool {
    // Before the slot, so that it is dropped before it.
    writer: WriterThread,
    slot: Slot,
    root: PathBuf,
    shared: Shared,
    most_bytes: u64,
    /// What is known of files that were begun to be read.
    read: Mutex<BTreeMap<u64, Known>>,
    inherited: Mutex<Option<Instant>>,
}

/// What is known of a file.
#[derive(Clone, Copy, Default)]
struct Known {
    failures: u32,
    /// It was said what cannot be read.
    is_said: bool,
    /// Some of it is nowhere else.
    is_needed: bool,
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
        let mut kept = Kept::default();
        kept.add(left_behind(&directory)?);
        let mut taken = kept.sealed.iter().map(|segment| segment.number).collect();
        kept.add(slot::take_over(root, &directory, &mut taken)?);
        sync(&directory)?;
        kept.aside = Aside::of(&slot::directories(root)?, &directory);
        let last = kept.sealed.back().map(|last| last.number);
        let shared: Shared = Arc::new(Mutex::new(kept));
        let writer = Writer { root: root.to_owned(), directory, most_bytes, last, shared: shared.clone(), open: None };
        let (requests, received) = sync_channel(WAITING);
        let thread = std::thread::Builder::new().name("spool".to_owned()).spawn(move || writer.run(&received))?;
        let writer = WriterThread { requests: Some(requests), thread: Some(thread) };
        let (read, inherited) = (Mutex::default(), Mutex::default());
        Ok(Self { slot, writer, root: root.to_owned(), shared, most_bytes, read, inherited })
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

    fn known(&self) -> MutexGuard<'_, BTreeMap<u64, Known>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now and then: processes end while this one runs.
    async fn inherit(&self) -> Result<(), SpoolError> {
        {
            let mut inherited = self.inherited.lock().unwrap_or_else(PoisonError::into_inner);
            if inherited.is_some_and(|at| at.elapsed() < INHERITS_EVERY) {
                return Ok(());
            }
            *inherited = Some(Instant::now());
        }
        self.ask(Request::TakeOver).await
    }

    /// Works on files on a thread that may wait, and sees what is kept aside then.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, SpoolError> {
        // Not the slot: whoever drops the spool may leave this behind, and the next process needs its files.
        let (directory, root, shared) = (self.slot.directory.clone(), self.root.clone(), self.shared.clone());
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&directory);
            let aside = Aside::of(&slot::directories(&root).unwrap_or_default(), &directory);
            lock(&shared).aside = aside;
            done
        });
        done.await.map_err(|error| SpoolError::Unusable(error.to_string()))?.map_err(|error| unusable(&error))
    }

    async fn read(&self, segment: &Segment) -> Result<Vec<NewEvent>, SpoolError> {
        let says_so = !self.known().entry(segment.number).or_default().is_said;
        let asked = segment.clone();
        let content = self.blocking(move |directory| reader::read(directory, &asked, says_so)).await?;
        let mut known = self.known();
        let known = known.entry(segment.number).or_default();
        known.is_said = true;
        known.is_needed |= content.is_needed;
        Ok(content.events)
    }

    /// Notes that a file cannot be read. One that cannot be read again and again keeps others from being stored no longer.
    async fn failed(&self, segment: Segment, cause: SpoolError) -> Result<(), SpoolError> {
        let failures = {
            let mut known = self.known();
            let known = known.entry(segment.number).or_default();
            known.failures += 1;
            known.failures
        };
        let file = segment.path.display().to_string();
        lock(&self.shared).stuck = Some(format!("{file} cannot be read: {cause}"));
        if failures < TRIES {
            return Err(cause);
        }
        let path = segment.path.clone();
        let moved = self.blocking(move |directory| move_aside(directory, &path)).await;
        let mut kept = lock(&self.shared);
        match moved {
            Ok(path) => {
                error!(%file, kept = %path.display(), events = segment.events, %cause, "a file of the spool cannot be read and is kept aside; the next ones are stored");
                kept.stuck = None;
            }
            // It is looked at again after the next start.
            Err(error) => {
                error!(%file, events = segment.events, %cause, %error, "a file of the spool can neither be read nor kept aside and is passed over");
            }
        }
        kept.remove(segment.number);
        drop(kept);
        self.known().remove(&segment.number);
        Ok(())
    }
}

#[async_trait]
impl EventSpool for FileSpool {
    async fn append(&self, new: &NewEvent) -> Result<(), SpoolError> {
        let written = event_record::written(new);
        let content = written.ok_or_else(|| SpoolError::Unusable("the event cannot be written as JSON".to_owned()))?;
        self.ask(|answer| Request::Append(Append { content, answer })).await?
    }

    async fn oldest(&self) -> Result<Option<Portion>, SpoolError> {
        // Another look does as well.
        let _ = self.inherit().await;
        loop {
            if self.first().is_none() && lock(&self.shared).open_events > 0 {
                self.ask(Request::Seal).await?;
            }
            let Some(segment) = self.first() else { return Ok(None) };
            match self.read(&segment).await {
                Ok(events) => return Ok(Some(Portion { number: segment.number, events })),
                Err(cause) => self.failed(segment, cause).await?,
            }
        }
    }

    async fn discard(&self, number: u64) -> Result<(), SpoolError> {
        let segment = lock(&self.shared).sealed.iter().find(|segment| segment.number == number).cloned();
        let Some(segment) = segment else { return Ok(()) };
        let is_needed = self.known().remove(&number).is_some_and(|known| known.is_needed);
        let path = segment.path.clone();
        let removed = self.blocking(move |directory| match is_needed {
            true => move_aside(directory, &path).map(|_| ()),
            false => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        });
        let removed = removed.await;
        let mut kept = lock(&self.shared);
        // Its events are stored. One that stays is looked at again after the next start, and none is stored twice.
        kept.remove(number);
        kept.stuck = removed.err().map(|cause| format!("{} cannot be deleted: {cause}", segment.path.display()));
        if let Some(sentence) = &kept.stuck {
            error!("{sentence}");
        }
        Ok(())
    }

    async fn set_aside(&self, new: &NewEvent, reason: &str) -> Result<(), SpoolError> {
        let content = event_record::written(new).unwrap_or_default();
        let (id, reason) = (new.event.id, reason.to_owned());
        error!(event.id = %id, %reason, "the database does not take an event of the spool; it is kept aside");
        let kept = self.blocking(move |directory| put_aside(directory, &format!("{id}.json"), &content)).await;
        // On a full disk: the file that it came from is kept instead.
        match (kept, self.first()) {
            (Err(_), Some(segment)) => {
                self.known().entry(segment.number).or_default().is_needed = true;
                Ok(())
            }
            (kept, _) => kept,
        }
    }

    fn standing(&self) -> SpoolStanding {
        let kept = lock(&self.shared);
        let bytes = kept.all_bytes();
        let mut troubles = Vec::from_iter(kept.trouble.clone());
        troubles.extend(kept.stuck.clone());
        let is_failing = kept.trouble.is_some();
        let percent = bytes.saturating_mul(100) / self.most_bytes.max(1);
        if percent >= 80 {
            troubles.push(format!(
                "the spool is {percent} % full; once it is full, events are refused: raise SPOOL_MAX_BYTES, or bring the \
                 database back"
            ));
        }
        if kept.aside.pieces > 0 {
            let directories: Vec<_> = kept.aside.directories.iter().map(|path| path.display().to_string()).collect();
            troubles.push(format!(
                "{} pieces of the spool could not be read or stored: they are in {} until they are deleted, or \
                 `correio spool reset` tries them once more",
                kept.aside.pieces,
                directories.join(", ")
            ));
        }
        SpoolStanding { events: kept.events, bytes, most_bytes: self.most_bytes, is_failing, troubles }
    }
}

fn unusable(error: &io::Error) -> SpoolError {
    SpoolError::Unusable(error.to_string())
}

fn stopped() -> SpoolError {
    SpoolError::Unusable("its thread has stopped".to_owned())
}
