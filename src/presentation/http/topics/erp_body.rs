//! The body of `POST /topics/{topic}`, as an ERP sends it.

use std::borrow::Cow;
use std::fmt;

use axum::http::HeaderMap;
use encoding_rs::WINDOWS_1252;
use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::stringified::{number, stringified};
use crate::application::topics::depth;
use crate::domain::problem::FieldProblem;
use crate::presentation::http::wire::body::{charset_of, without_mark};
use crate::presentation::http::wire::problem::Problem;

/// Key and value of a record, and what had to be mended to read them.
#[derive(Debug, PartialEq, Eq)]
pub struct ErpBody {
    pub key: Option<String>,
    pub value: String,
    pub repairs: Repairs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// It was not UTF-8, and was read as Windows-1252.
    pub charset: bool,
    /// Control characters stood in strings as they are.
    pub control_characters: bool,
}

impl Repairs {
    /// For a header; none where nothing was mended.
    pub fn as_header(self) -> Option<&'static str> {
        match (self.charset, self.control_characters) {
            (false, false) => None,
            (true, false) => Some("windows-1252"),
            (false, true) => Some("control-characters"),
            (true, true) => Some("windows-1252, control-characters"),
        }
    }
}

/// # Errors
/// 400 for what is not JSON whatever is mended, 415 for another charset, 422 for a body without `data`.
pub fn read(headers: &HeaderMap, bytes: &[u8]) -> Result<ErpBody, Problem> {
    let charset = charset_of(headers);
    let mut repairs = Repairs::default();
    let text = text(charset, without_mark(bytes)?, &mut repairs)?;
    let members = |text: &str| serde_json::from_str::<Members>(text);
    let read = members(&text).or_else(|error| {
        let mended = escaped(&text).ok_or(error)?;
        let read = members(&mended);
        repairs.control_characters = read.is_ok();
        read
    });
    let Members { key, data } =
        read.map_err(|error| Problem::malformed_json(format!("The body is not well-formed JSON: {error}.")))?;
    let Some(value) = data else {
        return Err(Problem::invalid_field([FieldProblem::new("/data", "must be there: it is the record's value")]));
    };
    Ok(ErpBody { key, value, repairs })
}

/// Most ERPs say nothing of their charset, and some send the bytes of their database.
fn text<'b>(charset: Option<&str>, bytes: &'b [u8], repairs: &mut Repairs) -> Result<Cow<'b, str>, Problem> {
    let is =
        |names: &[&str]| charset.is_some_and(|charset| names.iter().any(|name| charset.eq_ignore_ascii_case(name)));
    let is_utf8 = is(&["utf-8", "utf8", "us-ascii"]);
    let is_windows = is(&["windows-1252", "cp1252", "cp-1252", "iso-8859-1", "latin1"]);
    if let Some(charset) = charset.filter(|_| !is_utf8 && !is_windows) {
        return Err(Problem::unsupported_charset(charset));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(error) if is_utf8 => Err(Problem::malformed_json(format!("The body is not UTF-8: {error}."))),
        Err(_) => {
            repairs.charset = true;
            Ok(WINDOWS_1252.decode_without_bom_handling(bytes).0)
        }
    }
}

/// With the control characters in its strings escaped. None: there are none.
fn escaped(text: &str) -> Option<String> {
    let (mut mended, mut in_string, mut after_backslash) = (String::with_capacity(text.len() + 64), false, false);
    let mut count = 0;
    for character in text.chars() {
        if in_string && character < ' ' {
            // After a backslash it would be an escape that there is not: the backslash itself was meant.
            mended.push_str(if after_backslash { "\\\\u" } else { "\\u" });
            mended.push_str(&format!("{:04x}", u32::from(character)));
            (after_backslash, count) = (false, count + 1);
            continue;
        }
        if character == '"' && !after_backslash {
            in_string = !in_string;
        }
        after_backslash = in_string && character == '\\' && !after_backslash;
        mended.push(character);
    }
    (count > 0).then_some(mended)
}

/// The members that count; of two of one name the last, as in JavaScript.
struct Members {
    key: Option<String>,
    data: Option<String>,
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `key` and `data`")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members, M::Error> {
        let mut members = Members { key: None, data: None };
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            match name.as_ref() {
                "key" => members.key = key(map.next_value::<&RawValue>()?).map_err(de::Error::custom)?,
                "data" => members.data = Some(data(map.next_value::<&RawValue>()?).map_err(de::Error::custom)?),
                _ => _ = map.next_value::<IgnoredAny>()?,
            }
        }
        Ok(members)
    }
}

/// What JavaScript takes for false is no key; anything else is its text.
fn key(raw: &RawValue) -> Result<Option<String>, serde_json::Error> {
    Ok(match serde_json::from_str::<Value>(raw.get())? {
        Value::Null | Value::Bool(false) => None,
        Value::Bool(true) => Some("true".to_owned()),
        Value::String(text) => Some(text).filter(|text| !text.is_empty()),
        Value::Number(_) => Some(number(raw.get()).into_owned()).filter(|number| number != "0"),
        Value::Array(_) | Value::Object(_) => Some(stringified(raw.get())),
    })
}

/// As JavaScript would write it.
fn data(raw: &RawValue) -> Result<String, String> {
    if depth(raw.get()) > DEEPEST {
        return Err(format!("`data` is nested deeper than {DEEPEST} levels"));
    }
    Ok(stringified(raw.get()))
}

/// As deep as other bodies may be nested.
const DEEPEST: usize = 126;

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::CONTENT_TYPE;

    use super::*;

    fn read_as(content_type: &'static str, body: &[u8]) -> Result<ErpBody, Problem> {
        read(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]), body)
    }

    fn read_plain(body: &[u8]) -> ErpBody {
        read_as("application/json", body).unwrap()
    }

    #[test]
    fn what_javascript_takes_for_false_is_no_key() {
        for (key, expected) in [
            ("null", None),
            ("\"\"", None),
            ("0", None),
            ("-0.0", None),
            ("false", None),
            ("\"0\"", Some("0")),
            ("1.50", Some("1.5")),
            ("true", Some("true")),
            ("[1, 2]", Some("[1,2]")),
            ("\"000001001\"", Some("000001001")),
        ] {
            let body = format!("{{\"key\": {key}, \"data\": 1}}");
            assert_eq!(read_plain(body.as_bytes()).key.as_deref(), expected, "{key}");
        }
        assert_eq!(
            read_plain(br#"{"data": null}"#),
            ErpBody { key: None, value: "null".to_owned(), repairs: Repairs::default() }
        );
        assert_eq!(read_plain(br#"{"data": 1, "key": "a", "data": 2, "more": [], "key": "b"}"#).value, "2");
    }

    #[test]
    fn bytes_of_the_erps_database_are_read() {
        let read = read_plain(b"{\"key\": \"1\", \"data\": \"Jo\xe3o \x80\"}");
        assert_eq!((read.value.as_str(), read.repairs.as_header()), ("\"João €\"", Some("windows-1252")));
        let said = read_as("application/json; charset=windows-1252", b"{\"data\": \"\xe3\"}").unwrap();
        assert_eq!(said.value, "\"ã\"");
        let utf8 = read_as("application/json; charset=windows-1252", "{\"data\": \"ã\"}".as_bytes()).unwrap();
        assert_eq!((utf8.value.as_str(), utf8.repairs), ("\"ã\"", Repairs::default()));
        assert_eq!(read_as("application/json; charset=utf-8", b"{\"data\": \"\xe3\"}").unwrap_err().status(), 400);
        assert_eq!(read_as("application/json; charset=shift_jis", b"{\"data\": 1}").unwrap_err().status(), 415);
    }

    #[test]
    fn control_characters_in_strings_are_forgiven_and_nowhere_else() {
        let read = read_plain(b"{\"key\": \"a\tb\", \"data\": {\"x\": \"1\r\n2 \\\\\t\"}}");
        assert_eq!(read.key.as_deref(), Some("a\tb"));
        assert_eq!(read.value, r#"{"x":"1\r\n2 \\\t"}"#);
        assert_eq!(read.repairs.as_header(), Some("control-characters"));
        assert_eq!(read_plain(b"{\"data\": \"C:\\\t\"}").value, r#""C:\\\t""#);
        let named = read_as("application/json; charset=utf-8", b"{\"data\": \"a\tb\"}").unwrap();
        assert_eq!((named.value.as_str(), named.repairs.as_header()), (r#""a\tb""#, Some("control-characters")));
        assert_eq!(read_as("application/json", b"{\"data\": \x01}").unwrap_err().status(), 400);
    }

    #[test]
    fn a_body_without_data_or_too_deep_is_refused() {
        assert_eq!(read_as("application/json", br#"{"key": "1"}"#).unwrap_err().status(), 422);
        let deep = format!("{{\"data\": {}1{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(read_as("application/json", deep.as_bytes()).unwrap_err().status(), 400);
        for body in ["", "[1]", "1", r#"{"data": }"#] {
            assert_eq!(read_as("application/json", body.as_bytes()).unwrap_err().status(), 400, "{body}");
        }
    }
}
