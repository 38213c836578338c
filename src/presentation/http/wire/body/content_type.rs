//! What a body is said to be.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;

use crate::domain::text::wide_encoding;
use crate::presentation::http::wire::problem::Problem;

pub fn is_json(headers: &HeaderMap) -> bool {
    // Its parameters are not looked at: some write one without a value.
    let essence = value(headers).and_then(|text| text.split(';').next()?.trim().parse::<mime::Mime>().ok());
    essence.is_some_and(|mime| {
        mime.type_() == mime::APPLICATION && (mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON))
    })
}

/// RFC 4180.
pub fn is_csv(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("text/csv")
}

/// JSON is UTF-8 (RFC 8259), of which US-ASCII is a part.
///
/// # Errors
/// 415 for a body that is said to have another charset.
pub fn must_be_utf8(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(charset) = value(headers).and_then(charset) else { return Ok(()) };
    let is_known = ["", "utf-8", "utf8", "us-ascii"].iter().any(|known| charset.eq_ignore_ascii_case(known));
    if is_known { Ok(()) } else { Err(Problem::unsupported_charset(charset)) }
}

/// Without the mark that some programs put before UTF-8.
///
/// # Errors
/// 415 for UTF-16 and UTF-32.
pub fn text(bytes: &[u8]) -> Result<&[u8], Problem> {
    match wide_encoding(bytes) {
        Some(encoding) => Err(Problem::unsupported_charset(encoding)),
        None => Ok(bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes)),
    }
}

/// The charset that a body is said to have.
pub fn charset_of(headers: &HeaderMap) -> Option<&str> {
    value(headers).and_then(charset).filter(|charset| !charset.is_empty())
}

fn value(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE)?.to_str().ok()
}

fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    })
}
