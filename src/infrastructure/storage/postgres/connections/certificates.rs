//! The files that a URL names for TLS. The driver opens them when a server has answered, and would be tried again until then.

use std::fs::File;

use url::Url;

/// Those of libpq, and the driver's own.
const FILES: [&str; 7] = ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];

/// Which one cannot be read, if there is one.
pub(super) fn unreadable(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    url.query_pairs().filter(|(name, _)| FILES.contains(&name.as_ref())).find_map(|(name, path)| {
        // The driver also takes a certificate itself.
        let is_a_file = !path.trim_start().starts_with("-----BEGIN");
        let error = is_a_file.then(|| File::open(path.as_ref()).err()).flatten()?;
        Some(format!("has the parameter `{name}`, whose file {path} cannot be read: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_named_and_nothing_else_of_the_url() {
        let there = tempfile::NamedTempFile::new().unwrap();
        let good = format!("postgres://u:hush@db/x?sslmode=verify-full&sslrootcert={}", there.path().display());
        assert_eq!(unreadable(&good), None);
        assert_eq!(unreadable("postgres://u:hush@db/x?sslcert=-----BEGIN%20CERTIFICATE-----"), None);
        let sentence = unreadable("postgres://u:hush@db/x?sslmode=verify-full&sslrootcert=/nope.pem").unwrap();
        assert!(sentence.contains("`sslrootcert`") && sentence.contains("/nope.pem"), "{sentence}");
        assert!(!sentence.contains("hush"), "{sentence}");
    }
}
