//! Halves of surrogate pairs: escapes that a JSON text may have (RFC 8259, section 8.2), and that are no character.

use serde_json::Value;

use crate::domain::problem::FieldProblem;

const DETAIL: &str = "holds half of a surrogate pair (\\uD800 to \\uDFFF), which is no character";

/// The members of a JSON text that hold half of a pair. None when it has none, or is no JSON for another reason too.
pub fn members(text: &[u8]) -> Option<Vec<FieldProblem>> {
    let text = std::str::from_utf8(text).ok()?;
    let mark = (0..).map(|number| format!("half-of-a-pair-{number}")).find(|mark| !text.contains(mark))?;
    let marked = marked(text, &mark)?;
    let value: Value = serde_json::from_str(&marked).ok()?;
    let mut problems = Vec::new();
    find(&value, &mark, String::new(), &mut problems);
    Some(problems)
}

/// The text with the mark in the place of each half. None without any.
fn marked(text: &str, mark: &str) -> Option<String> {
    let mut marked = String::with_capacity(text.len());
    let (mut rest, mut found) = (text, false);
    while let Some(at) = rest.find('\\') {
        marked.push_str(&rest[..at]);
        let escape = &rest[at..];
        let length = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                found = true;
                marked.push_str(mark);
                rest = &escape[6..];
                continue;
            }
            // At least the character after it, so that an escaped backslash escapes nothing.
            _ => 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        marked.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    marked.push_str(rest);
    found.then_some(marked)
}

/// The UTF-16 unit that an escape at the beginning of the text stands for.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) { u16::from_str_radix(digits, 16).ok() } else { None }
}

fn find(value: &Value, mark: &str, path: String, problems: &mut Vec<FieldProblem>) {
    match value {
        Value::String(text) if text.contains(mark) => problems.push(FieldProblem::new(path, DETAIL)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find(item, mark, format!("{path}/{index}"), problems);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                // Its name cannot be told: the member is where it is.
                if name.contains(mark) {
                    problems.push(FieldProblem::new(path.as_str(), DETAIL));
                }
                let name = name.replace('~', "~0").replace('/', "~1");
                find(member, mark, format!("{path}/{name}"), problems);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Option<Vec<String>> {
        members(text.as_bytes()).map(|problems| problems.into_iter().map(|problem| problem.path).collect())
    }

    #[test]
    fn the_members_with_half_a_pair_are_named() {
        for (text, wanted) in [
            (r#"{"message": "\ud83d"}"#, "/message"),
            (r#"{"message": "\ude00 then"}"#, "/message"),
            (r#"{"message": "\ud83dx\ude00"}"#, "/message"),
            (r#"{"message": "\ud83d\ud83d\ude00"}"#, "/message"),
            (r#"{"a": {"b/c": ["x", "\uD800"]}}"#, "/a/b~1c/1"),
            (r#"{"a\udfff": 1}"#, ""),
        ] {
            assert_eq!(paths(text), Some(vec![wanted.to_owned()]), "{text}");
        }
    }

    #[test]
    fn a_text_without_half_a_pair_has_none() {
        for text in
            [r#"{"message": "\ud83d\ude00"}"#, r#"{"message": "\\ud83d"}"#, r#"{"message": "\u00e3"}"#, r#""\u"#]
        {
            assert_eq!(paths(text), None, "{text}");
        }
        assert_eq!(paths(r#"{"message": "\ud83d""#), None, "it is cut off as well");
    }
}
