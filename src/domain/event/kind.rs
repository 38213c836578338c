//! What types of events are called.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::domain::text::{InvalidText, bounded};

/// In characters.
pub const LONGEST_KIND: usize = 100;

/// The letters of a name without their accents and in capitals: two names with the same ones are the same type, however they
/// are typed.
pub fn folded(name: &str) -> String {
    name.nfd().filter(|letter| !is_combining_mark(*letter)).collect::<String>().to_uppercase()
}

/// The name of a type as it is stored: composed (NFC), 1 to 100 characters, without spaces and `*`, which patterns have.
///
/// # Errors
/// What is wrong with it: the end of a sentence.
pub fn parse_kind(text: &str) -> Result<String, String> {
    let name: String = text.trim().nfc().collect();
    let name = bounded(name, LONGEST_KIND).map_err(|error: InvalidText| error.to_string())?;
    if name.chars().any(|letter| letter.is_whitespace() || letter.is_control() || letter == '*') {
        return Err("must not contain spaces, control characters or `*`".to_owned());
    }
    Ok(name)
}

/// Which types are meant: a name, in which each `*` stands for any number of letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindPattern(String);

impl KindPattern {
    /// # Errors
    /// What is wrong with it: the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pattern: String = text.trim().nfc().collect();
        if pattern != "*" {
            parse_kind(&pattern.replace('*', "_"))?;
        }
        Ok(Self(pattern))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn matches(&self, kind: &str) -> bool {
        let (pattern, kind) = (folded(&self.0), folded(kind));
        let mut parts = pattern.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = kind.strip_prefix(first) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            let Some((_, after)) = rest.split_once(part) else { return false };
            rest = after;
        }
        rest.ends_with(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_and_capitals_make_no_other_type() {
        let composed = "DEVOLU\u{c7}\u{c3}O";
        let decomposed = "DEVOLUC\u{327}A\u{303}O";
        for name in [composed, decomposed, "DEVOLUCAO", "devolução"] {
            assert_eq!(folded(name), "DEVOLUCAO", "{name}");
        }
        assert_eq!(parse_kind(decomposed).unwrap(), composed);
    }

    #[test]
    fn names_have_no_spaces_and_no_stars() {
        assert_eq!(parse_kind(" deal.updated ").unwrap(), "deal.updated");
        for name in ["", " ", "a b", "deal.*", "a\0", "a\nb"] {
            assert!(parse_kind(name).is_err(), "{name}");
        }
        assert!(parse_kind(&"x".repeat(101)).is_err());
    }

    #[test]
    fn a_star_stands_for_any_letters() {
        let matches = |pattern: &str, kind: &str| KindPattern::parse(pattern).unwrap().matches(kind);
        assert!(matches("deal.*", "deal.updated") && matches("deal.*", "deal."));
        assert!(!matches("deal.*", "deal") && !matches("deal.*", "ideal.updated"));
        assert!(matches("*", "x") && matches("*.updated", "deal.updated") && matches("d*l.*ed", "deal.updated"));
        assert!(!matches("d*l.*ed", "deal.updates"));
        assert!(matches("VENDA", "venda") && matches("devolucao", "DEVOLUÇÃO") && !matches("VEND", "VENDA"));
        assert!(!matches("ab*ba", "aba"), "no letter counts twice");
        assert!(KindPattern::parse("").is_err() && KindPattern::parse("a b*").is_err());
    }
}
