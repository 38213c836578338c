//! Reading a file of the spool: what can be read, and what is kept aside.

use std::fs;
use std::io;
use std::path::Path;

use tracing::{error, warn};

use super::directory::{Segment, put_aside};
use super::{event_record, record};
use crate::application::ports::NewEvent;

/// The events of a file. What cannot be read of it is on disk beside it by then, and said if `says_so`.
///
/// # Errors
/// When the disk does not let it.
pub fn read(directory: &Path, segment: &Segment, says_so: bool) -> io::Result<Vec<NewEvent>> {
    let bytes = match fs::read(&segment.path) {
        // Somebody has cleared it away, or it was forgotten by one who did not live to note it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let decoded = record::decode(&bytes);
    let mut events = Vec::with_capacity(decoded.contents.len());
    for content in &decoded.contents {
        match event_record::read(&bytes[content.clone()]) {
            Some(event) => events.push(event),
            None => {
                let name = format!("{:020}-{}.record", segment.number, content.start);
                put_aside(directory, &name, &bytes[content.clone()])?;
                if says_so {
                    error!(file = %segment.path.display(), kept = %name, "an event in the spool is of another version and is kept aside");
                }
            }
        }
    }
    let last = decoded.unreadable.len();
    for (index, piece) in decoded.unreadable.iter().enumerate() {
        let name = format!("{:020}-{}.bytes", segment.number, piece.start);
        put_aside(directory, &name, &bytes[piece.clone()])?;
        if !says_so {
            continue;
        }
        let (file, length) = (segment.path.display(), piece.len());
        if decoded.is_torn && index + 1 == last {
            warn!(%file, bytes = length, kept = %name, "the last event of a spool file is torn, as a crash leaves it, and is skipped");
        } else {
            error!(%file, bytes = length, kept = %name, "a part of a spool file is damaged and is kept aside; the events around it are delivered");
        }
    }
    Ok(events)
}
