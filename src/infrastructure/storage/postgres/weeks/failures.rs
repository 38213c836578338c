//! Steps of which none keeps the next from being made.

use std::fmt::Display;

/// How they went: the first error is reported when all are made, later ones are logged at once.
pub struct Failures<E>(Option<E>);

impl<E> Default for Failures<E> {
    fn default() -> Self {
        Self(None)
    }
}

impl<E: Display> Failures<E> {
    pub fn note(&mut self, step: &str, done: Result<(), E>) {
        match done {
            Err(error) if self.0.is_none() => self.0 = Some(error),
            Err(error) => tracing::warn!(step, %error, "this failed, too; tried again in the next round"),
            Ok(()) => {}
        }
    }

    /// # Errors
    /// The first one.
    pub fn first(self) -> Result<(), E> {
        self.0.map_or(Ok(()), Err)
    }
}
