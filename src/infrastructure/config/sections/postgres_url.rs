//! The URL of a PostgreSQL database, whose parameters either work or stop the start. The driver would pass over those that
//! it does not know, and write their values into the log. No sentence from here repeats a value.

use std::borrow::Cow;

use url::{Url, form_urlencoded};

use crate::infrastructure::config::values::Parsed;

/// Parameters that the driver uses, also under its own names.
const USED: [&str; 17] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// The variables of libpq that stand for parameters, where the URL says nothing of these. The driver passes over what it does not
/// understand of them, as over a `PGSSLMODE` that is misspelt.
const VARIABLES: [(&str, &str); 11] = [
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGHOST", "host"),
    ("PGHOSTADDR", "hostaddr"),
    ("PGPORT", "port"),
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGCLIENTENCODING", "client_encoding"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGSERVICE", "service"),
    ("PGSERVICEFILE", "servicefile"),
];

/// What becomes of a parameter.
enum Use {
    /// It is the driver's.
    Kept,
    /// It asks for what is done anyway.
    Fulfilled,
    /// The application's name, where nothing else gives it.
    Fallback,
}

/// The URL as the driver can take it.
pub fn postgres_url(text: &str) -> Parsed<String> {
    let has_name = std::env::var("PGAPPNAME").is_ok_and(|name| !name.is_empty());
    let url = url_for_driver(text, has_name)?;
    let variable = |name: &str| std::env::var(name).ok();
    refused_variable(text, variable).map_or(Ok(url), Err)
}

/// A sentence about a variable of the environment that asks for what cannot be had.
fn refused_variable(text: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let says = |parameter: &str| {
        url.query_pairs().any(|(name, _)| name == parameter || (parameter == "sslmode" && name == "ssl-mode"))
            || match parameter {
                "port" => url.port().is_some(),
                "host" | "hostaddr" => url.host_str().is_some_and(|host| !host.is_empty()),
                _ => false,
            }
    };
    VARIABLES.iter().filter(|(_, parameter)| !says(parameter)).find_map(|(name, parameter)| {
        let value = variable(name).filter(|value| !value.is_empty())?;
        let sentence = used(parameter, &value)?.err()?;
        let which = sentence.strip_prefix(&refused(parameter, "")).unwrap_or(&sentence).to_owned();
        Some(format!("is used with the environment variable `{name}`, which {which}"))
    })
}

/// `has_name`: the driver takes the application's name from elsewhere.
fn url_for_driver(text: &str, has_name: bool) -> Parsed<String> {
    let authority = text.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(rest));
    let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
    if hosts.contains(',') {
        return Err(one_host());
    }
    let mut url = Url::parse(text).map_err(|error| {
        format!("is not a valid URL: {error}; in a user name or password, `/`, `?`, `#`, `@`, `:` and `%` are written as `%2F`, `%3F`, `%23`, `%40`, `%3A` and `%25`")
    })?;
    // Such an `@` may be the end of a password: the driver would call another host, or another database. After a path it is more
    // often part of a value.
    let may_be_cut = !authority.contains('@') && url.query().is_some_and(|query| query.contains('@'));
    if (may_be_cut && url.path().is_empty()) || url.fragment().is_some() || url.path().contains('@') {
        return Err(
            "has `#`, or an `@` after its host; in a user name or password, `/`, `?`, `#` and `@` are written as \
             `%2F`, `%3F`, `%23` and `%40`"
                .to_owned(),
        );
    }
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    let (mut kept, mut fallback, mut is_changed) = (Vec::<(Cow<str>, Cow<str>)>::new(), None, false);
    for piece in url.query().unwrap_or_default().split('&') {
        let Some((name, value)) = form_urlencoded::parse(piece.as_bytes()).next() else { continue };
        match used(&name, &value) {
            None if may_be_cut || !piece.contains('=') => return Err(UNKNOWN.to_owned()),
            None => return Err(unknown(&name)),
            Some(found) => match found? {
                Use::Kept => kept.push((name, value)),
                Use::Fulfilled => is_changed = true,
                Use::Fallback => (fallback, is_changed) = (Some(value), true),
            },
        }
    }
    let has_name = has_name || kept.iter().any(|(name, value)| name == "application_name" && !value.is_empty());
    kept.extend(fallback.filter(|_| !has_name).map(|value| ("application_name".into(), value)));
    let has = |wanted: &str| kept.iter().any(|(name, _)| name == wanted);
    if has("hostaddr") && (has_host || has("host")) {
        return Err(refused("hostaddr", "cannot stand beside a host: give one of them"));
    }
    if !is_changed {
        return Ok(text.to_owned());
    }
    let kept: Vec<(String, String)> =
        kept.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    url.set_query(None);
    if !kept.is_empty() {
        url.query_pairs_mut().extend_pairs(kept);
    }
    Ok(url.into())
}

fn one_host() -> String {
    "has several hosts; Correio connects to one: give the address that leads to the server that can be written to"
        .to_owned()
}

/// None when it is not known.
///
/// # Errors
/// A sentence that names the parameter.
fn used(name: &str, value: &str) -> Option<Parsed<Use>> {
    let is = |accepted: &[&str]| accepted.iter().any(|it| value.eq_ignore_ascii_case(it));
    let only =
        |fulfilled: bool, otherwise: &str| if fulfilled { Ok(Use::Fulfilled) } else { Err(refused(name, otherwise)) };
    Some(match name {
        "sslmode" | "ssl-mode" if !is(&SSL_MODES) => {
            Err(refused(name, &format!("must be one of {}", SSL_MODES.map(|mode| format!("`{mode}`")).join(", "))))
        }
        "sslrootcert" | "ssl-root-cert" | "ssl-ca" if value == "system" => Err(refused(
            name,
            "must name a file; that of the machine's authorities is often `/etc/ssl/certs/ca-certificates.crt`",
        )),
        "host" if value.contains(',') => Err(one_host()),
        "hostaddr" if value.parse::<std::net::IpAddr>().is_err() => Err(refused(name, "must be one IP address")),
        "port" if value.parse::<u16>().is_err() => Err(refused(name, "must be one port, 1 to 65535")),
        "statement-cache-capacity" => match value.parse::<usize>() {
            Ok(_) => Ok(Use::Kept),
            Err(_) => Err(refused(name, "must be a whole number")),
        },
        _ if USED.contains(&name) || is_option(name) => Ok(Use::Kept),
        "fallback_application_name" => Ok(Use::Fallback),
        "target_session_attrs" => only(
            is(&["any", "read-write", "primary"]),
            "must be `read-write`, `primary` or `any`: Correio has to write",
        ),
        "connect_timeout" => only(
            value.parse::<i64>().is_ok_and(|seconds| seconds <= 0 || seconds >= 5),
            "must be a number of seconds, 5 or more: Correio gives up after 5 s",
        ),
        "client_encoding" => only(is(&["utf8", "utf-8", "auto"]), "must be `UTF8`"),
        "channel_binding" => only(is(&["disable", "prefer"]), "cannot be required: channel binding is not supported"),
        "gssencmode" => only(is(&["disable", "prefer"]), "cannot be required: GSSAPI is not supported"),
        "sslcompression" => only(value == "0", "must be `0`: compression is not supported"),
        "sslsni" => only(value == "1", "must be `1`: the server's name is always sent"),
        "keepalives" | "keepalives_idle" | "keepalives_interval" | "keepalives_count" | "tcp_user_timeout" => {
            Err(refused(name, "is not supported and not needed: Correio gives up on a server that is silent for 10 s"))
        }
        "sslpassword" => Err(refused(name, "is not supported: `sslkey` must name a key that is not encrypted")),
        "service" | "servicefile" => Err(refused(name, "is not supported: write what the service names into the URL")),
        "passfile" => Err(refused(name, "is not supported: the environment variable `PGPASSFILE` names such a file")),
        _ => return None,
    })
}

/// The driver's own way to write `options`: `options[search_path]=correio`.
fn is_option(name: &str) -> bool {
    name.strip_prefix("options[").and_then(|name| name.strip_suffix(']')).is_some_and(is_name)
}

/// Anything else may be a piece of a password.
fn is_name(text: &str) -> bool {
    text.len() <= 40
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

fn refused(name: &str, sentence: &str) -> String {
    format!("has the parameter `{name}`, which {sentence}")
}

const UNKNOWN: &str = "has a parameter that is not known; a `?` or `&` in a password is written as `%3F` or `%26`";

/// The sentence about a parameter that is not known.
pub fn unknown(name: &str) -> String {
    if is_name(name) { refused(name, "is not known, or not supported") } else { UNKNOWN.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sqlx::postgres::{PgConnectOptions, PgSslMode};

    use super::*;
    use crate::log_lines::written;

    const BASE: &str = "postgres://correio:hush@db.example:6432/messages";

    fn with(query: &str) -> Parsed<String> {
        postgres_url(&format!("{BASE}?{query}"))
    }

    fn options(url: &str) -> PgConnectOptions {
        url.parse().unwrap()
    }

    #[test]
    fn a_variable_that_the_driver_would_pass_over_stops_the_start() {
        let with = |url: &str, name: &str, value: &str| {
            refused_variable(url, |asked| (asked == name).then(|| value.to_owned()))
        };
        for (name, value) in [
            ("PGSSLMODE", "verify_full"),
            ("PGPORT", "abc"),
            ("PGTARGETSESSIONATTRS", "standby"),
            ("PGSERVICE", "production"),
            ("PGHOST", "a,b"),
        ] {
            let sentence = with("postgres:///messages", name, value).unwrap();
            assert!(sentence.contains(name) && !sentence.contains(value), "{sentence}");
        }
        assert_eq!(with("postgres://db/messages?sslmode=require", "PGSSLMODE", "verify_full"), None, "the URL decides");
        assert_eq!(with("postgres://db:5432/messages", "PGPORT", "abc"), None);
        assert_eq!(with("postgres://db/messages", "PGSSLMODE", "verify-full"), None);
        assert_eq!(with("postgres://db/messages", "PGTARGETSESSIONATTRS", "read-write"), None);
    }

    #[test]
    fn parameters_that_work_reach_the_driver() {
        let url = with(
            "sslmode=verify-full&sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem&application_name=correio%201&options=-c%20search_path%3Dx",
        );
        let options = options(&url.unwrap());
        assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
        assert_eq!(options.get_application_name(), Some("correio 1"));
        assert_eq!(options.get_options(), Some("-c search_path=x"));
        assert_eq!((options.get_host(), options.get_port()), ("db.example", 6432));
    }

    #[test]
    fn what_is_done_anyway_is_fulfilled_and_nothing_is_written_into_the_log() {
        let given = "target_session_attrs=read-write&connect_timeout=10&client_encoding=UTF8&channel_binding=prefer&gssencmode=disable";
        assert_eq!(with(given), Ok(BASE.to_owned()));
        let url = with(&format!("{given}&fallback_application_name=correio&options[search_path]=x")).unwrap();
        assert_eq!(options(&url).get_application_name(), Some("correio"));
        assert_eq!(written(|| drop(options(&url))), Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_used_is_named_and_its_value_is_not_told() {
        let refused = [
            "passwrod",
            "sslpassword",
            "keepalives",
            "keepalives_idle",
            "keepalives_interval",
            "keepalives_count",
            "tcp_user_timeout",
            "connect_timeout",
            "target_session_attrs",
            "channel_binding",
            "gssencmode",
            "client_encoding",
            "passfile",
            "service",
            "hostaddr",
            "port",
            "sslmode",
            "sslcrl",
            "sslcompression",
            "sslsni",
            "requirepeer",
            "load_balance_hosts",
            "statement-cache-capacity",
        ];
        for name in refused {
            let sentence = with(&format!("sslmode=disable&{name}=s3cr3t")).unwrap_err();
            assert!(sentence.contains(&format!("`{name}`")) && !sentence.contains("s3cr3t"), "{sentence}");
        }
        for (name, value) in [("connect_timeout", "2"), ("target_session_attrs", "standby"), ("sslrootcert", "system")]
        {
            assert!(with(&format!("{name}={value}")).unwrap_err().contains(name));
        }
        assert!(with("hostaddr=10.0.0.1").unwrap_err().contains("hostaddr"));
        assert!(postgres_url("postgres:///messages?hostaddr=10.0.0.1").is_ok());
    }

    #[test]
    fn a_password_that_is_not_encoded_is_noticed_and_not_told() {
        for url in [
            "postgres://u:12?hush@host/db",
            "postgres://u:12#hush@host/db",
            "postgres://u:12/hush@host/db",
            "postgres://u:hush#x@host/db",
            "postgres://u:p?hush@host/db",
            "postgres://u:hush@a:1,b:2/db",
            "postgres://u:hush@a,b/db",
            "postgres://u:hush@a/db?host=a,b",
            "postgres://u:12/3?hush@host/db",
            "postgres://u:12/3?hush=x@host/db",
            "postgres://host/db?user=u&password=abc&hush",
        ] {
            let sentence = postgres_url(url).unwrap_err();
            assert!(!sentence.contains("hush"), "{url}: {sentence}");
        }
        let odd = "postgresql://us%2Fer:p%40ss%3F%23%2F%25w@host/db";
        let options = options(&postgres_url(odd).unwrap());
        assert_eq!((options.get_username(), options.get_host(), options.get_database()), ("us/er", "host", Some("db")));
        assert!(postgres_url("postgres://u:p@ss@host/db").is_ok(), "the last `@` ends a password");
        assert!(postgres_url("postgres://%2Fvar%2Frun%2Fpostgresql/db?user=correio").is_ok(), "a socket");
        for url in [
            "postgresql:///db?host=/cloudsql/p:r:i&user=sa@proj.iam",
            "postgres://db.example/messages?user=correio@srv&password=x",
        ] {
            assert_eq!(postgres_url(url), Ok(url.to_owned()), "an `@` in a value");
        }
    }

    #[test]
    fn the_fallback_of_the_applications_name_yields_to_every_other() {
        let named = |query: &str, has_name| {
            let url = url_for_driver(&format!("{BASE}?{query}"), has_name).unwrap();
            options(&url).get_application_name().map(str::to_owned)
        };
        assert_eq!(named("fallback_application_name=b", false).as_deref(), Some("b"));
        for query in
            ["application_name=a&fallback_application_name=b", "fallback_application_name=b&application_name=a"]
        {
            assert_eq!(named(query, false).as_deref(), Some("a"), "{query}");
        }
        assert_eq!(
            url_for_driver(&format!("{BASE}?fallback_application_name=b"), true),
            Ok(BASE.to_owned()),
            "PGAPPNAME"
        );
    }

    proptest! {
        #[test]
        fn a_value_is_never_told(name in "[a-z_]{0,12}", value in "[QXZ]{9}") {
            if let Err(sentence) = with(&format!("{name}={value}")) {
                prop_assert!(!sentence.contains(&value));
            }
            let piece = with(&format!("password=abc&{value}")).unwrap_err();
            prop_assert!(!piece.contains(&value));
        }
    }
}
