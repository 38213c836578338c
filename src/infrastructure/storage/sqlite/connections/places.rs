//! Whether the files that are open are still those that their paths name.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use crate::application::ports::RepositoryError;

/// A file that is open, by what no other file has while it is.
struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// What is so bad about it: the end of a sentence that begins with the path.
    consequence: &'static str,
}

const DATABASE: &str =
    "what would be stored would be lost at the next start. Put the file back, or restart the process";
const LOCK: &str = "another process may serve from the same database. Restart this one";

impl Place {
    fn of(path: &Path, metadata: &Metadata, consequence: &'static str) -> Self {
        Self { path: path.to_owned(), device: metadata.dev(), inode: metadata.ino(), consequence }
    }

    /// What is wrong, if something is.
    fn trouble(&self) -> Option<String> {
        let found = match fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (self.device, self.inode) => return None,
            Ok(_) => "is another file than the one that is open".to_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => "was moved or deleted while it is open".to_owned(),
            Err(error) => format!("cannot be found any more ({error})"),
        };
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        Some(format!("{} {found}: {}", path.display(), self.consequence))
    }
}

/// The files of an installation. Looking at them costs some microseconds.
#[derive(Default)]
pub(super) struct Places {
    places: Mutex<Vec<Place>>,
    trouble: Mutex<Option<String>>,
}

impl Places {
    pub(super) fn watch_database(&self, path: &Path) -> io::Result<()> {
        let place = Place::of(path, &fs::metadata(path)?, DATABASE);
        locked(&self.places).push(place);
        Ok(())
    }

    pub(super) fn watch_lock(&self, path: &Path, file: &File) -> io::Result<()> {
        let place = Place::of(path, &file.metadata()?, LOCK);
        let mut places = locked(&self.places);
        places.retain(|place| place.path != path);
        places.push(place);
        Ok(())
    }

    /// Succeeds if every file is in its place. Says in the log when one no longer is, and when all are again.
    pub(super) fn are_kept(&self) -> Result<(), RepositoryError> {
        let found = locked(&self.places).iter().find_map(Place::trouble);
        let mut trouble = locked(&self.trouble);
        match (trouble.is_some(), &found) {
            (false, Some(trouble)) => warn!("{trouble}; no message is accepted"),
            (true, None) => info!("the files of the database are in their places again"),
            _ => {}
        }
        trouble.clone_from(&found);
        found.map_or(Ok(()), |trouble| Err(RepositoryError::Unavailable(trouble)))
    }

    /// As it was found last.
    pub(super) fn trouble(&self) -> Option<String> {
        locked(&self.trouble).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(places: &Places) -> String {
        places.are_kept().unwrap_err();
        places.trouble().unwrap()
    }

    #[test]
    fn a_file_that_is_moved_deleted_or_replaced_is_named_until_it_is_back() {
        let directory = tempfile::tempdir().unwrap();
        let (path, aside) = (directory.path().join("a"), directory.path().join("b"));
        // As long as it is open no other file has its number.
        let _open = File::create(&path).unwrap();
        let places = Places::default();
        places.watch_database(&path).unwrap();
        places.are_kept().unwrap();

        fs::rename(&path, &aside).unwrap();
        let moved = trouble(&places);
        assert!(moved.starts_with(path.to_str().unwrap()) && moved.contains("was moved or deleted"), "{moved}");
        File::create(&path).unwrap();
        assert!(trouble(&places).contains("is another file"));
        fs::rename(&aside, &path).unwrap();
        places.are_kept().unwrap();
        assert_eq!(places.trouble(), None);
        fs::remove_file(&path).unwrap();
        trouble(&places);
    }
}
