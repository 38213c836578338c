use std::time::Duration;

use super::sections::access::{bootstrap_api_key, http_url, public_key};
use super::sections::http::host;
use super::sections::logs::log_filter;
use super::sections::storage::{credentials_key, credentials_keys, database};
use super::values::{boolean, duration, durations, number};
use super::{DatabaseConfig, Role};
use crate::corpus::prove_of_texts;

const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

#[test]
fn a_setting_is_read_or_refused_with_the_end_of_a_sentence() {
    prove_of_texts("setting", |text| {
        let refused = |refusal: Option<String>| {
            if let Some(refusal) = refusal {
                assert!(["must ", "has ", "is ", "takes "].iter().any(|start| refusal.starts_with(start)), "{refusal}");
            }
        };
        refused(boolean(text).err());
        refused(host(text).err());
        refused(http_url(text).err());
        refused(log_filter(text).err());
        refused(bootstrap_api_key(text).err());
        refused(credentials_key(text).err());
        refused(number(text, 1..=65_535_u16).err());
        refused(duration(text).err());
        assert!(duration(text).is_ok_and(|read| read <= YEAR) || duration(text).is_err());
        assert!(durations(text).is_ok_and(|read| !read.is_empty()) || durations(text).is_err());
        assert!(credentials_keys(text).is_ok_and(|read| !read.is_empty()) || credentials_keys(text).is_err());
        match database(text) {
            Ok(DatabaseConfig::Sqlite { path }) => assert!(path.file_name().is_some() || text.ends_with('.'), "{text}"),
            // What the driver does not know was left out: it stays so.
            Ok(DatabaseConfig::Postgres { url }) => assert_eq!(database(&url), Ok(DatabaseConfig::Postgres { url })),
            Err(refusal) => refused(Some(refusal)),
        }
        if let Ok(role) = text.parse::<Role>() {
            assert_eq!(role.as_str(), text);
        }
    });
}

#[test]
fn a_key_or_the_file_that_has_it_is_read_or_refused() {
    prove_of_texts("public-key", |text| {
        if let Ok(pem) = public_key(text) {
            assert!(pem.contains("-----BEGIN ") && !pem.contains("PRIVATE KEY-----"));
        }
    });
}
