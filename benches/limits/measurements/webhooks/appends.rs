use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Result;

/// As many as share a sync of the spool, when as many callers wait.
const TOGETHER: usize = 128;

/// How many records of so many bytes a file takes in a second, if those that wait at the same time share an `fdatasync`.
pub fn rate(directory: &Path, bytes: usize, seconds: u32) -> Result<f64> {
    let path = directory.join("appends");
    let mut file = File::create(&path)?;
    let records = vec![b'x'; bytes * TOGETHER];
    let (begun, limit) = (Instant::now(), Duration::from_secs(seconds.into()));
    let mut count = 0;
    while begun.elapsed() < limit {
        file.write_all(&records)?;
        file.sync_data()?;
        count += TOGETHER;
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}
