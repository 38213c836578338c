//! Texts with places for what differs from recipient to recipient: `{{name}}`.

use super::recipient::BroadcastRecipient;
use crate::domain::message::Content;

/// The longest name of a variable, in characters.
pub const LONGEST_NAME: usize = 64;

/// Bytes of one text with all places filled, unless it is longer without: a text with many places, and long values for them, would
/// be as long as both multiplied.
pub const LONGEST_FILLED: usize = 1 << 20;

/// Why a recipient gets nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfilled {
    /// A place for which the recipient has nothing.
    #[error("The variable {0} is missing for this recipient; nothing was sent.")]
    Missing(String),
    #[error("With its variables a text for this recipient is longer than {LONGEST_FILLED} bytes; nothing was sent.")]
    TooLong,
}

/// Whether a variable may be called so: 1 to 64 letters, digits, `_`, `-` and `.`.
pub fn is_name(text: &str) -> bool {
    let length = text.chars().count();
    (1..=LONGEST_NAME).contains(&length) && text.chars().all(|it| it.is_alphanumeric() || "_-.".contains(it))
}

/// The content with what the recipient has in each place of its text, of its payload and of its template.
///
/// # Errors
/// When the recipient has nothing for a place, or too much.
pub fn fill(content: &Content, recipient: &BroadcastRecipient) -> Result<Content, Unfilled> {
    let value = |name: &str| recipient.variables.get(name).map(String::as_str);
    // In JSON, what looks like a place lies within a text.
    let escaped = |name: &str| value(name).map(in_json);
    let plain = |name: &str| value(name).map(str::to_owned);
    Ok(Content {
        text: content.text.as_deref().map(|text| filled(text, plain)).transpose()?,
        media: content.media.clone(),
        payload: content.payload.as_deref().map(|text| filled(text, escaped)).transpose()?,
        template: content.template.as_deref().map(|text| filled(text, escaped)).transpose()?,
        record: None,
    })
}

/// As it is written within the quotes of a JSON text.
fn in_json(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// What is between braces and is no name stays as it is.
fn filled(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, Unfilled> {
    let (mut filled, mut rest) = (String::with_capacity(text.len()), text);
    let longest = text.len().max(LONGEST_FILLED);
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        match after.split_once("}}").map(|(inside, after)| (inside.trim_matches(' '), after)) {
            Some((name, after)) if is_name(name) => {
                filled.push_str(&value(name).ok_or_else(|| Unfilled::Missing(name.to_owned()))?);
                rest = after;
                if filled.len() > longest {
                    return Err(Unfilled::TooLong);
                }
            }
            _ => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled.push_str(rest);
    if filled.len() > longest { Err(Unfilled::TooLong) } else { Ok(filled) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ana() -> BroadcastRecipient {
        let variables = [("nome".to_owned(), "Ana \"a\"".to_owned())].into();
        BroadcastRecipient { variables, ..BroadcastRecipient::new("1") }
    }

    #[test]
    fn each_place_has_what_the_recipient_has() {
        let content = Content {
            text: Some("Olá, {{nome}}{{ nome }}! {{}} {{a b}} {{nome".to_owned()),
            payload: Some(r#"{"a":"{{nome}}","b":{"c":{}}}"#.to_owned()),
            ..Content::default()
        };
        let filled = fill(&content, &ana()).unwrap();
        assert_eq!(filled.text.unwrap(), "Olá, Ana \"a\"Ana \"a\"! {{}} {{a b}} {{nome");
        assert_eq!(filled.payload.unwrap(), r#"{"a":"Ana \"a\"","b":{"c":{}}}"#);
    }

    #[test]
    fn a_place_for_which_there_is_nothing_is_named() {
        let content = Content { text: Some("{{nome}} {{cupom}}".to_owned()), ..Content::default() };
        let error = fill(&content, &ana()).unwrap_err();
        assert_eq!(error.to_string(), "The variable cupom is missing for this recipient; nothing was sent.");
    }

    #[test]
    fn what_would_be_too_long_is_not_filled() {
        let variables = [("a".to_owned(), "x".repeat(1 << 16))].into();
        let recipient = BroadcastRecipient { variables, ..BroadcastRecipient::new("1") };
        let fills = |places: usize| {
            let text = "{{a}}".repeat(places);
            fill(&Content { text: Some(text), ..Content::default() }, &recipient).map(|it| it.bytes())
        };
        assert_eq!(
            (fills(16), fills(17), fills(50_000)),
            (Ok(1 << 20), Err(Unfilled::TooLong), Err(Unfilled::TooLong))
        );
        let long = Content { text: Some("y".repeat(3 << 20)), ..Content::default() };
        assert_eq!(fill(&long, &recipient), Ok(long), "it has no places");
    }

    proptest! {
        #[test]
        fn what_fills_a_place_is_not_filled_itself(value in "\\PC{0,8}", before in "[a-z{} ]{0,8}") {
            let variables = [("a".to_owned(), value.clone())].into();
            let recipient = BroadcastRecipient { variables, ..BroadcastRecipient::new("1") };
            let before = before.replace("{{", "").replace("}}", "");
            let before = before.trim_end_matches('{');
            let content = Content { text: Some(format!("{before}{{{{a}}}}")), ..Content::default() };
            prop_assert_eq!(fill(&content, &recipient).unwrap().text.unwrap(), format!("{before}{value}"));
        }

        #[test]
        fn json_stays_json(value in any::<String>()) {
            let variables = [("a".to_owned(), value.clone())].into();
            let recipient = BroadcastRecipient { variables, ..BroadcastRecipient::new("1") };
            let content = Content { payload: Some(r#"{"a":"{{a}}"}"#.to_owned()), ..Content::default() };
            let payload = fill(&content, &recipient).unwrap().payload.unwrap();
            let parsed: serde_json::Value = serde_json::from_str(&payload).unwrap();
            prop_assert_eq!(parsed["a"].as_str().unwrap(), value);
        }
    }
}
