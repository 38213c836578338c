use tracing_subscriber::EnvFilter;

use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{OptionalSetting, Section, Setting};
use crate::infrastructure::config::values::Parsed;
use crate::infrastructure::config::variables::Variables;

#[derive(Clone, Debug)]
pub struct LogsConfig {
    /// None: what suits where the logs go.
    pub format: Option<LogFormat>,
    /// `RUST_LOG`'s directives.
    pub filter: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

pub const SECTION: Section = Section {
    title: "Logs",
    about: "Logs go to standard error. A collector that reads them slowly, or not at all, holds nothing up: 4 MiB of lines \
            wait for it, further ones are lost, and a line says how many (`lost`) when it reads again.",
    settings: &[LOG_FORMAT.entry(), RUST_LOG.entry()],
};

const LOG_FORMAT: OptionalSetting<LogFormat> = OptionalSetting {
    name: "LOG_FORMAT",
    unset: "`text` on a terminal, else `json`",
    example: "json",
    about: "Format of the log lines: `text` or `json`.",
    parse: log_format,
};

const RUST_LOG: Setting<String> = Setting {
    name: "RUST_LOG",
    default: "info",
    about: "Level (`error`, `warn`, `info`, `debug`, `trace`), or directives like `info,correio=debug`.",
    parse: log_filter,
};

impl LogsConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self { format: LOG_FORMAT.read(variables)?, filter: RUST_LOG.read(variables)? })
    }
}

fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be `text` or `json`".to_owned()),
    }
}

pub fn log_filter(text: &str) -> Parsed<String> {
    // Spaces in front of a directive make the library cut it in the wrong places, at worst within a character.
    let directives = text.split(',').map(str::trim).collect::<Vec<_>>().join(",");
    match EnvFilter::try_new(&directives) {
        Ok(_) => Ok(directives),
        Err(_) => Err("must be a level, like `info`, or directives, like `info,correio=debug`".to_owned()),
    }
}
