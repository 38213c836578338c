//! The one thread that appends: whatever has come while it synced the file is written and synced together. Now and then it looks
//! after the directory.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use tracing::{error, info, warn};

use super::aside::Aside;
use super::directory::{Segment, next_number, open_path, sealed_path, sync};
use super::{record, slot};
use crate::application::ports::SpoolError;

/// A file that has grown beyond it is sealed.
const SEGMENT: u64 = 4 << 20;

/// Bytes that are written and synced together, unless it is a single event.
const TOGETHER: usize = 4 << 20;

/// Pause between two looks at the directory.
const LOOKS_EVERY: Duration = Duration::from_secs(2);

/// Bytes that are written to a disk that took nothing, to see whether it does again.
const PROBE: usize = 16 << 10;

pub(super) enum Request {
    Append(Append),
    /// What is open is sealed, so that it can be read.
    Seal(oneshot::Sender<()>),
    /// What ended processes have left is taken over.
    TakeOver(oneshot::Sender<()>),
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
    /// Of all files.
    pub bytes: u64,
    pub aside: Aside,
    /// Of the file that is written to.
    pub open_events: u64,
    /// Why the last attempt to write failed.
    pub trouble: Option<String>,
    /// Why a file is not read, or not deleted.
    pub stuck: Option<String>,
}

impl Kept {
    /// Everything that counts against the bound.
    pub fn all_bytes(&self) -> u64 {
        self.bytes + self.aside.bytes
    }

    pub fn add(&mut self, segments: Vec<Segment>) {
        for segment in segments {
            self.events += segment.events;
            self.bytes += segment.bytes;
            let place = self.sealed.partition_point(|other| other.number < segment.number);
            self.sealed.insert(place, segment);
        }
    }

    /// Forgets a file.
    pub fn remove(&mut self, number: u64) {
        let Some(place) = self.sealed.iter().position(|segment| segment.number == number) else { return };
        if let Some(segment) = self.sealed.remove(place) {
            self.events = self.events.saturating_sub(segment.events);
            self.bytes = self.bytes.saturating_sub(segment.bytes);
        }
    }
}

pub(super) type Shared = Arc<Mutex<Kept>>;

pub(super) fn lock(shared: &Shared) -> MutexGuard<'_, Kept> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) struct Writer {
    pub root: PathBuf,
    pub directory: PathBuf,
    pub most_bytes: u64,
    /// The number of the last file.
    pub last: Option<u64>,
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
        let mut looked = Instant::now();
        loop {
            match requests.recv_timeout(LOOKS_EVERY) {
                Ok(first) => self.handle(first, requests),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if looked.elapsed() >= LOOKS_EVERY {
                self.look();
                looked = Instant::now();
            }
        }
        self.seal();
    }

    /// One request, and whatever else has come.
    fn handle(&mut self, first: Request, requests: &Receiver<Request>) {
        let (mut appends, mut seals, mut take_overs) = (Vec::new(), Vec::new(), Vec::new());
        let mut size = 0;
        let mut next = Some(first);
        while let Some(request) = next {
            match request {
                Request::Append(append) => {
                    size += append.content.len();
                    appends.push(append);
                }
                Request::Seal(answer) => seals.push(answer),
                Request::TakeOver(answer) => take_overs.push(answer),
            }
            next = (size < TOGETHER).then(|| requests.try_recv().ok()).flatten();
        }
        self.append(appends);
        if !seals.is_empty() {
            self.seal();
        }
        if !take_overs.is_empty() {
            self.take_over();
        }
        for answer in seals.into_iter().chain(take_overs) {
            let _ = answer.send(());
        }
    }

    /// Whether a disk that took nothing does again, and what is kept aside.
    fn look(&self) {
        let has_trouble = lock(&self.shared).trouble.is_some();
        if has_trouble && self.probe().is_ok() {
            self.note(None);
        }
        let aside = Aside::of(&slot::directories(&self.root).unwrap_or_default(), &self.directory);
        lock(&self.shared).aside = aside;
    }

    fn probe(&self) -> io::Result<()> {
        let path = self.directory.join("probe");
        let written = File::create(&path).and_then(|mut file| {
            file.write_all(&[0; PROBE])?;
            file.sync_all()
        });
        let removed = fs::remove_file(&path);
        written.and(removed)
    }

    fn take_over(&mut self) {
        let mut taken: BTreeSet<u64> = lock(&self.shared).sealed.iter().map(|segment| segment.number).collect();
        taken.extend(self.open.as_ref().map(|open| open.number));
        match slot::take_over(&self.root, &self.directory, &mut taken) {
            Ok(inherited) if inherited.is_empty() => {}
            Ok(inherited) => {
                let events: u64 = inherited.iter().map(|segment| segment.events).sum();
                self.last = self.last.max(taken.last().copied());
                info!(events, "events that an ended process left in its spool are taken over");
                lock(&self.shared).add(inherited);
            }
            Err(error) => warn!(%error, "what ended processes left in the spool cannot be taken over"),
        }
    }

    fn append(&mut self, appends: Vec<Append>) {
        let mut room = self.most_bytes.saturating_sub(lock(&self.shared).all_bytes());
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
        let number = next_number(self.last);
        self.last = Some(number);
        let path = open_path(&self.directory, number);
        let mut file = File::options().create_new(true).append(true).open(&path)?;
        let begun = file.write_all(record::TITLE).and_then(|()| sync(&self.directory));
        if let Err(error) = begun {
            // On a full disk each attempt would leave one.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
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
        if open.events == 0 && fs::remove_file(&from).is_ok() {
            let mut kept = lock(&self.shared);
            kept.bytes = kept.bytes.saturating_sub(open.bytes);
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_nothing_is_not_filled_with_files_without_events() {
        let directory = tempfile::tempdir().unwrap();
        let (root, path) = (directory.path().to_owned(), directory.path().to_owned());
        let (last, open, shared) = (None, None, Shared::default());
        let mut writer = Writer { root, directory: path.clone(), most_bytes: 1 << 20, last, shared, open };
        for _ in 0..3 {
            let mut open = writer.create().unwrap();
            // Nothing can be written to it.
            open.file = File::open(open_path(&path, open.number)).unwrap();
            writer.open = Some(open);
            assert!(writer.write(b"an event", 1).is_err());
        }
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        let kept = lock(&writer.shared);
        assert_eq!((kept.bytes, kept.events, kept.sealed.len()), (0, 0, 0));
    }
}
