//! Logs go to standard error: standard output has only what a command was asked for.

mod json_lines;
mod queue;

use std::env;
use std::io::{self, IsTerminal, stderr};
use std::sync::OnceLock;
use std::time::Duration;

use tracing::{error, warn};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::infrastructure::config::LogFormat;
use json_lines::JsonLines;
use queue::{Limits, LogQueue};

const LIMITS: Limits = Limits { room: 4 << 20, said_every: Duration::from_secs(10) };

/// How long the last lines wait for what reads them.
const PATIENCE: Duration = Duration::from_secs(1);

/// A process has one standard error.
static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// Starts logging: as text on a terminal and as JSON elsewhere, unless `format` says otherwise. `filter` has
/// `RUST_LOG`'s directives, which the configuration has checked. Only the first call counts.
///
/// # Errors
/// When the system gives no thread.
pub fn init(format: Option<LogFormat>, filter: &str) -> io::Result<()> {
    if QUEUE.get().is_some() {
        return Ok(());
    }
    let started = LogQueue::start(stderr(), LIMITS, |lost| {
        warn!(lost, "log lines are lost: what reads standard error does not read, or not fast enough");
    })?;
    let queue = QUEUE.get_or_init(|| started);
    let terminal = stderr().is_terminal();
    let logs = tracing_subscriber::fmt()
        .with_writer(move || queue)
        // PostgreSQL's notices at every start say nothing. What the Kafka client says, and what the pool of connections says
        // each time that it cannot open one, is said by our adapters, once. RUST_LOG can ask for all of it.
        .with_env_filter(EnvFilter::new(format!(
            "sqlx::postgres::notice=warn,sqlx_core::pool::inner=off,rdkafka=off,{filter}"
        )))
        // It would go to standard error past the queue.
        .log_internal_errors(false);
    let started = match format.unwrap_or(default_format(terminal)) {
        LogFormat::Text => logs.with_ansi(terminal && env::var_os("NO_COLOR").is_none()).finish().try_init(),
        LogFormat::Json => logs.fmt_fields(JsonLines).event_format(JsonLines).finish().try_init(),
    };
    // It fails when another has been started, and that one stays.
    drop(started);
    std::panic::set_hook(Box::new(|panic| {
        error!(%panic, "panicked");
        // It may end the process.
        finish();
    }));
    Ok(())
}

/// Writes to standard error, after all that was logged before.
pub fn print(text: &str) {
    match QUEUE.get() {
        Some(queue) => {
            queue.add(format!("{text}\n").as_bytes());
            queue.flush(PATIENCE);
        }
        None => eprintln!("{text}"),
    }
}

/// Returns when all that was logged is written, or nothing reads it.
pub fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(PATIENCE);
    }
}

fn default_format(terminal: bool) -> LogFormat {
    if terminal { LogFormat::Text } else { LogFormat::Json }
}
