use regex::bytes::{Regex, RegexBuilder};

use super::name::TopicName;

/// A regular expression for names of topics, which the whole name has to match, as it is with Java's clients.
///
/// Memory and time are bounded here: librdkafka would hand it to the C library, which bounds neither, for each topic anew.
#[derive(Clone, Debug)]
pub struct TopicPattern {
    text: String,
    whole: Regex,
}

/// What is wrong with a pattern: the end of a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopicPattern {
    #[error("may be {} bytes long", TopicPattern::LONGEST)]
    TooLong,
    #[error("has control characters")]
    ControlCharacters,
    #[error("is too large when its repetitions are written out")]
    TooLarge,
    #[error("is not a regular expression that is taken here: {0}")]
    Malformed(String),
}

impl TopicPattern {
    /// Bytes at most.
    pub const LONGEST: usize = 500;

    /// What it is compiled to has so many bytes at most.
    const MOST_COMPILED: usize = 64 * 1024;

    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidTopicPattern> {
        let text = text.into();
        if text.len() > Self::LONGEST {
            return Err(InvalidTopicPattern::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidTopicPattern::ControlCharacters);
        }
        // By itself first: its parentheses are to be closed within it.
        compiled(&text)?;
        let whole = compiled(&format!("^(?:{text})$"))?;
        Ok(Self { text, whole })
    }

    pub fn matches(&self, name: &TopicName) -> bool {
        self.whole.is_match(name.as_str().as_bytes())
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for TopicPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TopicPattern {}

fn compiled(text: &str) -> Result<Regex, InvalidTopicPattern> {
    let mut builder = RegexBuilder::new(text);
    // Names of topics are ASCII: classes of Unicode would only take room.
    builder.unicode(false).size_limit(TopicPattern::MOST_COMPILED).dfa_size_limit(4 * TopicPattern::MOST_COMPILED);
    builder.build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => InvalidTopicPattern::TooLarge,
        error => {
            // The lines before show the place.
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            InvalidTopicPattern::Malformed(last.strip_prefix("error: ").unwrap_or(last).to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        TopicPattern::parse(pattern).unwrap().matches(&TopicName::parse(name).unwrap())
    }

    #[test]
    fn the_whole_name_has_to_match() {
        assert!(matches("orders.*", "orders-1") && !matches("orders", "orders-1") && !matches("orders", "my-orders"));
        assert!(matches("a|b.*", "bc") && !matches("a|b.*", "ab"));
        assert!(matches("a|ab", "ab"), "also where a shorter one matches first");
        assert!(matches("orders-[0-9]{4}-[[:digit:]]{2}", "orders-2026-01") && matches("a\\.b", "a.b"));
        assert!(!matches("a\\.b", "a-b"));
    }

    #[test]
    fn a_pattern_is_bounded_in_what_it_needs() {
        let long = "a".repeat(TopicPattern::LONGEST + 1);
        for (text, wrong) in [
            (long.as_str(), InvalidTopicPattern::TooLong),
            ("a\0b", InvalidTopicPattern::ControlCharacters),
            ("a\nb", InvalidTopicPattern::ControlCharacters),
            ("a{5000}", InvalidTopicPattern::TooLarge),
        ] {
            assert_eq!(TopicPattern::parse(text), Err(wrong), "{text:?}");
        }
        for text in ["(", "a)|(b", "(a)\\1", "(?=a)", "a{2,1}", "[b-a]"] {
            let refused = TopicPattern::parse(text).unwrap_err();
            assert!(matches!(&refused, InvalidTopicPattern::Malformed(what) if !what.contains('\n')), "{refused:?}");
        }
    }
}
