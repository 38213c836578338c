//! Logs go to standard error: standard output has only what a command was asked for.

mod json_lines;

use std::env;
use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::infrastructure::config::LogFormat;
use json_lines::JsonLines;

/// Starts logging: as text on a terminal and as JSON elsewhere, unless `format` says otherwise. `filter` has
/// `RUST_LOG`'s directives, which the configuration has checked. Only the first call counts.
pub fn init(format: Option<LogFormat>, filter: &str) {
    let terminal = stderr().is_terminal();
    let logs = tracing_subscriber::fmt()
        .with_writer(stderr)
        // PostgreSQL's notices at every start say nothing. What the Kafka client says, and what the pool of connections says
        // each time that it cannot open one, is said by our adapters, once. RUST_LOG can ask for all of it.
        .with_env_filter(EnvFilter::new(format!(
            "sqlx::postgres::notice=warn,sqlx_core::pool::inner=off,rdkafka=off,{filter}"
        )))
        // Telling a broken standard error that it is broken would panic.
        .log_internal_errors(false);
    let started = match format.unwrap_or(default_format(terminal)) {
        LogFormat::Text => logs.with_ansi(terminal && env::var_os("NO_COLOR").is_none()).finish().try_init(),
        LogFormat::Json => logs.fmt_fields(JsonLines).event_format(JsonLines).finish().try_init(),
    };
    // It fails when logging was started before, and that one stays.
    drop(started);
    std::panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panicked")));
}

fn default_format(terminal: bool) -> LogFormat {
    if terminal { LogFormat::Text } else { LogFormat::Json }
}
