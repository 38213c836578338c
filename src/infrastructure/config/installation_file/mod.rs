//! `correio.toml`: what an installation describes that does not fit into a variable.

mod source;
mod table;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use super::environment;
use super::error::ConfigError;
use super::installation::Config;
use crate::domain::source::Source;
use table::{Lookups, Mistakes, TableReader};

const VARIABLE: &str = "CORREIO_CONFIG";
const FILE: &str = "correio.toml";

impl Config {
    /// The sources that the file describes; none without a file.
    ///
    /// # Errors
    /// All mistakes in it, each with its line.
    pub fn sources(&self) -> Result<Arc<[Arc<Source>]>, ConfigError> {
        let path = PathBuf::from(self.sources.file.as_deref().unwrap_or(FILE));
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound && self.sources.file.is_none() => return Ok([].into()),
            Err(error) => {
                return Err(ConfigError::new(VARIABLE, format!("{} cannot be read: {error}", path.display())));
            }
        };
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        let variable = |name: &str| environment::any(name).ok().flatten();
        let read = parse(&text, &directory, &variable);
        read.map(|sources| sources.into_iter().map(Arc::new).collect()).map_err(|mistakes| {
            ConfigError::new(VARIABLE, format!("{} has mistakes: {}", path.display(), mistakes.join("; ")))
        })
    }
}

/// What the text describes. `directory`: where the files are that it names; `variable`: what `${NAME}` stands for.
///
/// # Errors
/// Every mistake with its line.
pub fn parse(
    text: &str,
    directory: &Path,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<Source>, Vec<String>> {
    let mistakes = Mistakes::new(text, variable);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        mistakes.add(error.span().unwrap_or(0..0), error.message());
    }
    if !errors.is_empty() {
        return Err(mistakes.into_lines());
    }
    let root = TableReader::new(document.get_ref(), document.span(), &mistakes);
    let mut lookups = Lookups::new();
    if let Some(tables) = root.table("tables") {
        for (name, entry) in tables.entries() {
            lookups.insert(name.to_owned(), source::lookup(&entry, directory));
        }
    }
    let sources: Vec<Source> =
        root.tables("sources").iter().filter_map(|table| source::read(table, directory, &lookups)).collect();
    root.finish();
    source::check_paths(&sources, &root);
    if mistakes.are_none() { Ok(sources) } else { Err(mistakes.into_lines()) }
}

#[cfg(test)]
#[path = "installation_file_tests.rs"]
mod tests;
