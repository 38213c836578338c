//! Where something is found in a report.

use std::collections::HashMap;

use serde_json::Value;

/// A report, as it came.
pub struct Request<'a> {
    /// Names in lower case.
    pub headers: &'a HashMap<String, String>,
    pub body: &'a Value,
}

/// Texts, and parts of the body or headers, one after the other: `{header:x-github-event}.{/action}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finder(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A JSON Pointer (RFC 6901) into the body.
    Pointer(String),
    /// In lower case.
    Header(String),
}

impl Finder {
    /// A JSON Pointer, `header:` and a name, or a text with these in braces.
    ///
    /// # Errors
    /// What is wrong with it: the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with('/') || text.starts_with("header:") {
            return Ok(Self(vec![part(text)?]));
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once('{') {
            let (inside, behind) = after.split_once('}').ok_or("has a `{` without a `}`")?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(part(inside)?);
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        if parts.is_empty() { Err("must not be empty".to_owned()) } else { Ok(Self(parts)) }
    }

    /// None where a part of it is not there.
    pub fn find(&self, request: &Request<'_>) -> Option<String> {
        let found = self.0.iter().map(|part| match part {
            Part::Text(text) => Some(text.clone()),
            Part::Pointer(pointer) => request.body.pointer(pointer).and_then(text),
            Part::Header(name) => request.headers.get(name).cloned(),
        });
        found.collect::<Option<String>>().filter(|text| !text.is_empty())
    }
}

fn part(text: &str) -> Result<Part, String> {
    match text.strip_prefix("header:") {
        Some(name) if !name.is_empty() => Ok(Part::Header(name.to_lowercase())),
        None if text.starts_with('/') => Ok(Part::Pointer(text.to_owned())),
        _ => Err("must be a JSON Pointer such as `/data/id`, or `header:` and a name".to_owned()),
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What the first finds that finds something.
pub fn first(finders: &[Finder], request: &Request<'_>) -> Option<String> {
    finders.iter().find_map(|finder| finder.find(request))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_that_finds_something_counts() {
        let headers = HashMap::from([("x-github-event".to_owned(), "issues".to_owned())]);
        let found = |finders: &[&str], body: Value| {
            let finders: Vec<Finder> = finders.iter().map(|text| Finder::parse(text).unwrap()).collect();
            first(&finders, &Request { headers: &headers, body: &body })
        };
        let github = ["{header:X-GitHub-Event}.{/action}", "header:X-GitHub-Event"];
        assert_eq!(found(&github, json!({ "action": "opened" })).as_deref(), Some("issues.opened"));
        assert_eq!(found(&github, json!({})).as_deref(), Some("issues"));
        assert_eq!(found(&["/id"], json!({ "id": 7 })).as_deref(), Some("7"));
        assert_eq!(found(&["/id", "/data/id"], json!({ "id": "", "data": { "id": null } })), None);
        assert_eq!(found(&["pedido"], json!({})).as_deref(), Some("pedido"));
    }

    #[test]
    fn what_finds_nothing_ever_is_refused() {
        for text in ["", "{id}", "{/id", "{}", "header:", "a{header:}"] {
            assert!(Finder::parse(text).is_err(), "{text}");
        }
    }
}
