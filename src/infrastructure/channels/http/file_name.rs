//! The name of the file that a URL names.

use url::Url;

/// The last segment of its path: decoded, without what has no place in a file's name.
pub fn file_name(url: &Url) -> Option<String> {
    const LONGEST: usize = 200;
    let segment = url.path_segments()?.next_back()?;
    // A form's decoder is at hand; these three characters are all that it sees otherwise than a path does.
    let as_form = segment.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let (decoded, _) = url::form_urlencoded::parse(as_form.as_bytes()).next()?;
    let name: String =
        decoded.chars().filter(|character| !character.is_control() && !"/\\".contains(*character)).collect();
    // Its end matters: the extension is there.
    let surplus = name.chars().count().saturating_sub(LONGEST);
    Some(name.chars().skip(surplus).collect())
}
