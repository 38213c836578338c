//! `docs/extending/channel.md` shows the example channel and its test as they stand here. `UPDATE_DOCS=1` writes them into
//! the page.

use std::fs;
use std::path::Path;

const PAGE: &str = "docs/extending/channel.md";

#[test]
fn the_page_shows_the_channel_that_is_compiled_and_tested() {
    let page = read(PAGE);
    let shown = with_example(&with_example(&page, "channel", &channel()), "contract", &contract());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE), &shown).unwrap();
        return;
    }
    assert_eq!(page, shown, "{PAGE} shows another example than tests/channels: UPDATE_DOCS=1 cargo test ntfy_page");
}

#[test]
fn a_page_that_shows_something_else_is_noticed() {
    let page = "a\n<!-- example: x -->\n```rust\nold();\n```\n<!-- end of example -->\nb\n";
    let expected = "a\n<!-- example: x -->\n```rust\nnew();\n```\n<!-- end of example -->\nb\n";
    assert_eq!(with_example(page, "x", "new();\n"), expected);
    assert_eq!(with_example(expected, "x", "new();\n"), expected);
}

/// As it stands in `src/infrastructure/channels/ntfy.rs`.
fn channel() -> String {
    read("tests/channels/ntfy_example.rs").replace("use correio::", "use crate::")
}

/// The suite's test, with what it imports, as it stands in `tests/channels/ntfy.rs`.
fn contract() -> String {
    let whole = read("tests/channels/ntfy_contract.rs");
    let start = whole.find("const TOKEN").unwrap();
    let end = start + whole[start..].find("\n}\n").unwrap() + "\n}\n".len();
    format!(
        "use correio::infrastructure::channels::NtfySender;\nuse serde_json::json;\n\n\
         use super::{{PATIENCE, clock, delivery, text}};\n\
         use crate::contracts::delivery::channel_sender::{{ChannelUnderTest, prove}};\n\
         use crate::support::http_receiver::Answer;\n\n{}",
        &whole[start..end]
    )
}

/// The page with this code between the markers of that name.
fn with_example(page: &str, name: &str, code: &str) -> String {
    let begin = format!("<!-- example: {name} -->\n");
    let start = page.find(&begin).unwrap_or_else(|| panic!("no {begin}")) + begin.len();
    let end = start + page[start..].find("<!-- end of example -->").unwrap();
    format!("{}```rust\n{code}```\n{}", &page[..start], &page[end..])
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}
