//! Dependencies point inwards: the domain knows nothing but itself, the application nothing but the domain.

use std::path::{Path, PathBuf};

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

/// Names that say nothing of what a file holds.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"];

#[test]
fn the_domain_names_nothing_outside_of_it() {
    let forbidden: Vec<&str> = OUTSIDE.into_iter().chain(OUTSIDE_THE_DOMAIN).collect();
    assert_eq!(named_under("src/domain", &forbidden), Vec::<String>::new());
}

#[test]
fn the_application_names_nothing_outside_of_it() {
    assert_eq!(named_under("src/application", &OUTSIDE), Vec::<String>::new());
}

#[test]
fn every_file_is_called_after_what_it_holds() {
    let offenders: Vec<PathBuf> = sources("src").into_iter().filter(|path| has_an_empty_name(path)).collect();
    assert_eq!(offenders, Vec::<PathBuf>::new());
}

#[test]
fn the_check_sees_what_is_named_in_code_and_only_that() {
    let planted = [
        ("use tokio::sync::Mutex;", Some("tokio")),
        ("    let pool: sqlx::SqlitePool = open();", Some("sqlx")),
        ("use crate::{domain::text, infrastructure};", Some("infrastructure")),
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
    assert_eq!(named("fn a() {}\n\nuse moka::Cache;", &forbidden), [(3, "moka")]);
}

#[test]
fn the_check_sees_an_empty_name() {
    for path in ["src/utils.rs", "src/http/helpers/mod.rs", "src/queue_manager.rs", "src/Common.rs"] {
        assert!(has_an_empty_name(Path::new(path)), "{path}");
    }
    assert!(!has_an_empty_name(Path::new("src/domain/message/mod.rs")));
}

fn named_under(folder: &str, forbidden: &[&'static str]) -> Vec<String> {
    let files = sources(folder);
    assert!(!files.is_empty(), "nothing to check in {folder}");
    let mut found = Vec::new();
    for path in files {
        let source = std::fs::read_to_string(&path).unwrap();
        let names = named(&source, forbidden).into_iter();
        found.extend(names.map(|(line, name)| format!("{}:{line} names {name}", path.display())));
    }
    found
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

fn has_an_empty_name(path: &Path) -> bool {
    path.iter().any(|part| {
        let name = part.to_string_lossy().to_lowercase();
        let name = name.trim_end_matches(".rs");
        name.split('_').any(|word| EMPTY_NAMES.contains(&word))
    })
}

/// Every Rust file under a folder of the crate, with its path inside of it.
fn sources(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
