//! The lines that a piece of code logs, for unit tests.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

/// Where a subscriber may write; all clones share the lines.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub fn read(&self) -> Vec<String> {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// What is logged on this thread, at `INFO` and above: level, target, text, fields.
pub fn written(log: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    let logs = tracing_subscriber::fmt().with_writer(lines.clone()).with_max_level(Level::INFO);
    tracing::subscriber::with_default(logs.with_ansi(false).without_time().finish(), log);
    lines.read()
}
