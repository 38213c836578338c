//! What a path is stored on.

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::tool;

/// The kind of the file system that this path is on, e.g. `ext2/ext3` or `tmpfs`.
///
/// # Errors
/// When `stat` cannot say.
pub async fn filesystem(path: &Path) -> Result<String> {
    tool::answer(Command::new("stat").args(["-f", "-c", "%T"]).arg(path)).await
}

/// The device that this path is on.
///
/// # Errors
/// When `df` cannot say.
pub async fn device(path: &Path) -> Result<String> {
    let table = tool::answer(Command::new("df").arg("--output=source").arg(path)).await?;
    Ok(table.lines().last().unwrap_or_default().trim().to_owned())
}
