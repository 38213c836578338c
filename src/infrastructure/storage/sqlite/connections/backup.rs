//! A copy of the file, made while others write to it.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

use crate::infrastructure::storage::sqlite::error::translate;

/// What a copy holds, after it was opened and checked.
#[derive(Clone, Copy, Debug)]
pub struct Backup {
    pub messages: u64,
    pub bytes: u64,
}

/// Why there is no copy.
#[derive(Debug)]
pub enum BackupError {
    /// There is a file of this name already.
    Exists,
    /// What is wrong with the database.
    Source(String),
    /// What is wrong with the copy, or where it was to be.
    Destination(String),
}

/// Copies the database at `from` to the new file `to`, as it is at one moment. Writers go on meanwhile; what they write stays
/// in the log beside the database until the copy is there.
///
/// The file appears under its name when it is complete, checked and on disk, and not before.
///
/// # Errors
/// A sentence, and of which of the two files it is.
pub async fn back_up(from: &Path, to: &Path) -> Result<Backup, BackupError> {
    if to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists);
    }
    let partial = Partial::beside(to)?;
    copy(from, &partial.0).await?;
    let messages = check(&partial.0).await.map_err(in_destination)?;
    let path = (partial.0.clone(), to.to_owned());
    let finished = tokio::task::spawn_blocking(move || finish(&path.0, &path.1)).await;
    let bytes = finished.map_err(|error| BackupError::Destination(error.to_string()))??;
    Ok(Backup { messages, bytes })
}

async fn copy(from: &Path, to: &Path) -> Result<(), BackupError> {
    let to = to.to_str().ok_or_else(|| BackupError::Destination("its name is not UTF-8".to_owned()))?;
    let mut source = open(from).await.map_err(in_source)?;
    // So that what is no database of messages is found before it is copied.
    sqlx::query("select id from messaging_messages limit 1").execute(&mut source).await.map_err(in_source)?;
    let copied = sqlx::query("vacuum into ?1").bind(to).execute(&mut source).await;
    copied.map_err(|error| if is_of_the_source(&error) { in_source(error) } else { in_destination(error) })?;
    source.close().await.map_err(in_source)
}

/// Whether a copy failed because the database cannot be read. What else there is befalls the writing.
fn is_of_the_source(error: &sqlx::Error) -> bool {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const CORRUPT: i32 = 11;
    const NOT_A_DATABASE: i32 = 26;
    const IO_ERROR_READ: i32 = 10 | (1 << 8);
    const PRIMARY: i32 = 0xff;
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<i32>().ok());
    code.is_some_and(|code| {
        code == IO_ERROR_READ || [BUSY, LOCKED, CORRUPT, NOT_A_DATABASE].contains(&(code & PRIMARY))
    })
}

fn in_source(error: sqlx::Error) -> BackupError {
    BackupError::Source(translate(error).to_string())
}

fn in_destination(error: sqlx::Error) -> BackupError {
    BackupError::Destination(translate(error).to_string())
}

/// How many messages it holds, if it is sound.
async fn check(path: &Path) -> Result<u64, sqlx::Error> {
    let mut copy = open(path).await?;
    let sound: String = sqlx::query_scalar("pragma integrity_check(1)").fetch_one(&mut copy).await?;
    if sound != "ok" {
        return Err(sqlx::Error::Protocol(format!("the copy is not sound: {sound}")));
    }
    let messages: i64 = sqlx::query_scalar("select count(*) from messaging_messages").fetch_one(&mut copy).await?;
    copy.close().await?;
    Ok(u64::try_from(messages).unwrap_or_default())
}

/// Opens what is there, and makes nothing.
async fn open(path: &Path) -> Result<SqliteConnection, sqlx::Error> {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await
}

/// A link is made under a name that is free, or not at all: no file is written over that came meanwhile.
fn finish(partial: &Path, to: &Path) -> Result<u64, BackupError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists,
        _ => BackupError::Destination(error.to_string()),
    };
    let file = File::open(partial).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    std::fs::hard_link(partial, to).map_err(failed)?;
    File::open(directory_of(to)).and_then(|directory| directory.sync_all()).map_err(failed)?;
    file.metadata().map(|metadata| metadata.len()).map_err(failed)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that goes when this is dropped: by then it has its name, or is of no use.
struct Partial(PathBuf);

impl Partial {
    /// No directory is made: one may be missing because its disk is.
    fn beside(to: &Path) -> Result<Self, BackupError> {
        let directory = directory_of(to);
        if !directory.is_dir() {
            return Err(BackupError::Destination(format!("there is no directory {}", directory.display())));
        }
        let path = directory.join(format!(".correio-backup-{}", Uuid::new_v4().simple()));
        // With its mode from the start: messages are private.
        let made = File::options().create_new(true).append(true).mode(0o600).open(&path);
        made.map(|_| Self(path)).map_err(|error| BackupError::Destination(error.to_string()))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It stays behind, under a name that says what it is.
        let _ = std::fs::remove_file(&self.0);
    }
}
