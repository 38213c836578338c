//! What commands do with the spools of all processes on this machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::slot::{Slot, directories};
use super::{aside, directory};

/// Where the spool is, below the directory of an installation's data.
pub fn root(data_dir: &Path) -> PathBuf {
    data_dir.join("spool")
}

/// The file that says which database this installation was served from.
const DATABASE: &str = "database";

/// Notes the database that this installation is served from.
///
/// # Errors
/// When the disk does not let it.
pub fn know(data_dir: &Path, database: &str) -> io::Result<()> {
    if is_known(data_dir, database) {
        return Ok(());
    }
    let root = root(data_dir);
    directory::make(&root)?;
    directory::write_whole(&root.join(DATABASE), digest(database).as_bytes())
}

/// Whether it was served from this one last.
pub fn is_known(data_dir: &Path, database: &str) -> bool {
    fs::read_to_string(root(data_dir).join(DATABASE)).is_ok_and(|known| known == digest(database))
}

fn digest(database: &str) -> String {
    Sha256::digest(database.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many events wait in all processes' files, and their bytes.
///
/// # Errors
/// When the disk does not let it.
pub fn count(root: &Path) -> io::Result<(u64, u64)> {
    if !root.exists() {
        return Ok((0, 0));
    }
    let mut all = (0, 0);
    for process in directories(root)? {
        let (events, bytes) = directory::count(&process)?;
        all = (all.0 + events, all.1 + bytes);
    }
    Ok(all)
}

/// Puts what was kept aside back among what waits, and says how many events that are. A process that runs takes them over.
///
/// # Errors
/// When the disk does not let it.
pub fn reset(root: &Path) -> io::Result<u64> {
    if !root.exists() {
        return Ok(0);
    }
    let slot = Slot::take(root)?;
    let last = directory::left_behind(&slot.directory)?.last().map(|last| last.number);
    let (mut next, mut events) = (directory::next_number(last), 0);
    for process in directories(root)? {
        let taken = aside::take_back(&process, &slot.directory, &mut next)?;
        events += taken.iter().map(|segment| segment.events).sum::<u64>();
    }
    Ok(events)
}
