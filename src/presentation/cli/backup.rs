//! `correio backup`

use std::path::PathBuf;

use clap::Args;

use super::error::CommandError;
use crate::infrastructure::config::{Config, DatabaseConfig};
use crate::infrastructure::storage::sqlite::{Backup, BackupError, back_up};

/// Where to. A server may run meanwhile.
#[derive(Debug, Args)]
pub struct BackupArguments {
    /// The file to make. There must be none of this name.
    file: PathBuf,
}

/// Prints what was copied and, on standard error, what was not.
pub async fn run(config: &Config, arguments: BackupArguments) -> Result<(), CommandError> {
    let DatabaseConfig::Sqlite { path } = &config.storage.database else {
        let sentence = "DATABASE_URL names a PostgreSQL database: back that up with pg_dump or pg_basebackup";
        return Err(CommandError::Usage(sentence.to_owned()));
    };
    let file = arguments.file.display();
    let Backup { messages, bytes } = back_up(path, &arguments.file).await.map_err(|error| match error {
        BackupError::Exists => format!("{file}: there is such a file already; a backup never replaces one"),
        BackupError::Destination(reason) => format!("{file}: {reason}"),
        BackupError::Source(reason) => format!("{}: {reason}", path.display()),
    })?;
    println!("{file}: {messages} messages, {bytes} bytes");
    eprintln!("correio: the credentials in it can be read with CREDENTIALS_KEY only: keep that key, apart from it");
    Ok(())
}
