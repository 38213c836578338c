use std::path::{Path, PathBuf};

use crate::Result;
use crate::arguments::Arguments;

/// A program to measure.
pub struct Build {
    /// In the table, where there are two.
    pub name: &'static str,
    pub path: PathBuf,
}

impl Build {
    /// One, or the two to compare.
    ///
    /// # Errors
    /// When one is not there.
    pub fn all(arguments: &Arguments) -> Result<Vec<Self>> {
        let first = arguments.binary.as_deref().unwrap_or(Path::new(env!("CARGO_BIN_EXE_correio")));
        let given = [Some(("a", first)), arguments.compare.as_deref().map(|second| ("b", second))];
        given.into_iter().flatten().map(|(name, path)| Self::at(name, path)).collect()
    }

    fn at(name: &'static str, path: &Path) -> Result<Self> {
        let path = path.canonicalize().map_err(|error| format!("there is no program {}: {error}", path.display()))?;
        Ok(Self { name, path })
    }
}
