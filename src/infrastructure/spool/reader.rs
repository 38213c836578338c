//! Reading a file of the spool: what can be read, and what is kept aside.

use std::fs;
use std::io;
use std::path::Path;

use tracing::{error, warn};

use super::aside::put_aside;
use super::directory::Segment;
use super::{event_record, record};
use crate::application::ports::NewEvent;

/// What was read of a file.
#[derive(Debug, Default)]
pub struct Content {
    pub events: Vec<NewEvent>,
    /// A part that cannot be read is nowhere else: the file is kept when its events are stored.
    pub is_needed: bool,
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
    let mut content = Content { events: Vec::with_capacity(decoded.contents.len()), is_needed: false };
    let file = segment.path.display();
    for range in &decoded.contents {
        match event_record::read(&bytes[range.clone()]) {
            Some(event) => content.events.push(event),
            None => {
                let name = format!("{:020}-{}.record", segment.number, range.start);
                content.is_needed |= !is_kept(directory, &name, &bytes[range.clone()]);
                if says_so {
                    error!(%file, kept = %name, "an event in the spool is of another version and is kept aside");
                }
            }
        }
    }
    let last = decoded.unreadable.len();
    for (index, piece) in decoded.unreadable.iter().enumerate() {
        let name = format!("{:020}-{}.bytes", segment.number, piece.start);
        content.is_needed |= !is_kept(directory, &name, &bytes[piece.clone()]);
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

fn is_kept(directory: &Path, name: &str, bytes: &[u8]) -> bool {
    let kept = put_aside(directory, name, bytes);
    if let Err(error) = &kept {
        warn!(%error, %name, "a part of a spool file cannot be kept beside it: the whole file is kept");
    }
    kept.is_ok()
}
