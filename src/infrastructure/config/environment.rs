use std::collections::HashMap;
use std::env::{self, VarError};
use std::io::ErrorKind;

use super::error::ConfigError;
use super::sections::variables;
use super::variables::meant;

const FILE: &str = ".env";

/// The process's environment over `.env`. The process's own is left alone: changing it is not safe beside other threads.
pub(super) struct Environment(HashMap<String, String>);

impl Environment {
    pub(super) fn load() -> Result<Self, ConfigError> {
        let mut values = file()?;
        for variable in variables() {
            if let Some(value) = process(variable)? {
                values.insert(variable.to_owned(), value);
            }
        }
        Ok(Self(values))
    }

    pub(super) fn get(&self, variable: &str) -> Option<String> {
        self.0.get(variable).cloned()
    }
}

/// One variable, for a command that needs no whole configuration. An empty value counts as unset.
///
/// # Errors
/// For a `.env` that cannot be read, or a value that cannot be used.
pub fn variable(name: &'static str) -> Result<Option<String>, ConfigError> {
    let value = match process(name)? {
        Some(value) => Some(value),
        None => file()?.remove(name),
    };
    value.map_or(Ok(None), |value| meant(name, &value))
}

/// A variable that a file names. An empty value counts as unset.
///
/// # Errors
/// As above, for what may be said of it.
pub(super) fn any(name: &str) -> Result<Option<String>, ConfigError> {
    let value = match env::var(name) {
        Ok(value) => Some(value),
        Err(_) => file()?.remove(name),
    };
    Ok(value.filter(|value| !value.is_empty()))
}

/// What `.env` in the working directory says; nothing when there is none.
fn file() -> Result<HashMap<String, String>, ConfigError> {
    match std::fs::read_to_string(FILE) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(HashMap::new()),
        Err(error) => Err(ConfigError::new(FILE, format!("cannot be read: {error}"))),
    }
}

/// Also an empty one: that is how one takes back what the file sets.
fn process(variable: &'static str) -> Result<Option<String>, ConfigError> {
    match env::var(variable) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(ConfigError::new(variable, "must be UTF-8")),
    }
}

fn parse(text: &str) -> Result<HashMap<String, String>, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut values = HashMap::new();
    for item in dotenvy::from_read_iter(text.as_bytes()) {
        // The error quotes the line, which may hold a secret: only where it is may be said.
        let (name, value) = item.map_err(|error| malformed(text, &error))?;
        values.entry(name).or_insert(value);
    }
    Ok(values)
}

fn malformed(text: &str, error: &dotenvy::Error) -> ConfigError {
    let line = match error {
        dotenvy::Error::LineParse(line, _) => {
            let first = line.lines().next().unwrap_or_default();
            text.lines().position(|candidate| !first.is_empty() && candidate.contains(first))
        }
        _ => None,
    };
    let place = line.map_or("a line".to_owned(), |index| format!("line {}", index + 1));
    ConfigError::new(FILE, format!("{place} cannot be read as NAME=value; values with spaces or `#` need quotes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_is_read_with_comments_quotes_and_a_byte_order_mark() {
        let values = parse("\u{feff}HOST=0.0.0.0\n# no\n\nJWT_ISSUER='a b $c'\nPORT=\nHOST=again\n").unwrap();
        assert_eq!(values["HOST"], "0.0.0.0");
        assert_eq!(values["JWT_ISSUER"], "a b $c");
        assert_eq!(values["PORT"], "");
    }

    #[test]
    fn a_malformed_file_is_refused_with_the_line_and_without_its_text() {
        for line in ["JWT_SECRET=hush hush hush", "JWT_SECRET hush", "JWT_SECRET='hush"] {
            let error = parse(&format!("HOST=0.0.0.0\n{line}\n")).unwrap_err();
            assert_eq!(error.variable, ".env");
            assert!(error.sentence.starts_with("line 2 cannot be read"), "{error}");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "([A-Z]{0,3}|[= #$'\"\\\\{}\n]|\\PC){0,40}") {
            let _ = parse(&text);
        }
    }
}
