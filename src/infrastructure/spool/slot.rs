//! A process has a directory of the spool to itself, and takes over what ended processes left in theirs.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::directory::{Segment, left_behind, make, sealed_path, sync};

/// Processes that share a machine's directory, at most.
const MOST: u32 = 64;

/// A directory that is this process's, until it ends, however it ends.
pub struct Slot {
    pub directory: PathBuf,
    _lock: File,
}

impl Slot {
    /// The first directory that no other process has.
    ///
    /// # Errors
    /// When the disk does not let it, or all are taken.
    pub fn take(root: &Path) -> io::Result<Self> {
        for number in 0..MOST {
            if let Some(slot) = Self::lock(root.join(number.to_string()))? {
                return Ok(slot);
            }
        }
        Err(io::Error::other(format!("{MOST} processes use {}", root.display())))
    }

    fn lock(directory: PathBuf) -> io::Result<Option<Self>> {
        make(&directory)?;
        let file = File::options().create(true).append(true).open(directory.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { directory, _lock: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Adds files of processes that have ended to `inherited`, as files of the one whose directory `own` is. They keep their numbers,
/// which tell their age, unless `taken` has them.
///
/// # Errors
/// What the disk did not let: what is in `inherited` was taken over all the same.
pub fn take_over(root: &Path, own: &Path, taken: &mut BTreeSet<u64>, inherited: &mut Vec<Segment>) -> io::Result<()> {
    let mut taken_over = Ok(());
    for directory in directories(root)? {
        if directory != own {
            // One that cannot be used keeps none of the others from being taken over.
            taken_over = taken_over.and(take_over_one(directory, own, taken, inherited));
        }
    }
    taken_over
}

fn take_over_one(
    directory: PathBuf,
    own: &Path,
    taken: &mut BTreeSet<u64>,
    inherited: &mut Vec<Segment>,
) -> io::Result<()> {
    let Some(left) = Slot::lock(directory)? else { return Ok(()) };
    let segments = left_behind(&left.directory)?;
    if segments.is_empty() {
        return Ok(());
    }
    let mut moved = Ok(());
    for segment in segments {
        // A file that was given up is no longer known, and still there.
        let is_free = |number: &u64| !taken.contains(number) && !sealed_path(own, *number, segment.events).exists();
        let Some(number) = (segment.number..).find(is_free) else { continue };
        let path = sealed_path(own, number, segment.events);
        if let Err(error) = fs::rename(&segment.path, &path) {
            moved = Err(error);
            continue;
        }
        taken.insert(number);
        inherited.push(Segment { number, path, ..segment });
    }
    moved.and(sync(own)).and(sync(&left.directory))
}

/// The directories of all processes.
///
/// # Errors
/// When the disk does not let it.
pub fn directories(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root)? {
        let path = entry?.path();
        if path.join("lock").exists() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
