use crate::application::ports::RepositoryError;
use crate::domain::text::storable;

/// Collects what of a row cannot be read, usually because it was edited by hand. Something stands in for it, so that
/// the message can be shown, and ended, like any other.
#[derive(Debug, Default)]
pub struct Flaws(Vec<String>);

/// Most characters that are reported of them.
const LONGEST: usize = 500;

impl Flaws {
    /// What was read, or what stands in for it.
    pub fn or<T>(&mut self, stand_in: T, read: Result<T, RepositoryError>) -> T {
        read.unwrap_or_else(|error| {
            self.add(match error {
                RepositoryError::Corrupt(what) => what,
                other => other.to_string(),
            });
            stand_in
        })
    }

    pub fn or_default<T: Default>(&mut self, read: Result<T, RepositoryError>) -> T {
        self.or(T::default(), read)
    }

    pub fn add(&mut self, flaw: String) {
        self.0.push(storable(&flaw, LONGEST));
    }

    /// All of them as the end of a sentence, if there are any.
    pub fn sentence(self) -> Option<String> {
        (!self.0.is_empty()).then(|| storable(&self.0.join("; "), LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_and_stood_in_for() {
        let mut flaws = Flaws::default();
        assert_eq!(flaws.or(7, Ok(1)), 1);
        assert_eq!(flaws.or(7, Err(RepositoryError::Corrupt("try is -1".to_owned()))), 7);
        assert_eq!(flaws.or_default::<u32>(Err(RepositoryError::Corrupt("user_id is `\0`".to_owned()))), 0);
        assert_eq!(flaws.sentence().as_deref(), Some("try is -1; user_id is ``"));
    }

    #[test]
    fn a_row_without_flaws_tells_none_and_one_with_many_is_brief() {
        assert_eq!(Flaws::default().sentence(), None);
        let mut flaws = Flaws::default();
        (0..1_000).for_each(|_| flaws.add("é".repeat(1_000)));
        assert_eq!(flaws.sentence().map(|sentence| sentence.chars().count()), Some(LONGEST));
    }
}
