//! `.env.example` and `docs/configuration.md`, as the table of settings gives them. To rewrite them:
//!
//!     UPDATE_DOCS=1 cargo test --lib config

use std::path::Path;

use super::sections::SECTIONS;
use super::setting::{Entry, Section, WhenUnset};

/// Columns of running text.
const WIDTH: usize = 120;

const EXAMPLE_HEAD: &str = "\
# Configuration of Correio. Copy this file to `.env`, or set the variables in the environment, which wins.
# Each variable is commented out and shows its default or an example. docs/configuration.md has the same list as tables.
# Put values with `$`, `#` or spaces into 'single quotes' here, and not where `docker run --env-file` reads them. Durations: 300ms, 15s, 5m, 24h, 90d, 2w.
";

const PAGE_HEAD: &str = "\
# Configuration

<!-- Generated from the settings in src/infrastructure/config/sections: UPDATE_DOCS=1 cargo test --lib config -->

Correio reads its configuration once, at start, from environment variables and from the file `.env` in the working
directory. [`.env.example`](../.env.example) lists the same settings in a form to copy.

- **Precedence.** The environment wins over `.env`.
- **Empty values** count as unset, and the default applies. An empty variable in the environment also takes back what
  `.env` sets.
- **Spaces and line breaks** at the ends of a value are no part of it, also of a secret. A value in quotes is refused, by its name: a
  shell and `.env` take them off, `docker run --env-file` does not. So is `~` at the beginning of a path, which only a shell knows.
- **`.env`** has one `NAME=value` a line. Values with `$`, `#` or spaces need 'single quotes'. Of several lines for one
  variable, the first counts.
- **Durations** are one number and one unit: `300ms`, `15s`, `5m`, `24h`, `90d`, `2w`.
- **Switches** are `true` or `false`.
- **Errors.** A value that Correio cannot use stops the start with exit status 1 and one line on standard error, which
  names the variable and says what is wrong: `correio: NODE_TIMEOUT: must be at least 1s`. The line never quotes a
  secret; a line of `.env` that cannot be read is named by its number.
- **Unknown names** are ignored: a misspelt name has no effect.
";

fn example() -> String {
    let mut text = EXAMPLE_HEAD.to_owned();
    for Section { title, about, settings } in SECTIONS {
        text += &format!("\n# --- {title} ---\n");
        if !about.is_empty() {
            text += &format!("\n{}", wrapped(about, "#"));
        }
        for Entry { name, when_unset, example, about } in *settings {
            let default = match when_unset {
                WhenUnset::Value(_) | WhenUnset::Words("") => String::new(),
                WhenUnset::Words(words) => format!(" Default: {words}."),
            };
            text += &format!("\n{}# {name}={example}\n", wrapped(&format!("{about}{default}"), "#"));
        }
    }
    text
}

/// Lines of at most [`WIDTH`] columns, each behind `mark`.
fn wrapped(text: &str, mark: &str) -> String {
    let mut lines = vec![mark.to_owned()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let longer = format!("{} {word}", lines[last]);
        if longer.trim_start().chars().count() <= WIDTH {
            lines[last] = longer.trim_start().to_owned();
        } else {
            lines.push(format!("{mark} {word}").trim_start().to_owned());
        }
    }
    lines.join("\n") + "\n"
}

fn page() -> String {
    let mut text = PAGE_HEAD.to_owned();
    for Section { title, about, settings } in SECTIONS {
        text += &format!("\n## {title}\n\n");
        if !about.is_empty() {
            text += &format!("{}\n", wrapped(about, ""));
        }
        text += "| variable | default | what it is |\n|---|---|---|\n";
        for Entry { name, when_unset, about, .. } in *settings {
            let default = match when_unset {
                WhenUnset::Value("") => "empty".to_owned(),
                WhenUnset::Words("") => "none".to_owned(),
                WhenUnset::Value(value) => format!("`{value}`"),
                WhenUnset::Words(words) => (*words).to_owned(),
            };
            text += &format!("| `{name}` | {default} | {about} |\n");
        }
    }
    text
}

/// Holds a file of the repository against its text, or writes it where `UPDATE_DOCS=1`.
fn hold(file: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var("UPDATE_DOCS").is_ok_and(|value| value == "1") {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = (1..).zip(found.lines().zip(expected.lines())).find(|(_, (found, expected))| found != expected);
    let line = differs.map_or(1 + found.lines().count().min(expected.lines().count()), |(line, _)| line);
    assert!(
        found == expected,
        "{file} differs from the table of settings in line {line}; `UPDATE_DOCS=1 cargo test --lib config` writes it"
    );
}

#[test]
fn the_example_is_what_the_settings_say() {
    hold(".env.example", &example());
}

#[test]
fn the_page_for_operators_is_what_the_settings_say() {
    hold("docs/configuration.md", &page());
}

#[test]
fn what_is_said_about_a_setting_fits_into_a_table_and_is_whole_sentences() {
    for entry in SECTIONS.iter().flat_map(|section| section.settings) {
        assert!(entry.about.ends_with('.') && !entry.about.contains(['\n', '|']), "{}", entry.name);
        assert!(!entry.about.contains("  "), "{}", entry.name);
    }
}
