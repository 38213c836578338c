//! How the API key of a first start gets to its operator: on a terminal, else in a file. The log is no place for it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::infrastructure::config::{DatabaseConfig, StorageConfig};
use crate::infrastructure::private_directory::private_directory;
use crate::infrastructure::telemetry::logging;

const FILE: &str = "bootstrap-api-key";
/// How many files of other installations may lie in its place.
const MOST_FILES: u32 = 100;

/// A terminal that an operator looks at.
#[derive(Clone, Copy)]
pub enum Terminal {
    StandardError,
    StandardOutput,
}

impl Terminal {
    pub fn find() -> Option<Self> {
        if io::stderr().is_terminal() {
            return Some(Self::StandardError);
        }
        io::stdout().is_terminal().then_some(Self::StandardOutput)
    }

    fn say(self, text: &str) {
        match self {
            Self::StandardError => logging::print(text),
            Self::StandardOutput => println!("{text}"),
        }
    }

    /// For a start that ends before the database said whether it stored the key.
    pub fn show_unconfirmed(self, key: &str) {
        self.say(&format!(
            "\nYour API key, shown this once, if the database stored it; it did not say so:\n\n    {key}\n"
        ));
    }

    /// What a newcomer needs: the key, and a first request from a process that accepts them. Without a key: the operator's own,
    /// which there is a reason to keep out of here.
    pub fn greet(self, address: SocketAddr, key: Option<&str>, has_sandbox: bool, accepts: bool) {
        if let Some(key) = key {
            self.say(&format!("\nYour API key, shown this once:\n\n    {key}\n"));
        }
        if accepts {
            self.say(&first_step(address, key, has_sandbox));
        }
    }
}

fn first_step(address: SocketAddr, key: Option<&str>, has_sandbox: bool) -> String {
    let reachable = if address.ip().is_unspecified() {
        SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), address.port())
    } else {
        address
    };
    if !has_sandbox {
        return format!("Create an instance to send through: http://{reachable}/api\n");
    }
    let header = match key {
        Some(key) => format!("'X-API-Key: {key}'"),
        None => "\"X-API-Key: $BOOTSTRAP_API_KEY\"".to_owned(),
    };
    format!(
        "Send a first message:\n\n    curl -sS http://{reachable}/api/messaging/message/send \\\n      -H {header} \\\n      -H 'Content-Type: application/json' \\\n      -d '{{\"channel\": \"sandbox\", \"channelInstanceId\": \"sandbox\", \"remoteJid\": \"5585999999999\", \"message\": \"Olá!\"}}'\n"
    )
}

/// A key in a file of its own, which its owner alone can read.
pub struct KeyFile(PathBuf);

impl KeyFile {
    /// Written before the key is stored, so that none is stored that is known nowhere. None, with a warning, where nothing
    /// can be written.
    pub fn write(key: &str, storage: &StorageConfig) -> Option<Self> {
        let directory = directory(storage);
        match private_directory(&directory).and_then(|()| write_new(&directory, key)) {
            Ok(path) => Some(Self(path)),
            Err(error) => {
                warn!(
                    %error, directory = %directory.display(),
                    "the first API key is not made, because it cannot be written into a file: set BOOTSTRAP_API_KEY, run \
                     `correio keys create`, or start with a DATA_DIR that can be written to"
                );
                None
            }
        }
    }

    pub fn announce(&self) {
        info!(
            path = %self.0.display(),
            "the first API key is in this file, which only its owner can read: copy the key and delete the file"
        );
    }

    /// The key may have been stored: the file may be the one place that it is known in.
    pub fn keep(self) {
        warn!(
            path = %self.0.display(),
            "the database did not say whether it stored the first API key; if it did, this file is the only place that has it: try it \
             before the file is deleted"
        );
    }

    /// Another process was faster: this key opens nothing.
    pub fn discard(self) {
        if let Err(error) = fs::remove_file(&self.0) {
            warn!(%error, path = %self.0.display(), "a file with an API key that was not used cannot be deleted");
        }
    }
}

/// Beside the embedded database; else in `DATA_DIR`.
fn directory(storage: &StorageConfig) -> PathBuf {
    let directory = match &storage.database {
        DatabaseConfig::Sqlite { path } => directory_of(path),
        DatabaseConfig::Postgres { .. } => &storage.data_dir,
    };
    std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned())
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Never over another file, nor through a link.
fn write_new(directory: &Path, key: &str) -> io::Result<PathBuf> {
    let names = std::iter::once(FILE.to_owned()).chain((1..MOST_FILES).map(|number| format!("{FILE}.{number}")));
    for name in names {
        let path = directory.join(name);
        let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            opened => opened?,
        };
        if let Err(error) = writeln!(file, "{key}").and_then(|()| file.sync_all()) {
            if let Err(error) = fs::remove_file(&path) {
                warn!(%error, path = %path.display(), "a file that an API key could not be written into cannot be deleted");
            }
            return Err(error);
        }
        // The name is on disk only when its directory is. Not every file system can say so, and without a crash it is.
        if let Err(error) = File::open(directory).and_then(|directory| directory.sync_all()) {
            warn!(%error, path = %path.display(), "the file of the first API key may not outlast a crash of the machine");
        }
        return Ok(path);
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, format!("there are {MOST_FILES} files named {FILE}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_database_in_the_working_directory_has_its_file_there() {
        assert_eq!(directory_of(Path::new("correio.db")), Path::new("."));
        assert_eq!(directory_of(Path::new("data/correio.db")), Path::new("data"));
    }

    #[test]
    fn only_its_owner_reads_it_and_nothing_is_written_over() {
        let directory = std::env::temp_dir().join(format!("correio-{}", uuid::Uuid::new_v4()));
        fs::create_dir(&directory).unwrap();
        let elsewhere = directory.join("elsewhere");
        fs::write(directory.join(FILE), "another's").unwrap();
        symlink(&elsewhere, directory.join(format!("{FILE}.1"))).unwrap();
        let path = write_new(&directory, "a-key").unwrap();
        assert_eq!(path, directory.join(format!("{FILE}.2")));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a-key\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(directory.join(FILE)).unwrap(), "another's");
        assert!(!elsewhere.exists());
        fs::remove_dir_all(directory).unwrap();
    }
}
