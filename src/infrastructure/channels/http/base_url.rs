//! The URL below which the routes of an API are.

use url::Url;

const LONGEST: usize = 2048;

/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn parse_base_url(text: &str) -> Result<Url, &'static str> {
    const NOT_ABSOLUTE: &str = "must be an absolute http or https URL";
    if text.len() > LONGEST {
        return Err("must not be longer than 2048 bytes");
    }
    let url = Url::parse(text).map_err(|_| NOT_ABSOLUTE)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(NOT_ABSOLUTE);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query or fragment");
    }
    Ok(url)
}
