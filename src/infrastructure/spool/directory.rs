//! Where the files of a spool are, and what they are called.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::record;
use crate::infrastructure::private_directory::private_directory;

/// The file that events are appended to, or were when a process ended.
const OPEN: &str = "spool";
/// One to which nothing is appended any more. Its name says how many events it has.
const SEALED: &str = "sealed";
/// What could not be read or stored.
const ASIDE: &str = "aside";

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

/// What earlier processes left, oldest first. An open file is looked at and sealed.
pub fn left_behind(directory: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(segment) = segment(directory, &entry.path(), entry.metadata()?.len())? {
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
    let decoded = record::decode(&fs::read(path)?);
    let events = decoded.contents.len() as u64;
    if decoded.contents.is_empty() && decoded.unreadable.is_empty() {
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
            Some((_, OPEN)) => events += record::decode(&fs::read(entry.path())?).contents.len() as u64,
            _ => continue,
        }
        bytes += entry.metadata()?.len();
    }
    Ok((events, bytes))
}

/// Keeps a piece that cannot be used. A piece that is there already is the same one.
pub fn put_aside(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let aside = directory.join(ASIDE);
    private_directory(&aside)?;
    let path = aside.join(name);
    if path.exists() {
        return Ok(());
    }
    fs::write(&path, bytes)?;
    File::open(&path)?.sync_all()?;
    sync(&aside)
}

/// How many pieces there are, and their bytes.
pub fn aside(directory: &Path) -> (u64, u64) {
    let Ok(entries) = fs::read_dir(directory.join(ASIDE)) else { return (0, 0) };
    let sizes = entries.filter_map(|entry| entry.ok()?.metadata().ok()).map(|metadata| metadata.len());
    sizes.fold((0, 0), |(pieces, bytes), size| (pieces + 1, bytes + size))
}
