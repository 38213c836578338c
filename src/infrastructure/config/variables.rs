use super::error::ConfigError;

/// Where the values come from: the environment and `.env`, or a test's list.
pub struct Variables<'a>(pub &'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// The value of a variable, or none: an empty value counts as unset.
    pub fn value(&self, variable: &'static str) -> Result<Option<String>, ConfigError> {
        let value = (self.0)(variable).filter(|value| !value.is_empty());
        // A NUL cannot be in a path, in a header, or in PostgreSQL's text.
        if value.as_deref().is_some_and(|value| value.contains('\0')) {
            return Err(ConfigError::new(variable, "must not contain a NUL"));
        }
        Ok(value)
    }
}
