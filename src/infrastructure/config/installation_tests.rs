use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::sections::variables;
use super::*;

fn read(values: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::read(|name| values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

fn refused(variable: &str, value: &str) -> ConfigError {
    let error = read(&[(variable, value)]).expect_err(value);
    assert_eq!(error.variable, variable, "{value}");
    assert!(error.to_string().starts_with(&format!("{variable}: ")));
    error
}

#[test]
fn nothing_has_to_be_configured() {
    let config = read(&[]).unwrap();
    assert_eq!(config.http.address().to_string(), "127.0.0.1:3000");
    assert_eq!(config.http.max_body_bytes, 1_048_576);
    assert_eq!(config.storage.database, DatabaseConfig::Sqlite { path: "./data/correio.db".into() });
    assert_eq!(config.storage.data_dir, Path::new("./data"));
    assert_eq!(config.queue, QueueConfig::Direct);
    assert_eq!(config.delivery.worker_concurrency, 64);
    assert_eq!(config.delivery.node_timeout, Duration::from_secs(15));
    assert_eq!(config.delivery.max_tries.number(), 3);
    assert_eq!(config.delivery.retry_backoff, [1, 4, 16].map(Duration::from_secs));
    assert_eq!(config.delivery.shutdown_timeout, Duration::from_secs(30));
    assert!(config.channels.block_private.is_none() && config.channels.allow.is_empty());
    assert_eq!(config.access.jwt.tenant_claim, "tenant");
    assert_eq!((config.logs.format, config.logs.filter.as_str()), (None, "info"));
    assert!(config.storage.credentials_keys.is_none() && config.access.bootstrap_api_key.is_none());
    assert!(
        config.access.jwt.secret.is_none()
            && config.access.jwt.public_key.is_none()
            && config.access.jwt.jwks_url.is_none()
    );
}

#[test]
fn an_empty_value_counts_as_unset() {
    let config = Config::read(|_| Some(String::new())).unwrap();
    assert_eq!(config.http.port, 3000);
    assert!(config.access.jwt.secret.is_none());
}

#[test]
fn what_stands_at_the_ends_of_a_value_is_no_part_of_it() {
    let config = read(&[
        ("JWT_SECRET", "0123456789abcdef0123456789abcdef\n"),
        ("JWT_ISSUER", " https://id.example\r\n"),
        ("DATA_DIR", "data\n"),
        ("PORT", "\t80 "),
        ("BOOTSTRAP_API_KEY", " \n"),
    ]);
    let config = config.unwrap();
    assert_eq!(config.access.jwt.secret.unwrap(), b"0123456789abcdef0123456789abcdef");
    assert_eq!(config.access.jwt.issuer.as_deref(), Some("https://id.example"));
    assert_eq!((config.storage.data_dir.as_path(), config.http.port), (Path::new("data"), 80));
    assert!(config.access.bootstrap_api_key.is_none());
}

#[test]
fn a_value_in_quotes_is_refused() {
    for entry in SECTIONS.iter().flat_map(|section| section.settings) {
        for value in ["\"hush\"", "'hush'", " \"hush\"\n", "\"\""] {
            // The first of two that are set for one name counts.
            let error = read(&[(entry.name, value), ("KAFKA_ENABLED", "true")]).err().unwrap();
            assert_eq!(error.variable, entry.name, "{value}");
            assert!(error.sentence.contains("quotes") && !error.sentence.contains("hush"), "{error}");
        }
    }
    assert_eq!(read(&[("JWT_ISSUER", "\"")]).unwrap().access.jwt.issuer.as_deref(), Some("\""));
}

#[test]
fn a_home_directory_is_written_out() {
    for (variable, value) in [
        ("DATA_DIR", "~/data"),
        ("DATA_DIR", "~"),
        ("DATABASE_URL", "sqlite://~/correio.db"),
        ("JWT_PUBLIC_KEY", "~/key.pem"),
    ] {
        assert!(refused(variable, value).sentence.contains("`~`"), "{variable}");
    }
    assert!(read(&[("DATA_DIR", "./~data")]).is_ok());
}

#[test]
fn what_is_read_is_what_the_example_documents() {
    let asked = RefCell::new(BTreeSet::new());
    Config::read(|name| {
        asked.borrow_mut().insert(name.to_owned());
        (name == "KAFKA_ENABLED").then(|| "true".to_owned())
    })
    .unwrap();
    let example = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".env.example")).unwrap();
    let names = example.lines().filter_map(|line| line.trim_start_matches("# ").split_once('=')).map(|(name, _)| name);
    let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    let documented: BTreeSet<String> = names.filter(is_name).map(str::to_owned).collect();
    let listed: BTreeSet<String> = variables().map(str::to_owned).collect();
    assert_eq!(*asked.borrow(), listed);
    assert_eq!(documented, listed);
    assert_eq!(variables().count(), listed.len(), "a setting is listed twice");
}

#[test]
fn what_the_example_shows_is_accepted() {
    for entry in SECTIONS.iter().flat_map(|section| section.settings).filter(|entry| !entry.example.is_empty()) {
        read(&[("KAFKA_ENABLED", "true"), (entry.name, entry.example)]).unwrap();
    }
}

#[test]
fn databases_are_told_by_their_scheme() {
    for (url, path) in
        [("sqlite://some/file.db", "some/file.db"), ("sqlite:///abs/file.db", "/abs/file.db"), ("sqlite:x.db", "x.db")]
    {
        let config = read(&[("DATABASE_URL", url)]).unwrap();
        assert_eq!(config.storage.database, DatabaseConfig::Sqlite { path: path.into() });
    }
    for url in ["postgres://me:secret@db:5432/correio?sslmode=require", "postgresql:///correio?host=/run/postgresql"] {
        let config = read(&[("DATABASE_URL", url)]).unwrap();
        assert_eq!(config.storage.database, DatabaseConfig::Postgres { url: url.to_owned() });
        assert!(!format!("{config:?}").contains("secret"));
    }
    for url in ["mysql://u:hush@db/x", "hush", "sqlite://", "sqlite::memory:", "sqlite://x.db?mode=rwc"] {
        assert!(!refused("DATABASE_URL", url).to_string().contains("hush"));
    }
    assert!(!refused("DATABASE_URL", "postgres://u:hush@[/x").to_string().contains("hush"));
}

#[test]
fn there_is_a_sandbox_where_the_database_is_embedded_or_the_operator_says_so() {
    let postgres = ("DATABASE_URL", "postgres://db/correio");
    for (settings, expected) in [
        (vec![], true),
        (vec![postgres], false),
        (vec![postgres, ("SANDBOX_ENABLED", "true")], true),
        (vec![("SANDBOX_ENABLED", "false")], false),
    ] {
        assert_eq!(read(&settings).unwrap().has_sandbox(), expected, "{settings:?}");
    }
}

#[test]
fn the_embedded_database_follows_the_data_directory() {
    let config = read(&[("DATA_DIR", "/srv/correio")]).unwrap();
    assert_eq!(config.storage.database, DatabaseConfig::Sqlite { path: "/srv/correio/correio.db".into() });
}

#[test]
fn hosts_and_ports_are_checked() {
    let host = |text| read(&[("HOST", text)]).unwrap().http.host;
    assert_eq!(host("localhost"), IpAddr::from(Ipv4Addr::LOCALHOST));
    assert_eq!(host("::1").to_string(), "::1");
    assert_eq!(read(&[("PORT", "0")]).unwrap().http.port, 0);
    refused("HOST", "example.com");
    for port in ["65536", "-1", "+80", "http", "8 0"] {
        refused("PORT", port);
    }
}

#[test]
fn numbers_stay_in_their_ranges() {
    for (variable, value) in [
        ("WORKER_CONCURRENCY", "0"),
        ("WORKER_CONCURRENCY", "10001"),
        ("INSTANCE_CONCURRENCY", "0"),
        ("UNDELIVERABLE_AFTER", "soon"),
        ("MAX_RETRIES", "0"),
        ("MAX_RETRIES", "101"),
        ("MAX_BODY_BYTES", "0"),
        ("MAX_BODY_BYTES", "1MB"),
        ("NODE_TIMEOUT", "999ms"),
        ("DATABASE_POOL_SIZE", "1"),
        ("DATABASE_POOL_SIZE", "1001"),
        ("SEARCH_CONCURRENCY", "0"),
        ("SEARCH_CONCURRENCY", "101"),
        ("RETRY_BACKOFF", "1s,,4s"),
        ("RETRY_BACKOFF", "1s 4s"),
        ("WEBHOOK_BLOCK_PRIVATE", "yes"),
        ("CHANNELS_BLOCK_PRIVATE", "yes"),
        ("CHANNELS_ALLOW", "evolution:8080"),
        ("SANDBOX_ENABLED", "maybe"),
        ("LOG_FORMAT", "JSON"),
        ("RUST_LOG", "correio=loud"),
    ] {
        refused(variable, value);
    }
    let blocks = |variables| read(variables).unwrap().channels.block_private;
    assert_eq!(blocks(&[("WEBHOOK_BLOCK_PRIVATE", "true")]), Some(true), "the former name");
    assert_eq!(blocks(&[("CHANNELS_BLOCK_PRIVATE", "false")]), Some(false));
    assert_eq!(blocks(&[("CHANNELS_BLOCK_PRIVATE", "true"), ("WEBHOOK_BLOCK_PRIVATE", "true")]), Some(true));
    let both = read(&[("CHANNELS_BLOCK_PRIVATE", "true"), ("WEBHOOK_BLOCK_PRIVATE", "false")]);
    assert_eq!(both.unwrap_err().variable, "WEBHOOK_BLOCK_PRIVATE");
    let share = |variables| read(variables).unwrap().delivery.instance_concurrency;
    let of_workers = |workers| read(&[("WORKER_CONCURRENCY", workers)]).unwrap().delivery.instance_concurrency;
    assert_eq!([share(&[]), of_workers("40"), of_workers("3")], [16, 10, 1], "a quarter");
    assert_eq!(share(&[("WORKER_CONCURRENCY", "3"), ("INSTANCE_CONCURRENCY", "9")]), 9);
    assert_eq!(read(&[("RETRY_BACKOFF", "0s, 300ms")]).unwrap().delivery.retry_backoff.len(), 2);
    assert_eq!(read(&[("NODE_TIMEOUT", "1s")]).unwrap().delivery.node_timeout, Duration::from_secs(1));
}

#[test]
fn log_directives_may_have_spaces_around_them() {
    assert_eq!(read(&[("RUST_LOG", " info, correio=debug ")]).unwrap().logs.filter, "info,correio=debug");
    let _ = read(&[("RUST_LOG", "\u{b}a¡=")]);
}

#[test]
fn durations_have_one_number_and_one_unit() {
    for (text, milliseconds) in [
        ("300ms", 300),
        ("15s", 15_000),
        ("5m", 300_000),
        ("24h", 86_400_000),
        ("90d", 7_776_000_000),
        ("2w", 1_209_600_000),
        ("0s", 0),
    ] {
        assert_eq!(values::duration(text), Ok(Duration::from_millis(milliseconds)));
    }
    for text in [
        "15",
        "1s 2s",
        "-1s",
        "+1s",
        "1.5s",
        "s",
        "1S",
        "1D",
        "1y",
        "367d",
        " 1s",
        "1s ",
        "1 s",
        "9000h",
        "99999999999999999999s",
        "١s",
    ] {
        assert!(values::duration(text).is_err(), "{text}");
    }
}

#[test]
fn messages_are_kept_for_ever_or_for_a_day_or_longer() {
    assert_eq!(read(&[]).unwrap().storage.retention, None);
    for (text, hours) in [("24h", 24), ("36h", 36), ("1d", 24), ("90d", 90 * 24), ("2w", 14 * 24), ("800d", 800 * 24)] {
        let retention = read(&[("MESSAGE_RETENTION", text)]).unwrap().storage.retention;
        assert_eq!(retention, Some(Duration::from_secs(hours * 3_600)), "{text}");
    }
    for text in ["23h", "0d", "90", "3661d", "99999999999999999999d", "for ever"] {
        let refusal = refused("MESSAGE_RETENTION", text).to_string();
        assert!(refusal.contains("must be"), "{text}: {refusal}");
    }
}

#[test]
fn credentials_keys_are_32_bytes_each() {
    let padded = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let keys = format!("{padded}, {}", padded.trim_end_matches('='));
    let keys = read(&[("CREDENTIALS_KEY", &keys)]).unwrap().storage.credentials_keys.unwrap();
    assert_eq!(keys, vec![std::array::from_fn(|index| index as u8); 2]);
    for text in ["aHVzaA==", "not base64 at all", &format!("{padded},")] {
        assert!(!refused("CREDENTIALS_KEY", text).to_string().contains("aHVz"));
    }
}

#[test]
fn keys_and_secrets_have_to_be_long_enough() {
    refused("JWT_SECRET", &"x".repeat(31));
    assert_eq!(read(&[("JWT_SECRET", &"é".repeat(16))]).unwrap().access.jwt.secret.unwrap().len(), 32);
    refused("BOOTSTRAP_API_KEY", &"x".repeat(31));
    refused("BOOTSTRAP_API_KEY", &"x ".repeat(32));
    refused("BOOTSTRAP_API_KEY", &format!("{}.a.b", "x".repeat(32)));
    assert!(read(&[("BOOTSTRAP_API_KEY", &"x".repeat(32))]).unwrap().access.bootstrap_api_key.is_some());
}

#[test]
fn a_public_key_is_text_or_a_file() {
    let escaped = r"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    let plain = escaped.replace("\\n", "\n");
    let key = |text: &str| read(&[("JWT_PUBLIC_KEY", text)]).unwrap().access.jwt.public_key.unwrap();
    assert_eq!(key(escaped), plain);
    let file = std::env::temp_dir().join(format!("correio-{}.pem", uuid::Uuid::new_v4()));
    std::fs::write(&file, &plain).unwrap();
    assert_eq!(key(file.to_str().unwrap()), plain);
    std::fs::remove_file(&file).unwrap();
    refused("JWT_PUBLIC_KEY", file.to_str().unwrap());
    refused("JWT_PUBLIC_KEY", "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----");
    refused("JWT_PUBLIC_KEY", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----");
}

#[test]
fn a_key_set_is_found_over_http() {
    assert!(read(&[("JWT_JWKS_URL", "https://id.example.com/jwks.json")]).is_ok());
    refused("JWT_JWKS_URL", "file:///etc/keys");
    refused("JWT_JWKS_URL", "id.example.com/jwks.json");
}

#[test]
fn a_split_role_needs_what_can_be_shared() {
    let (postgres, enabled) = (("DATABASE_URL", "postgres://db/correio"), ("KAFKA_ENABLED", "true"));
    let embedded_broker = ("KAFKA_BROKERS", "embedded");
    for (values, refused_for) in [
        (vec![], Some("DATABASE_URL")),
        (vec![enabled], Some("DATABASE_URL")),
        (vec![postgres], Some("KAFKA_ENABLED")),
        (vec![postgres, embedded_broker], Some("KAFKA_ENABLED")),
        (vec![postgres, enabled, embedded_broker], Some("KAFKA_BROKERS")),
        (vec![postgres, enabled], None),
    ] {
        let config = read(&values).unwrap();
        config.require_queue_role(Role::All).unwrap();
        for role in [Role::Api, Role::Worker] {
            let refused = config.require_queue_role(role).err().map(|error| error.variable);
            assert_eq!(refused, refused_for, "{values:?}");
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
        }
    }
    assert!("both".parse::<Role>().is_err());
}

fn any_variable() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(variables().collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn no_error_quotes_a_value(variable in any_variable(), (before, after) in ("\\PC{0,40}", "\\PC{0,40}")) {
        let value = format!("{before}hush{after}");
        for enabled in ["false", "true"] {
            if let Err(error) = read(&[(variable, &value), ("KAFKA_ENABLED", enabled)]) {
                prop_assert!(!error.to_string().contains("hush"), "{}", error);
            }
        }
    }

    #[test]
    fn no_value_of_any_variable_panics(variable in any_variable(), value in ".*") {
        let _ = read(&[(variable, &value)]);
        let _ = read(&[("KAFKA_ENABLED", "true"), (variable, &value)]);
    }

    #[test]
    fn a_duration_is_its_number_times_its_unit(count in 0..8_000u64) {
        prop_assert_eq!(values::duration(&format!("{count}h")), Ok(Duration::from_secs(count * 3600)));
    }
}
