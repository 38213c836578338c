//! Where the files of a spool are, and what they are called.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::record;
use crate::infrastructure::private_directory::private_directory;

/// The file that events are appended to, or were when a process ended.
const OPEN: &str = "spool";
/// One to which nothing is appended any more. Its name says how many events it has.
const SEALED: &str = "sealed";

/// A file to which nothing is appended any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub number: u64,
    pub events: u64,
    pub bytes: u64,
    pub path: PathBuf,
}

pub fn open_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:020}.{OPEN}"))
}

pub fn sealed_path(directory: &Path, number: u64, events: u64) -> PathBuf {
    directory.join(format!("{number:020}-{events}.{SEALED}"))
}

/// A directory's own entries are on disk once it is synced.
pub fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Makes a directory, and those above it, whose names are on disk by then.
pub fn make(directory: &Path) -> io::Result<()> {
    let made: Vec<&Path> = directory.ancestors().take_while(|path| is_named(path) && !path.exists()).collect();
    private_directory(directory)?;
    for parent in made.iter().filter_map(|path| path.parent()) {
        sync(if is_named(parent) { parent } else { Path::new(".") })?;
    }
    Ok(())
}

/// The parent of a relative path of one part is the empty one.
fn is_named(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

/// Writes a file that is there whole, under its name, or not at all; it replaces another one.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let unfinished = unfinished(path);
    let written = fs::write(&unfinished, bytes)
        .and_then(|()| File::open(&unfinished)?.sync_all())
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // Half a file on a full disk is of no use to anybody.
        let _ = fs::remove_file(&unfinished);
    }
    written.and_then(|()| sync(directory))
}

fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".unfinished");
    name.into()
}

/// The number of the next file: its time, as long as clocks go forward. None is ever given twice, whatever became of the files before it.
pub fn next_number(last: Option<u64>) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(since.as_micros()).unwrap_or_default();
    last.map_or(0, |last| last + 1).max(now)
}

/// What earlier processes left, oldest first. An open file is looked at and sealed.
pub fn left_behind(directory: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let bytes = entry.metadata().map_or(0, |metadata| metadata.len());
        if let Some(segment) = segment(directory, &entry.path(), bytes)? {
            segments.push(segment);
        }
    }
    segments.sort_by_key(|segment| segment.number);
    Ok(segments)
}

fn segment(directory: &Path, path: &Path, bytes: u64) -> io::Result<Option<Segment>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some((stem, kind)) = name.split_once('.') else { return Ok(None) };
    let (number, events) = stem.split_once('-').unwrap_or((stem, ""));
    let Ok(number) = number.parse() else { return Ok(None) };
    if kind == SEALED {
        return Ok(Some(Segment { number, events: events.parse().unwrap_or(0), bytes, path: path.to_owned() }));
    }
    if kind != OPEN {
        return Ok(None);
    }
    // One that cannot be read is not the end of all others: its reader says so.
    let decoded = fs::read(path).map(|bytes| record::decode(&bytes));
    let events = decoded.as_ref().map_or(0, |decoded| decoded.contents.len() as u64);
    if decoded.is_ok_and(|decoded| decoded.contents.is_empty() && decoded.unreadable.is_empty()) {
        fs::remove_file(path)?;
        return Ok(None);
    }
    let sealed = sealed_path(directory, number, events);
    fs::rename(path, &sealed)?;
    Ok(Some(Segment { number, events, bytes, path: sealed }))
}

/// How many events the files have, without a change to any of them: a process may be appending.
pub fn count(directory: &Path) -> io::Result<(u64, u64)> {
    let (mut events, mut bytes) = (0, 0);
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        match name.rsplit_once('.') {
            Some((stem, SEALED)) => {
                events += stem.split_once('-').and_then(|(_, events)| events.parse::<u64>().ok()).unwrap_or(0);
            }
            // One that is stored meanwhile is gone.
            Some((_, OPEN)) => {
                events += fs::read(entry.path()).map_or(0, |bytes| record::decode(&bytes).contents.len() as u64);
            }
            _ => continue,
        }
        bytes += entry.metadata().map_or(0, |metadata| metadata.len());
    }
    Ok((events, bytes))
}
