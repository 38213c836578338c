//! The JSON of a report.

use serde_json::{Map, Value};
use tracing::debug;

use crate::domain::half_pairs::marked;

/// What stands for what is no character.
const REPLACEMENT: &str = "\u{fffd}";

/// Whatever can be read of it: one odd byte, or a text that was cut in the middle of a character, must not hide what else a report
/// says. The provider is not told, and would say the same again.
pub fn json(body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}');
    let read = serde_json::from_str(text);
    let read =
        read.or_else(|error| marked(text, REPLACEMENT).map_or(Err(error), |marked| serde_json::from_str(&marked)));
    read.inspect_err(|error| debug!(%error, "a provider's report is not JSON, and says nothing")).ok()
}

/// Without U+0000, which no database stores.
pub fn storable_json(value: &Value) -> Value {
    let plain = |text: &str| text.replace('\0', "");
    match value {
        Value::String(text) => Value::String(plain(text)),
        Value::Array(items) => Value::Array(items.iter().map(storable_json).collect()),
        Value::Object(members) => {
            let plain = members.iter().map(|(name, value)| (plain(name), storable_json(value)));
            Value::Object(plain.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json as given;

    use super::*;

    #[test]
    fn a_text_that_was_cut_hides_nothing_else() {
        let body = br#"{"title": "Oi \ud83d", "id": "A5"}"#;
        assert_eq!(json(body), Some(given!({"title": "Oi \u{fffd}", "id": "A5"})));
        assert_eq!(json(b"{\"a\": \"\xff\"}"), Some(given!({"a": "\u{fffd}"})));
        assert_eq!(json(b"{"), None);
    }

    #[test]
    fn no_null_is_stored_and_an_escaped_backslash_is_none() {
        let value: Value = serde_json::from_str(r#"{"a\u0000": ["\\u0000", "b\u0000"]}"#).unwrap();
        assert_eq!(storable_json(&value), given!({"a": ["\\u0000", "b"]}));
    }
}
