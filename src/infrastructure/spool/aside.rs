//! What could not be read or stored, kept until a person has looked at it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::directory::{Segment, make, sealed_path, sync, write_whole};
use super::{event_record, record};

/// Below the directory of a process.
const ASIDE: &str = "aside";

/// Pieces of the same name that are looked at, before a place for another one is given up.
const MOST_OF_ONE_NAME: u32 = 10_000;

/// What is kept aside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aside {
    /// Of all processes that use this machine's directory, or have used it.
    pub pieces: u64,
    pub directories: Vec<PathBuf>,
    /// Of this process's own.
    pub bytes: u64,
}

impl Aside {
    /// Looks at the directories of these processes; `own` is one of them.
    pub fn of(processes: &[PathBuf], own: &Path) -> Self {
        let mut all = Self::default();
        for process in processes {
            let directory = process.join(ASIDE);
            let sizes: Vec<u64> = pieces(&directory).into_iter().map(|(_, bytes)| bytes).collect();
            if sizes.is_empty() {
                continue;
            }
            all.pieces += sizes.len() as u64;
            if process == own {
                all.bytes = sizes.iter().sum();
            }
            all.directories.push(directory);
        }
        all
    }
}

/// Every piece that is whole, in the order of their names, and its bytes.
fn pieces(aside: &Path) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = fs::read_dir(aside) else { return Vec::new() };
    let mut pieces: Vec<_> = entries
        .filter_map(|entry| Some((entry.as_ref().ok()?.path(), entry.ok()?.metadata().ok()?.len())))
        .filter(|(path, _)| path.extension().is_none_or(|end| end != "unfinished"))
        .collect();
    pieces.sort();
    pieces
}

/// Keeps a piece that cannot be used. What is there already is not written again; another piece of the same name gets a number.
pub fn put_aside(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let aside = directory.join(ASIDE);
    make(&aside)?;
    for path in names(&aside, name) {
        match fs::read(&path) {
            Ok(known) if known == bytes => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return write_whole(&path, bytes),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{} has too many pieces of the name {name}", aside.display())))
}

/// Keeps a whole file as it is. It needs no room on the disk.
pub fn move_aside(directory: &Path, file: &Path) -> io::Result<PathBuf> {
    let aside = directory.join(ASIDE);
    make(&aside)?;
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("a-file");
    let free = names(&aside, name).find(|path| !path.exists());
    let path = free.ok_or_else(|| io::Error::other(format!("{} is full of {name}", aside.display())))?;
    fs::rename(file, &path)?;
    sync(&aside)?;
    Ok(path)
}

/// The name, and then the same with numbers.
fn names<'n>(aside: &'n Path, name: &'n str) -> impl Iterator<Item = PathBuf> + 'n {
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, "piece"));
    let numbered = (2..=MOST_OF_ONE_NAME).map(move |number| format!("{stem}.{number}.{end}"));
    std::iter::once(name.to_owned()).chain(numbered).map(|name| aside.join(name))
}

/// Makes a file of each piece, to be read and stored once more, with numbers from `next` on: the events that a database refused,
/// records of another version, files that could not be read. A part in which no record can be found stays where it is.
pub fn take_back(from: &Path, into: &Path, next: &mut u64) -> io::Result<Vec<Segment>> {
    let mut taken = Vec::new();
    for (path, _) in pieces(&from.join(ASIDE)) {
        let Some(file) = fs::read(&path).ok().and_then(|bytes| readable(&path, bytes)) else { continue };
        let events = record::decode(&file).contents.len() as u64;
        let sealed = sealed_path(into, *next, events);
        write_whole(&sealed, &file)?;
        taken.push(Segment { number: *next, events, bytes: file.len() as u64, path: sealed });
        *next += 1;
        fs::remove_file(&path)?;
    }
    Ok(taken)
}

/// A piece as a file of the spool.
fn readable(path: &Path, bytes: Vec<u8>) -> Option<Vec<u8>> {
    let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
    if ["json", "record"].contains(&end) {
        event_record::read(&bytes)?;
        let mut file = record::TITLE.to_vec();
        record::encode(&bytes, &mut file)?;
        return Some(file);
    }
    (!record::decode(&bytes).contents.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(directory: &Path) -> Vec<Vec<u8>> {
        pieces(&directory.join(ASIDE)).into_iter().map(|(path, _)| fs::read(path).unwrap()).collect()
    }

    #[test]
    fn pieces_of_one_name_are_kept_beside_each_other() {
        let directory = tempfile::tempdir().unwrap();
        for piece in [b"one", b"two", b"one", b"two"] {
            put_aside(directory.path(), "1-16.bytes", piece).unwrap();
        }
        assert_eq!(contents(directory.path()), [b"two".to_vec(), b"one".to_vec()]);
        let file = directory.path().join("1-16.bytes");
        fs::write(&file, "three").unwrap();
        move_aside(directory.path(), &file).unwrap();
        assert_eq!(contents(directory.path()).len(), 3);
        assert!(!file.exists());
    }

    #[test]
    fn a_piece_that_a_crash_cut_short_does_not_stand_for_the_whole_one() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(ASIDE)).unwrap();
        fs::write(directory.path().join(ASIDE).join("1.bytes"), "wh").unwrap();
        fs::write(directory.path().join(ASIDE).join("2.bytes.unfinished"), "wh").unwrap();
        put_aside(directory.path(), "1.bytes", b"whole").unwrap();
        put_aside(directory.path(), "2.bytes", b"whole").unwrap();
        assert_eq!(contents(directory.path()).iter().filter(|piece| *piece == b"whole").count(), 2);
        let own = directory.path();
        let aside = Aside::of(&[own.to_owned()], own);
        assert_eq!((aside.pieces, aside.bytes), (3, 12));
    }
}
