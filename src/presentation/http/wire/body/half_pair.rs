//! Halves of surrogate pairs: escapes that a JSON text may have (RFC 8259, section 8.2), and that stand for no character.

use serde_json::Value;
use uuid::Uuid;

use crate::domain::half_pairs::marked;
use crate::domain::problem::FieldProblem;

const DETAIL: &str = "holds half of a surrogate pair (\\uD800 to \\uDFFF), which is not a character";

/// As many are named in an answer.
const MOST_NAMED: usize = 10;
/// A longer path is not named: the problem is said of the whole body.
const LONGEST_PATH: usize = 1_000;

/// The members of a JSON text that hold half of a pair. None when it has none, or is not JSON for another reason too.
pub fn members(text: &[u8]) -> Option<Vec<FieldProblem>> {
    let text = std::str::from_utf8(text).ok()?;
    // Drawn, so that it is not in the text.
    let mark = Uuid::new_v4().simple().to_string();
    let value: Value = serde_json::from_str(&marked(text, &mark)?).ok()?;
    let mut search = Search { mark: &mark, path: Vec::new(), problems: Vec::new() };
    search.visit(&value);
    let problems = search.problems;
    // Of two members of one name, the first is not in the value.
    Some(if problems.is_empty() { vec![FieldProblem::new("", DETAIL)] } else { problems })
}

enum Segment<'v> {
    Name(&'v str),
    Index(usize),
}

struct Search<'v> {
    mark: &'v str,
    /// Of the value that is visited. A text is made of it only where a half is.
    path: Vec<Segment<'v>>,
    problems: Vec<FieldProblem>,
}

impl<'v> Search<'v> {
    fn visit(&mut self, value: &'v Value) {
        if self.problems.len() >= MOST_NAMED {
            return;
        }
        match value {
            Value::String(text) if text.contains(self.mark) => self.say(),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.descend(Segment::Index(index), item);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    // Such a name cannot be written: the object that holds it is named.
                    if name.contains(self.mark) {
                        self.say();
                    }
                    self.descend(Segment::Name(name), member);
                }
            }
            _ => {}
        }
    }

    fn descend(&mut self, segment: Segment<'v>, value: &'v Value) {
        self.path.push(segment);
        self.visit(value);
        self.path.pop();
    }

    fn say(&mut self) {
        let mut path = String::new();
        for segment in &self.path {
            path.push('/');
            match segment {
                Segment::Index(index) => path.push_str(&index.to_string()),
                Segment::Name(name) if name.len() > LONGEST_PATH => {
                    path.clear();
                    break;
                }
                Segment::Name(name) => {
                    path.push_str(&name.replace(self.mark, "\u{fffd}").replace('~', "~0").replace('/', "~1"));
                }
            }
        }
        let path = if path.len() > LONGEST_PATH { String::new() } else { path };
        self.problems.push(FieldProblem::new(path, DETAIL));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

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
            (r#"{"message": "\ud83d", "message": "x"}"#, ""),
        ] {
            assert_eq!(paths(text), Some(vec![wanted.to_owned()]), "{text}");
        }
        let below = paths(r#"{"a\udfff": "\ud800"}"#);
        assert_eq!(below, Some(vec![String::new(), "/a\u{fffd}".to_owned()]));
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

    /// A megabyte of halves under a long name neither fills the memory nor takes long.
    #[test]
    fn many_halves_are_named_once_in_a_while() {
        let name = "n".repeat(400_000);
        let halves = vec![r#""\ud800""#; 60_000].join(",");
        let zeros = vec!["0"; 250_000].join(",");
        for text in [
            format!(r#"{{"{name}": [{halves}]}}"#),
            format!(r#"{{"{name}": [{zeros}, "\ud800"]}}"#),
            format!("[{halves}]"),
        ] {
            let begin = Instant::now();
            let paths = paths(&text).unwrap();
            assert!((1..=MOST_NAMED).contains(&paths.len()));
            assert!(paths.iter().all(|path| path.len() <= LONGEST_PATH));
            assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        }
    }
}
