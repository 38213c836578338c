//! The emergency switch: a file beside the spool, so that a command can set it for a process that runs, and a restart keeps it.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::warn;

use super::directory::sync;
use crate::application::ports::{EmergencySwitch, SpoolError};
use crate::infrastructure::private_directory::private_directory;

const NAME: &str = "EMERGENCY";

/// How long what was seen of the file is relied on.
const LOOKED_AT_EVERY: Duration = Duration::from_millis(500);

pub struct FileSwitch {
    root: PathBuf,
    seen: Mutex<Seen>,
}

struct Seen {
    at: Option<Instant>,
    is_there: bool,
    is_on: bool,
}

impl FileSwitch {
    /// On from the start if `is_on`, or if it was left on.
    pub fn new(root: PathBuf, is_on: bool) -> Self {
        let is_there = root.join(NAME).exists();
        let switch = Self { root, seen: Mutex::new(Seen { at: None, is_there, is_on: is_there || is_on }) };
        if is_there || is_on {
            warn!("emergency mode: events go to the spool alone until it is switched off");
        }
        switch
    }
}

impl EmergencySwitch for FileSwitch {
    fn is_on(&self) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.at.is_none_or(|at| at.elapsed() >= LOOKED_AT_EVERY) {
            let is_there = self.root.join(NAME).exists();
            if is_there != seen.is_there {
                warn!(on = is_there, "emergency mode was switched");
                (seen.is_there, seen.is_on) = (is_there, is_there);
            }
            seen.at = Some(Instant::now());
        }
        seen.is_on
    }

    fn set(&self, on: bool) -> Result<(), SpoolError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.root.join(NAME);
        let written = private_directory(&self.root).and_then(|()| match on {
            true => File::create(&path).and_then(|file| file.sync_all()).and_then(|()| sync(&self.root)),
            false if path.exists() => fs::remove_file(&path),
            false => Ok(()),
        });
        if seen.is_on != on {
            warn!(on, "emergency mode was switched");
        }
        (seen.is_on, seen.is_there) = (on, path.exists());
        // The process does as it was told also when its disk does not keep it.
        written.map_err(|error| SpoolError::Unusable(format!("{}: {error}", path.display())))
    }
}
