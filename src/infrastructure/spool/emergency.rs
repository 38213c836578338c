//! The emergency switch: a file beside the spool, so that a command can set it for processes that run, and a restart keeps it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::{error, warn};

use super::directory::{make, write_whole};
use crate::application::ports::{EmergencySwitch, SpoolError};

const NAME: &str = "EMERGENCY";

const ON: &str = "on\n";
/// Also says that `EMERGENCY_MODE=true` has been overruled, until a process starts without it.
const OFF: &str = "off\n";

/// Pause between two looks at the file.
const LOOKS_EVERY: Duration = Duration::from_millis(500);

/// The switch of a process. A thread looks at the file, so that nobody who asks waits for a disk.
pub struct FileSwitch {
    position: Arc<Position>,
    /// Ends the thread when it is dropped.
    _ends: Sender<()>,
}

struct Position {
    root: PathBuf,
    /// As it is configured: what counts where there is no file.
    configured: bool,
    is_on: AtomicBool,
    /// What was seen of the file.
    seen: Mutex<Option<bool>>,
}

impl FileSwitch {
    /// As it was set last; as it is configured if it never was, or if it was not configured to be on meanwhile.
    pub fn new(root: PathBuf, configured: bool) -> Self {
        let mut seen = read(&root).unwrap_or(None);
        if seen == Some(false) && !configured {
            // A setting that comes later counts.
            match fs::remove_file(root.join(NAME)) {
                Ok(()) => seen = None,
                Err(error) => warn!(%error, "a file of the emergency switch cannot be deleted"),
            }
        }
        let is_on = seen.unwrap_or(configured);
        match (is_on, configured) {
            (true, _) => warn!("emergency mode: events go to the spool alone until it is switched off"),
            (false, true) => {
                warn!(
                    "EMERGENCY_MODE=true does not count: emergency mode was switched off since; take it out of the configuration"
                );
            }
            (false, false) => {}
        }
        let position = Arc::new(Position { root, configured, is_on: AtomicBool::new(is_on), seen: Mutex::new(seen) });
        let (ends, ended) = channel();
        let watched = position.clone();
        let watch = move || {
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(LOOKS_EVERY) {
                watched.look();
            }
        };
        if let Err(error) = std::thread::Builder::new().name("emergency".to_owned()).spawn(watch) {
            error!(%error, "`correio emergency` is not noticed by this process: no thread can be started");
        }
        Self { position, _ends: ends }
    }

    /// Sets it for all processes that use this directory.
    ///
    /// # Errors
    /// When the disk does not keep it.
    pub fn set_for_all(root: &Path, on: bool) -> Result<(), SpoolError> {
        let path = root.join(NAME);
        let written = make(root).and_then(|()| write_whole(&path, if on { ON } else { OFF }.as_bytes()));
        written.map_err(|error| SpoolError::Unusable(format!("{}: {error}", path.display())))
    }
}

impl Position {
    fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // One that cannot be read says nothing.
        let Ok(now) = read(&self.root) else { return };
        let before = std::mem::replace(&mut *seen, now);
        match (before, now) {
            (_, Some(on)) if before != now => self.turn(on),
            // Deleted by hand. Where it said off, a process that starts without the setting has deleted it.
            (Some(true), None) => self.turn(self.configured),
            _ => {}
        }
    }

    fn turn(&self, on: bool) {
        if self.is_on.swap(on, Ordering::Relaxed) != on {
            warn!(on, "emergency mode was switched");
        }
    }
}

impl EmergencySwitch for FileSwitch {
    fn is_on(&self) -> bool {
        self.position.is_on.load(Ordering::Relaxed)
    }

    fn set(&self, on: bool) -> Result<(), SpoolError> {
        let position = &self.position;
        let mut seen = position.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let written = FileSwitch::set_for_all(&position.root, on);
        // The process does as it was told also when its disk does not keep it.
        position.turn(on);
        if let Ok(now) = read(&position.root) {
            *seen = now;
        }
        written
    }
}

/// None without a file. An earlier version's is empty, and says that it is on.
fn read(root: &Path) -> io::Result<Option<bool>> {
    match fs::read_to_string(root.join(NAME)) {
        Ok(text) => Ok(Some(text != OFF)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
