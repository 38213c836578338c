//! A copy of the file, made while others write to it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use uuid::Uuid;

use super::lock;
use crate::application::ports::RepositoryError;
use crate::infrastructure::storage::sqlite::error::translate;

/// What a copy holds, after it was opened and checked.
#[derive(Clone, Copy, Debug)]
pub struct Backup {
    pub messages: u64,
    pub bytes: u64,
}

/// Copies the database at `from` to the new file `to`, as it is at one moment. Writers go on meanwhile; what they write stays
/// in the log beside the database until the copy is there.
///
/// The file appears under its name when it is complete, checked and on disk, and not before.
///
/// # Errors
/// A sentence. [`RepositoryError::Conflict`]: there is such a file.
pub async fn back_up(from: &Path, to: &Path) -> Result<Backup, RepositoryError> {
    if to.symlink_metadata().is_ok() {
        return Err(RepositoryError::Conflict);
    }
    let partial = Partial::beside(to)?;
    copy(from, &partial.0).await?;
    let messages = check(&partial.0).await?;
    let path = (partial.0.clone(), to.to_owned());
    let finished = tokio::task::spawn_blocking(move || finish(&path.0, &path.1)).await;
    let bytes = finished.map_err(|error| RepositoryError::Unavailable(error.to_string()))??;
    Ok(Backup { messages, bytes })
}

async fn copy(from: &Path, to: &Path) -> Result<(), RepositoryError> {
    let to = to.to_str().ok_or_else(|| RepositoryError::Refused("its name is not UTF-8".to_owned()))?;
    let mut source = open(from).await?;
    sqlx::query("vacuum into ?1").bind(to).execute(&mut source).await.map_err(translate)?;
    source.close().await.map_err(translate)
}

/// How many messages it holds, if it is sound.
async fn check(path: &Path) -> Result<u64, RepositoryError> {
    let mut copy = open(path).await?;
    let sound: String =
        sqlx::query_scalar("pragma integrity_check(1)").fetch_one(&mut copy).await.map_err(translate)?;
    if sound != "ok" {
        return Err(RepositoryError::Corrupt(format!("the copy is not sound: {sound}")));
    }
    let messages: i64 =
        sqlx::query_scalar("select count(*) from messaging_messages").fetch_one(&mut copy).await.map_err(translate)?;
    copy.close().await.map_err(translate)?;
    Ok(u64::try_from(messages).unwrap_or_default())
}

/// Opens what is there, and makes nothing.
async fn open(path: &Path) -> Result<SqliteConnection, RepositoryError> {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.map_err(translate)
}

/// A link is made under a name that is free, or not at all: no file is written over that came meanwhile.
fn finish(partial: &Path, to: &Path) -> Result<u64, RepositoryError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => RepositoryError::Conflict,
        _ => RepositoryError::Unavailable(format!("{}: {error}", to.display())),
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
    fn beside(to: &Path) -> Result<Self, RepositoryError> {
        let path = directory_of(to).join(format!(".correio-backup-{}", Uuid::new_v4().simple()));
        // With its mode from the start: messages are private.
        drop(lock::open(&path)?);
        Ok(Self(path))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // It stays behind, under a name that says what it is.
        let _ = std::fs::remove_file(&self.0);
    }
}
