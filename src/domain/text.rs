//! Limits on texts from outside.

/// Cuts what a channel said down to something that fits a row: U+0000, which PostgreSQL cannot store, is removed, and
/// at most `limit` characters are kept.
pub fn storable(text: &str, limit: usize) -> String {
    text.chars().filter(|&character| character != '\0').take(limit).collect()
}

/// What is wrong with a text: the end of a sentence that begins with its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    #[error("must not be empty")]
    Empty,
    #[error("must have at most {0} characters")]
    TooLong(usize),
    #[error("must not contain the character U+0000")]
    Nul,
}

/// A text of 1 to `most` characters without U+0000, which PostgreSQL cannot store.
///
/// # Errors
/// What is wrong with it.
pub fn bounded(text: String, most: usize) -> Result<String, InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.chars().count() > most {
        return Err(InvalidText::TooLong(most));
    }
    if text.contains('\0') { Err(InvalidText::Nul) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_text_is_taken_as_it_is_or_refused(text in "(\\PC|\0){0,8}") {
            let length = text.chars().count();
            match bounded(text.clone(), 5) {
                Ok(taken) => prop_assert!(taken == text && (1..=5).contains(&length) && !text.contains('\0')),
                Err(InvalidText::Empty) => prop_assert_eq!(length, 0),
                Err(InvalidText::TooLong(most)) => prop_assert!(length > most && most == 5),
                Err(InvalidText::Nul) => prop_assert!(text.contains('\0')),
            }
        }
    }
}
