//! Every file, folder and heading that a page names exists.

use std::fs;
use std::path::{Path, PathBuf};

use super::documented_commands::{pages, root};

/// What a reader is asked to make.
const TO_BE_MADE: [&str; 2] = ["src/infrastructure/channels/ntfy.rs", "tests/channels/ntfy.rs"];

#[test]
fn every_path_and_link_of_a_page_leads_somewhere() {
    let known = everything();
    let mut wrong = Vec::new();
    for page in pages().into_iter().filter(|page| !page.ends_with("CHANGELOG.md")) {
        let text = fs::read_to_string(&page).unwrap();
        let prose = prose(&text);
        let paths = paths(&prose).into_iter().filter(|path| !TO_BE_MADE.contains(path) && !is_known(path, &known));
        let links = links(&prose).into_iter().filter(|link| !leads_somewhere(link, &page));
        wrong.extend(paths.chain(links).map(|it| format!("{}: {it}", page.strip_prefix(root()).unwrap().display())));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn what_leads_nowhere_is_found() {
    let text = "`src/main.rs`, `a b.rs`, `Gone::new`, `src/gone.rs` [x](docs/tour.md#send) [y](docs/gone.md)\n```sh\n`c.rs`\n```\n";
    let prose = prose(text);
    assert_eq!(paths(&prose), ["src/main.rs", "src/gone.rs"]);
    assert_eq!(links(&prose), ["docs/tour.md#send", "docs/gone.md"]);
    let known = everything();
    assert!(
        is_known("src/main.rs", &known)
            && is_known("delivery/progress.rs", &known)
            && is_known("tests/faults/", &known)
    );
    assert!(!is_known("src/gone.rs", &known) && !is_known("ain.rs", &known) && !is_known("tests/gone/", &known));
    let page = root().join("README.md");
    assert!(leads_somewhere("docs/tour.md#send", &page) && leads_somewhere("https://example.org/gone", &page));
    assert!(!leads_somewhere("docs/gone.md", &page) && !leads_somewhere("docs/tour.md#gone", &page));
}

/// Without what is between fences.
fn prose(page: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    prose
}

/// What is written as code, and is a file or a folder by its looks.
fn paths(prose: &str) -> Vec<&str> {
    let is_path = |text: &&str| {
        let ends = [".rs", ".sql", ".md", "/"].iter().any(|end| text.ends_with(end)) && !text.starts_with('/');
        ends && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte))
    };
    prose.split('`').skip(1).step_by(2).filter(is_path).collect()
}

fn links(prose: &str) -> Vec<&str> {
    prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)).collect()
}

fn is_known(path: &str, known: &[String]) -> bool {
    known.iter().any(|it| it.strip_suffix(path).is_some_and(|before| before.is_empty() || before.ends_with('/')))
}

fn leads_somewhere(link: &str, page: &Path) -> bool {
    if link.starts_with("http://") || link.starts_with("https://") {
        return true;
    }
    let (file, heading) = link.split_once('#').map_or((link, None), |(file, heading)| (file, Some(heading)));
    let target = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
    let Some(heading) = heading else { return target.exists() };
    let text = fs::read_to_string(target).unwrap_or_default();
    text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading)
}

/// As GitHub names a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    text.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
}

/// All files and folders that pages name, folders with a slash at their end.
fn everything() -> Vec<String> {
    let mut found = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned(), "ARCHITECTURE.md".to_owned()];
    let mut folders: Vec<PathBuf> = ["src", "tests", "docs", "examples", "benches", "migrations", ".ci"]
        .iter()
        .map(|folder| root().join(folder))
        .collect();
    while let Some(folder) = folders.pop() {
        found.push(format!("{}/", folder.strip_prefix(root()).unwrap().display()));
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().display().to_string());
            }
        }
    }
    found
}
