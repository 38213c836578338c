//! Where a webhook may point to.

use url::Url;

const LONGEST_ADDRESS: usize = 2048;

/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn parse_address(address: &str) -> Result<Url, &'static str> {
    if address.len() > LONGEST_ADDRESS {
        return Err("must not be longer than 2048 bytes");
    }
    // The URL standard repairs what we would rather have refused: `http:host`, `http:///host`, line breaks inside, ...
    let absolute = address.split_once("://").is_some_and(|(scheme, rest)| {
        ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) && !rest.starts_with(['/', '\\'])
    });
    if !absolute || address.contains(|character: char| character.is_whitespace() || character.is_control()) {
        return Err("must be an absolute http or https URL");
    }
    let url = Url::parse(address).map_err(|_| "must be an absolute http or https URL")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password");
    }
    if !url.has_host() {
        return Err("must name a host");
    }
    Ok(url)
}
