//! Halves of surrogate pairs in a JSON text: escapes that it may have (RFC 8259, section 8.2), and that stand for no character.
//! `JSON.stringify` writes them for a text that was cut in the middle of one.

/// The text with the mark in the place of each half. None without any.
pub fn marked(text: &str, mark: &str) -> Option<String> {
    let mut marked = String::new();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_marked_and_nothing_else() {
        for (text, expected) in [
            (r#"{"a":"\ud83d"}"#, Some(r#"{"a":"?"}"#)),
            (r#""\ude00\ud83d\ude00\ud83d""#, Some(r#""?\ud83d\ude00?""#)),
            (r#""\ud83d\ude00 é \u00e9""#, None),
            (r#""\\ud83d""#, None),
        ] {
            assert_eq!(marked(text, "?").as_deref(), expected, "{text}");
        }
    }
}
