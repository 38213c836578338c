//! What the files of a process's spool hold, as it is known without looking at them.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::aside::Aside;
use super::directory::Segment;
use super::slot;

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
    /// How often something was kept aside since the start.
    pub aside_changes: u64,
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

    /// Notes what was kept aside.
    pub fn add_aside(&mut self, directory: &Path, pieces: u64, bytes: u64) {
        if pieces > 0 {
            self.aside.add(directory, pieces, bytes);
            self.aside_changes += 1;
        }
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

/// Counts what is kept aside: also what other processes have kept, and what a person has deleted.
pub(super) fn look_aside(root: &Path, directory: &Path, shared: &Shared) {
    let changes = lock(shared).aside_changes;
    let aside = Aside::of(&slot::directories(root).unwrap_or_default(), directory);
    let mut kept = lock(shared);
    if kept.aside_changes == changes {
        kept.aside = aside;
    }
}
