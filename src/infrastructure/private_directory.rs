//! Directories that other users of the machine cannot look into.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Creates a directory, and those above it, that only this user may look into. An existing directory stays as it is.
///
/// # Errors
/// When the directory cannot be created.
pub fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
