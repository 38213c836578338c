use super::error::ConfigError;

/// Where the values come from: the environment and `.env`, or a test's list.
pub struct Variables<'a>(pub &'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// The value of a variable, or none: an empty value counts as unset.
    pub fn value(&self, variable: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(given) = (self.0)(variable) else { return Ok(None) };
        let value = meant(variable, &given)?;
        // A NUL cannot be in a path, in a header, or in PostgreSQL's text.
        if value.as_deref().is_some_and(|value| value.contains('\0')) {
            return Err(ConfigError::new(variable, "must not contain a NUL"));
        }
        Ok(value)
    }
}

/// A value as it was meant, secrets included: a file made with `echo` ends with a line break, and what is pasted has spaces
/// around it. None where nothing is left.
///
/// # Errors
/// For one in quotes: `docker run --env-file` keeps them, and a secret with them is another one.
pub fn meant(variable: &'static str, given: &str) -> Result<Option<String>, ConfigError> {
    let value = given.trim_matches([' ', '\t', '\r', '\n']);
    let is_wrapped = |quote| value.len() > 1 && value.starts_with(quote) && value.ends_with(quote);
    if is_wrapped('"') || is_wrapped('\'') {
        let sentence = "is wrapped in quotes, which would be a part of the value: write it without them \
                        (a shell and `.env` take them off, `docker run --env-file` does not)";
        return Err(ConfigError::new(variable, sentence));
    }
    Ok((!value.is_empty()).then(|| value.to_owned()))
}
