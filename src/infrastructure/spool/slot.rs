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

/// Files of processes that have ended, as files of the one whose directory `own` is. They keep their numbers, which tell their
/// age, unless `taken` has them.
///
/// # Errors
/// When the disk does not let it.
pub fn take_over(root: &Path, own: &Path, taken: &mut BTreeSet<u64>) -> io::Result<Vec<Segment>> {
    let mut inherited = Vec::new();
    for directory in directories(root)? {
        let Some(left) = (directory != own).then(|| Slot::lock(directory)).transpose()?.flatten() else { continue };
        let segments = left_behind(&left.directory)?;
        if segments.is_empty() {
            continue;
        }
        for segment in segments {
            let number = (segment.number..).find(|number| !taken.contains(number)).unwrap_or(segment.number);
            let path = sealed_path(own, number, segment.events);
            fs::rename(&segment.path, &path)?;
            taken.insert(number);
            inherited.push(Segment { number, path, ..segment });
        }
        sync(own)?;
        sync(&left.directory)?;
    }
    Ok(inherited)
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
