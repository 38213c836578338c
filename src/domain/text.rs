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

/// UTF-16 or UTF-32, where a JSON text is in one of these: a mark says it, or a zero beside the first character, which is of one byte
/// in UTF-8.
pub fn wide_encoding(json: &[u8]) -> Option<&'static str> {
    match json {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, _, _, ..] | [_, 0, 0, 0, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => Some("UTF-16"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_json_text_of_wide_characters_is_recognized() {
        let utf_16 = |order: fn(u16) -> [u8; 2], text: &str| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let utf_32 = |order: fn(u32) -> [u8; 4], text: &str| {
            text.chars().flat_map(|character| order(u32::from(character))).collect::<Vec<u8>>()
        };
        for text in ["{\"a\": 1}", "\"\u{100}\"", "[]", "12", "\u{feff}{}"] {
            for bytes in [utf_16(u16::to_le_bytes, text), utf_16(u16::to_be_bytes, text)] {
                assert_eq!(wide_encoding(&bytes), Some("UTF-16"), "{text} {bytes:?}");
            }
            for bytes in [utf_32(u32::to_le_bytes, text), utf_32(u32::to_be_bytes, text)] {
                assert_eq!(wide_encoding(&bytes), Some("UTF-32"), "{text} {bytes:?}");
            }
            assert_eq!(wide_encoding(text.as_bytes()), None, "{text}");
        }
        assert_eq!(wide_encoding(b""), None);
        assert_eq!(wide_encoding(b"1"), None);
    }

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
