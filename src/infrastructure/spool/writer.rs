//! The one thread that appends: whatever has come while it synced the file is written and synced together.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use tracing::{error, info};

use super::directory::{Segment, open_path, sealed_path, sync};
use super::record;
use crate::application::ports::SpoolError;

/// A file that has grown beyond it is sealed.
const SEGMENT: u64 = 4 << 20;

/// Bytes that are written and synced together, unless it is a single event.
const TOGETHER: usize = 4 << 20;

pub(super) enum Request {
    Append(Append),
    /// What is open is sealed, so that it can be read.
    Seal(oneshot::Sender<()>),
}

pub(super) struct Append {
    pub content: Vec<u8>,
    pub answer: oneshot::Sender<Result<(), SpoolError>>,
}

/// What the writer and its callers share.
#[derive(Default)]
pub(super) struct Kept {
    /// Oldest first.
    pub sealed: VecDeque<Segment>,
    /// Events of all files, that are not forgotten.
    pub events: u64,
    pub bytes: u64,
    /// Of the file that is written to.
    pub open_events: u64,
    /// Why the last attempt to write failed.
    pub trouble: Option<String>,
}

pub(super) type Shared = Arc<Mutex<Kept>>;

pub(super) fn lock(shared: &Shared) -> MutexGuard<'_, Kept> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Writer {
    pub directory: PathBuf,
    pub most_bytes: u64,
    pub next: u64,
    pub shared: Shared,
    pub open: Option<Open>,
}

/// The file that is written to.
pub(super) struct Open {
    file: File,
    number: u64,
    bytes: u64,
    events: u64,
}

impl Writer {
    /// Until nobody can ask any more.
    pub fn run(mut self, requests: &Receiver<Request>) {
        while let Ok(first) = requests.recv() {
            let mut appends = Vec::new();
            let mut seals = Vec::new();
            let mut size = 0;
            let mut next = Some(first);
            while let Some(request) = next {
                match request {
                    Request::Append(append) => {
                        size += append.content.len();
                        appends.push(append);
                    }
                    Request::Seal(answer) => seals.push(answer),
                }
                next = (size < TOGETHER).then(|| requests.try_recv().ok()).flatten();
            }
            self.append(appends);
            if !seals.is_empty() {
                self.seal();
            }
            for answer in seals {
                let _ = answer.send(());
            }
        }
        self.seal();
    }

    fn append(&mut self, appends: Vec<Append>) {
        let mut room = self.most_bytes.saturating_sub(lock(&self.shared).bytes);
        let (mut buffer, mut fitting) = (Vec::new(), Vec::new());
        for append in appends {
            let size = record::size(&append.content);
            if size > room || record::encode(&append.content, &mut buffer).is_none() {
                let _ = append.answer.send(Err(SpoolError::Full));
                continue;
            }
            room -= size;
            fitting.push(append.answer);
        }
        if fitting.is_empty() {
            return;
        }
        let written = self.write(&buffer, fitting.len() as u64);
        let answer = written.as_ref().map(|&()| ()).map_err(|error| SpoolError::Unusable(error.to_string()));
        self.note(written.err());
        for caller in fitting {
            // A caller that has gone will ask again, and its event be known.
            let _ = caller.send(answer.clone());
        }
    }

    fn write(&mut self, buffer: &[u8], events: u64) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.create()?,
        };
        let written = open.file.write_all(buffer).and_then(|()| open.file.sync_data());
        if let Err(error) = written {
            // What a file holds whose sync has failed is not known: it is not written to again. Its callers are told that
            // nothing was kept; what is found of it all the same is delivered.
            let _ = open.file.set_len(open.bytes);
            self.put_away(&open);
            return Err(error);
        }
        open.bytes += buffer.len() as u64;
        open.events += events;
        let is_full = open.bytes >= SEGMENT;
        {
            let mut kept = lock(&self.shared);
            kept.events += events;
            kept.bytes += buffer.len() as u64;
            kept.open_events = open.events;
        }
        if is_full {
            self.put_away(&open)
        } else {
            self.open = Some(open)
        }
        Ok(())
    }

    fn create(&mut self) -> io::Result<Open> {
        let number = self.next;
        self.next += 1;
        let mut file = File::options().create_new(true).append(true).open(open_path(&self.directory, number))?;
        file.write_all(record::TITLE)?;
        sync(&self.directory)?;
        let bytes = record::TITLE.len() as u64;
        lock(&self.shared).bytes += bytes;
        Ok(Open { file, number, bytes, events: 0 })
    }

    fn seal(&mut self) {
        if let Some(open) = self.open.take() {
            self.put_away(&open);
        }
    }

    fn put_away(&mut self, open: &Open) {
        let from = open_path(&self.directory, open.number);
        let mut path = sealed_path(&self.directory, open.number, open.events);
        if fs::rename(&from, &path).is_err() {
            // It is read under the name that it has.
            path = from;
        }
        let segment = Segment { number: open.number, events: open.events, bytes: open.bytes, path };
        let mut kept = lock(&self.shared);
        kept.open_events = 0;
        kept.sealed.push_back(segment);
    }

    /// Says once that the disk takes nothing, and once that it does again.
    fn note(&self, failure: Option<io::Error>) {
        let failure = failure.map(|error| format!("events cannot be kept in {}: {error}", self.directory.display()));
        let mut kept = lock(&self.shared);
        match (&failure, &kept.trouble) {
            (Some(sentence), None) => error!("{sentence}"),
            (None, Some(_)) => info!("events can be kept in {} again", self.directory.display()),
            _ => {}
        }
        kept.trouble = failure;
    }
}
