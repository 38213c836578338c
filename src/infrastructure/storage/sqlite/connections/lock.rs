use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::application::ports::RepositoryError;
use crate::infrastructure::private_directory::private_directory;

/// This process has the installation to itself, until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct InstallationLock(#[allow(dead_code, reason = "it is held")] pub(super) LockFile);

/// A file that one process at a time has locked. It stays behind: deleting it would let two processes lock two files.
#[derive(Debug)]
pub(super) struct LockFile(File);

impl LockFile {
    pub(super) async fn wait(path: PathBuf) -> Result<Self, RepositoryError> {
        let locked = tokio::task::spawn_blocking(move || {
            let file = open(&path)?;
            file.lock().map_err(|error| unavailable(&path, &error))?;
            Ok(Self(file))
        });
        locked.await.map_err(|error| RepositoryError::Unavailable(error.to_string()))?
    }

    pub(super) fn try_take(path: PathBuf) -> Result<Self, RepositoryError> {
        let file = open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(RepositoryError::Conflict),
            Err(TryLockError::Error(error)) => Err(unavailable(&path, &error)),
        }
    }

    pub(super) fn file(&self) -> &File {
        &self.0
    }
}

/// Opens a file that no other user may read: messages are private. SQLite gives its log the same mode.
pub(super) fn open(path: &Path) -> Result<File, RepositoryError> {
    if let Some(directory) = path.parent() {
        private_directory(directory).map_err(|error| unavailable(directory, &error))?;
    }
    File::options().create(true).append(true).mode(0o600).open(path).map_err(|error| unavailable(path, &error))
}

pub(super) fn unavailable(path: &Path, error: &io::Error) -> RepositoryError {
    RepositoryError::Unavailable(format!("{}: {error}", path.display()))
}
