//! JSON that is well-formed, and holds a number beyond those of 64 bits: RFC 8259, section 9, leaves their range to the reader.

use serde::de::IgnoredAny;
use serde_json::{Deserializer, Value};
use serde_path_to_error::Segment;

use crate::domain::problem::FieldProblem;

const DETAIL: &str = "is a number beyond what 64 bits hold";

/// A longer path is not named: the problem is said of the whole body.
const LONGEST_PATH: usize = 1_000;

/// The first member that holds one. None when there is none, or the text is not JSON for another reason.
pub fn member(text: &[u8]) -> Option<FieldProblem> {
    let mut reader = Deserializer::from_slice(text);
    let error = serde_path_to_error::deserialize::<_, Value>(&mut reader).err()?;
    // The library has no kind for it.
    if !error.inner().to_string().starts_with("number out of range") {
        return None;
    }
    serde_json::from_slice::<IgnoredAny>(text).ok()?;
    let mut path = String::new();
    for segment in error.path() {
        path.push('/');
        match segment {
            Segment::Seq { index } => path.push_str(&index.to_string()),
            Segment::Map { key } => path.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    let path = if path.len() > LONGEST_PATH { String::new() } else { path };
    Some(FieldProblem::new(path, DETAIL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_held_is_named() {
        for (text, path) in [
            (r#"{"payload": {"a/b": [1, 1e400]}}"#, "/payload/a~1b/1"),
            (r#"{"payload": -1E+999}"#, "/payload"),
            ("1e400", ""),
        ] {
            assert_eq!(member(text.as_bytes()), Some(FieldProblem::new(path, DETAIL)), "{text}");
        }
    }

    #[test]
    fn what_can_be_held_or_is_no_json_is_not() {
        let deep = format!(r#"{{"a": {}1e400{}}}"#, "[".repeat(500), "]".repeat(500));
        for text in
            [r#"{"a": 1e300}"#, r#"{"a": 1e-400}"#, r#"{"a": 1e400"#, r#"{"a": 123456789012345678901234567890}"#, &deep]
        {
            assert_eq!(member(text.as_bytes()), None, "{text}");
        }
    }
}
