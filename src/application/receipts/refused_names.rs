use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Names of which the log has said that reports of them are refused. Copies share it.
#[derive(Clone, Default)]
pub struct RefusedNames(Arc<Mutex<HashSet<String>>>);

/// More are not told apart.
const MOST: usize = 1_000;

impl RefusedNames {
    /// Whether this is the first time.
    pub fn is_news(&self, name: &str) -> bool {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.len() < MOST && names.insert(name.to_owned())
    }
}
