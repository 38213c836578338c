use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::postgres_url::{postgres_url, unknown};
use crate::infrastructure::config::error::ConfigError;
use crate::infrastructure::config::setting::{OptionalSetting, Section, Setting};
use crate::infrastructure::config::values::{self, Parsed, number, time_to_keep};
use crate::infrastructure::config::variables::Variables;

#[derive(Clone)]
pub struct StorageConfig {
    pub data_dir: PathBuf,
    pub database: DatabaseConfig,
    /// Connections that requests share; with PostgreSQL only.
    pub pool_size: u32,
    pub search_concurrency: u32,
    /// How long messages are kept. None: for ever.
    pub retention: Option<Duration>,
    /// The first encrypts, all decrypt. None: see `XChaChaCredentialsCipher::from_config`.
    pub credentials_keys: Option<Vec<[u8; 32]>>,
}

#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseConfig {
    /// Embedded: a file.
    Sqlite {
        path: PathBuf,
    },
    Postgres {
        url: String,
    },
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite { path } => f.debug_struct("Sqlite").field("path", path).finish(),
            // The URL usually has a password in it.
            Self::Postgres { .. } => f.debug_struct("Postgres").finish_non_exhaustive(),
        }
    }
}

pub const SECTION: Section = Section {
    title: "Storage",
    about: "",
    settings: &[
        DATA_DIR.entry(),
        DATABASE_URL.entry(),
        DATABASE_POOL_SIZE.entry(),
        SEARCH_CONCURRENCY.entry(),
        MESSAGE_RETENTION.entry(),
        CREDENTIALS_KEY.entry(),
    ],
};

const DATA_DIR: Setting<PathBuf> = Setting {
    name: "DATA_DIR",
    default: "./data",
    about: "Directory of the embedded database and of the generated key.",
    parse: |text| values::path(text).map(PathBuf::from),
};

const DATABASE_URL: OptionalSetting<DatabaseConfig> = OptionalSetting {
    name: "DATABASE_URL",
    unset: "a SQLite file, `DATA_DIR/correio.db`",
    example: "postgres://correio:password@localhost:5432/correio",
    about: "Database: `sqlite://relative/path`, `sqlite:///absolute/path`, or the URL of a PostgreSQL database, with libpq's parameters; one that is not known or not supported stops the start.",
    parse: database,
};

const DATABASE_POOL_SIZE: Setting<u32> = Setting {
    name: "DATABASE_POOL_SIZE",
    default: "20",
    about: "PostgreSQL: connections that a process's requests share, 2 to 1000. It opens some more of its own; \
            `connections` of the log line `listening` is the sum.",
    parse: |text| number(text, 2..=1_000),
};

const SEARCH_CONCURRENCY: Setting<u32> = Setting {
    name: "SEARCH_CONCURRENCY",
    default: "4",
    about: "Lists and counts of messages, and lists of instances, that a process makes at the same time, 1 to 100, each on a connection of its own. \
            One more waits for its turn for 5 s and is then answered 503 with `Retry-After`; one that takes longer than 5 s is ended.",
    parse: |text| number(text, 1..=100),
};

const MESSAGE_RETENTION: OptionalSetting<Duration> = OptionalSetting {
    name: "MESSAGE_RETENTION",
    unset: "messages are kept for ever",
    example: "90d",
    about: "Age at which messages and their attempts are deleted, `1d` to ten years, if they are at an end. \
            With PostgreSQL a week goes as a whole, once all of it is so old and all of its messages are at an end.",
    parse: time_to_keep,
};

const CREDENTIALS_KEY: OptionalSetting<Vec<[u8; 32]>> = OptionalSetting {
    name: "CREDENTIALS_KEY",
    unset: "with SQLite, a key generated into `DATA_DIR/credentials.key`; with PostgreSQL, the variable must be set",
    example: "",
    about: "Key that encrypts the credentials of channels at rest: 32 bytes in base64 (`openssl rand -base64 32` makes one). \
            Of several keys with commas in between, the first encrypts and all decrypt. \
            Every process of an installation needs the same value: \
            `serve` does not start with a key that opens none of the stored credentials.",
    parse: credentials_keys,
};

impl StorageConfig {
    pub fn read(variables: &Variables) -> Result<Self, ConfigError> {
        let data_dir = DATA_DIR.read(variables)?;
        let embedded = || DatabaseConfig::Sqlite { path: data_dir.join("correio.db") };
        Ok(Self {
            database: DATABASE_URL.read(variables)?.unwrap_or_else(embedded),
            pool_size: DATABASE_POOL_SIZE.read(variables)?,
            search_concurrency: SEARCH_CONCURRENCY.read(variables)?,
            retention: MESSAGE_RETENTION.read(variables)?,
            credentials_keys: CREDENTIALS_KEY.read(variables)?,
            data_dir,
        })
    }
}

pub fn database(text: &str) -> Parsed<DatabaseConfig> {
    if let Some(path) = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
        return sqlite(path);
    }
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(DatabaseConfig::Postgres { url: postgres_url(text)? });
    }
    Err("must start with `sqlite://`, `postgres://` or `postgresql://`; libpq's `keyword=value` form is not read"
        .to_owned())
}

fn sqlite(path: &str) -> Parsed<DatabaseConfig> {
    if path.is_empty() || path.ends_with('/') {
        return Err("must name a file, like `sqlite://data/correio.db`".to_owned());
    }
    if path.contains(":memory:") {
        return Err("must name a file, because a database in memory does not survive a restart".to_owned());
    }
    // Passing them on would let an installation switch durability off; dropping them would be silent.
    if let Some((_, query)) = path.split_once('?') {
        let name = query.split(['=', '&']).next().unwrap_or_default();
        return Err(format!("takes no parameters with SQLite, and {}", unknown(name)));
    }
    Ok(DatabaseConfig::Sqlite { path: PathBuf::from(values::path(path)?) })
}

/// Keys are pasted from many tools, some of which leave the padding off.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub fn credentials_keys(text: &str) -> Parsed<Vec<[u8; 32]>> {
    text.split(',').map(|item| credentials_key(item.trim())).collect()
}

pub fn credentials_key(text: &str) -> Parsed<[u8; 32]> {
    let bytes = BASE64.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "must be 32 bytes in base64 (`openssl rand -base64 32` makes one)".to_owned())
}
