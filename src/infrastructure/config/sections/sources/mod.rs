use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{OptionalSetting, Section};
use crate::infrastructure::config::values;
use crate::infrastructure::config::variables::Variables;

/// Where sources of events are described.
#[derive(Clone)]
pub struct SourcesConfig {
    /// None: `correio.toml` in the working directory, if it is there.
    pub file: Option<String>,
}

pub const SECTION: Section = Section { title: "Sources", about: "", settings: &[CORREIO_CONFIG.entry()] };

const CORREIO_CONFIG: OptionalSetting<String> = OptionalSetting {
    name: "CORREIO_CONFIG",
    unset: "`correio.toml` in the working directory, if it is there",
    example: "/etc/correio/correio.toml",
    about: "File that describes sources of events: who reports at `/sources/{path}`, how a report proves itself, and where its \
            type and id are found.",
    parse: values::path,
};

impl SourcesConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        Ok(Self { file: CORREIO_CONFIG.read(variables)? })
    }
}
