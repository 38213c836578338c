//! Reading a file of the spool: what can be read, and what is kept aside.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use rustix::io::Errno;
use tracing::{error, warn};

use super::aside::{move_aside, put_aside};
use super::directory::Segment;
use super::{event_record, record};
use crate::application::ports::NewEvent;
use crate::domain::event::EventId;

/// What was read of a file.
#[derive(Debug, Default)]
pub struct Content {
    pub events: Vec<NewEvent>,
    /// A part that cannot be read is nowhere else: the file is kept when its events are stored.
    pub is_needed: bool,
    /// Parts that are kept aside since now, and their bytes.
    pub pieces: u64,
    pub bytes: u64,
}

impl Content {
    fn keep(&mut self, directory: &Path, name: &str, bytes: &[u8]) {
        match put_aside(directory, name, bytes) {
            Ok(is_new) => {
                self.pieces += u64::from(is_new);
                self.bytes += if is_new { bytes.len() as u64 } else { 0 };
            }
            Err(error) => {
                self.is_needed = true;
                warn!(%error, %name, "a part of a spool file cannot be kept beside it: the whole file is kept");
            }
        }
    }
}

/// The events of a file. What cannot be read of it is on disk beside it by then, where there is room, and said if `says_so`.
///
/// # Errors
/// When the file cannot be read.
pub fn read(directory: &Path, segment: &Segment, says_so: bool) -> io::Result<Content> {
    let bytes = match fs::read(&segment.path) {
        // Somebody has cleared it away, or it was forgotten by one who did not live to note it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
        read => read?,
    };
    let decoded = record::decode(&bytes);
    let mut content = Content { events: Vec::with_capacity(decoded.contents.len()), ..Content::default() };
    let file = segment.path.display();
    for range in &decoded.contents {
        match event_record::read(&bytes[range.clone()]) {
            Some(event) => content.events.push(event),
            None => {
                let name = format!("{:020}-{}.record", segment.number, range.start);
                content.keep(directory, &name, &bytes[range.clone()]);
                if says_so {
                    error!(%file, kept = %name, "an event in the spool is of another version and is kept aside");
                }
            }
        }
    }
    let last = decoded.unreadable.len();
    for (index, piece) in decoded.unreadable.iter().enumerate() {
        let name = format!("{:020}-{}.bytes", segment.number, piece.start);
        content.keep(directory, &name, &bytes[piece.clone()]);
        if !says_so {
            continue;
        }
        let length = piece.len();
        if decoded.is_torn && index + 1 == last {
            warn!(%file, bytes = length, kept = %name, "the last event of a spool file is torn, as a crash leaves it, and is skipped");
        } else {
            error!(%file, bytes = length, kept = %name, "a part of a spool file is damaged and is kept aside; the events around it are delivered");
        }
    }
    Ok(content)
}

/// What is needed of a file whose other events are stored, where there is room by now: then the file is not needed.
///
/// # Errors
/// When the file cannot be read.
fn keep_rest(directory: &Path, segment: &Segment, refused: &BTreeSet<EventId>) -> io::Result<Content> {
    let mut content = read(directory, segment, false)?;
    let events = std::mem::take(&mut content.events);
    for new in events.iter().filter(|new| refused.contains(&new.event.id)) {
        let written = event_record::written(new).unwrap_or_default();
        content.keep(directory, &piece_of(new.event.id), &written);
    }
    Ok(content)
}

/// The name of an event that is kept aside.
pub fn piece_of(event: EventId) -> String {
    format!("{event}.json")
}

/// Deletes a file whose events are stored. `is_needed`: a part of it is nowhere else. What is needed is kept, with the whole file
/// where there is no room for it by itself. Returns how many pieces are kept aside since, and their bytes.
pub fn remove(
    directory: &Path,
    segment: &Segment,
    is_needed: bool,
    refused: &BTreeSet<EventId>,
) -> io::Result<(u64, u64)> {
    let mut kept = (0, 0);
    if is_needed || !refused.is_empty() {
        let rest = keep_rest(directory, segment, refused);
        let is_needed = rest.as_ref().map_or(true, |rest| rest.is_needed);
        kept = rest.map_or((0, 0), |rest| (rest.pieces, rest.bytes));
        if is_needed {
            move_aside(directory, &segment.path, refused.is_empty())?;
            return Ok((kept.0 + 1, kept.1 + segment.bytes));
        }
    }
    match fs::remove_file(&segment.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(kept),
    }
}

/// Whether a file is the reason that it cannot be read, and not that the process has too many files open, or too little memory.
pub fn is_of_the_file(error: &io::Error) -> bool {
    let of_the_file = [Errno::IO, Errno::ISDIR, Errno::NOTDIR, Errno::ACCESS, Errno::PERM, Errno::LOOP, Errno::BADMSG];
    let has_panicked = error.get_ref().is_some_and(|error| error.is::<tokio::task::JoinError>());
    has_panicked
        || error.kind() == io::ErrorKind::InvalidData
        || Errno::from_io_error(error).is_some_and(|errno| of_the_file.contains(&errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_lacks_is_not_the_fault_of_a_file() {
        let of = |errno: Errno| is_of_the_file(&io::Error::from(errno));
        assert!([Errno::IO, Errno::ISDIR, Errno::ACCESS].into_iter().all(of));
        assert!(![Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::INTR].into_iter().any(of));
    }
}
