//! A process has a directory of the spool to itself, and takes over what ended processes left in theirs.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::directory::{left_behind, sealed_path};
use crate::infrastructure::private_directory::private_directory;

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
                slot.take_over(root)?;
                return Ok(slot);
            }
        }
        Err(io::Error::other(format!("{MOST} processes use {}", root.display())))
    }

    fn lock(directory: PathBuf) -> io::Result<Option<Self>> {
        private_directory(&directory)?;
        let file = File::options().create(true).append(true).open(directory.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { directory, _lock: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Files of processes that have ended become this one's.
    fn take_over(&self, root: &Path) -> io::Result<()> {
        let mut next = left_behind(&self.directory)?.last().map_or(1, |last| last.number + 1);
        for directory in directories(root)? {
            let Some(left) = (directory != self.directory).then(|| Self::lock(directory)).transpose()?.flatten() else {
                continue;
            };
            for segment in left_behind(&left.directory)? {
                fs::rename(&segment.path, sealed_path(&self.directory, next, segment.events))?;
                next += 1;
            }
        }
        Ok(())
    }
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
