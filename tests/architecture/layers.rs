//! Which layer may name which.

use super::sources::{self, Sources};

/// What neither the domain nor the application may name.
const OUTSIDE: [&str; 11] = [
    "infrastructure",
    "presentation",
    "tokio",
    "axum",
    "sqlx",
    "reqwest",
    "rdkafka",
    "jsonwebtoken",
    "utoipa",
    "clap",
    "moka",
];

/// What the domain may not name either.
const OUTSIDE_THE_DOMAIN: [&str; 3] = ["application", "async_trait", "tracing"];

#[test]
fn the_domain_names_nothing_outside_of_it() {
    let forbidden: Vec<&str> = OUTSIDE.into_iter().chain(OUTSIDE_THE_DOMAIN).collect();
    assert_eq!(named_in(&sources::under(&["src/domain"]), &forbidden), Vec::<String>::new());
}

#[test]
fn the_application_names_nothing_outside_of_it() {
    assert_eq!(named_in(&sources::under(&["src/application"]), &OUTSIDE), Vec::<String>::new());
}

#[test]
fn the_http_api_names_no_adapter() {
    let found = named_in(&sources::under(&["src/presentation/http"]), &["infrastructure"]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_infrastructure_names_no_presentation() {
    let found = named_in(&sources::under(&["src/infrastructure"]), &["presentation"]);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn the_check_sees_what_is_named_in_code_and_only_that() {
    let planted = [
        ("use tokio::sync::Mutex;", Some("tokio")),
        ("    let pool: sqlx::SqlitePool = open();", Some("sqlx")),
        ("use crate::{domain::text, infrastructure};", Some("infrastructure")),
        ("use crate::infrastructure::config::MAX_TRIES;", Some("infrastructure")),
        ("    crate::presentation::cli::run();", Some("presentation")),
        ("let url = \"http://a\"; use axum::Json;", Some("axum")),
        ("#[tokio::test] // a comment", Some("tokio")),
        ("// use tokio::sync::Mutex;", None),
        ("/// The presentation of a message.", None),
        ("let representation = claps(tokio_like);", None),
        ("let kind = \"application/json\";", None),
    ];
    let forbidden: Vec<&str> = OUTSIDE.into_iter().chain(OUTSIDE_THE_DOMAIN).collect();
    for (line, expected) in planted {
        assert_eq!(named(line, &forbidden).first().map(|(_, name)| *name), expected, "{line}");
    }
    let planted = sources::planted(&[("src/a.rs", "fn a() {}\n\nuse moka::Cache;"), ("src/b.rs", "// moka")]);
    assert_eq!(named_in(&planted, &forbidden), ["src/a.rs:3 names moka"]);
}

fn named_in(sources: &Sources, forbidden: &[&'static str]) -> Vec<String> {
    let found = sources.iter().flat_map(|(path, source)| {
        let names = named(source, forbidden).into_iter();
        names.map(move |(line, name)| format!("{path}:{line} names {name}"))
    });
    found.collect()
}

/// The lines that name one of `forbidden`, outside of comments and texts.
fn named(source: &str, forbidden: &[&'static str]) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (index, line) in source.lines().enumerate() {
        let code = without_texts_and_comment(line);
        let words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        for word in words {
            found.extend(forbidden.iter().filter(|name| **name == word).map(|name| (index + 1, *name)));
        }
    }
    found
}

fn without_texts_and_comment(line: &str) -> String {
    let mut code = String::new();
    let mut letters = line.chars().peekable();
    let mut in_text = false;
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if in_text => _ = letters.next(),
            '"' => in_text = !in_text,
            '/' if !in_text && letters.peek() == Some(&'/') => break,
            _ if in_text => {}
            letter => code.push(letter),
        }
    }
    code
}
