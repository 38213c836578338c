//! What stands between the fences of a page.

/// A fenced block.
#[derive(Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// `sh`, `json`, ...
    pub language: &'a str,
    pub text: String,
    /// Where its fence is.
    pub line: usize,
}

pub fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut open: Option<Block<'_>> = None;
    for (index, line) in page.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some(Block { language, text: String::new(), line: index + 1 }),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block that is not closed: {open:?}");
    found
}

/// The commands of a shell block, each split into its words as `sh` would, without comments.
pub fn commands(script: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut lines = String::new();
    for line in script.lines() {
        let goes_on = line.strip_suffix('\\');
        lines.push_str(goes_on.unwrap_or(line));
        lines.push('\n');
        // Else it goes on within quotes.
        if let Some(words) = shlex::split(&lines).filter(|_| goes_on.is_none()) {
            commands.extend(Some(words).filter(|words| !words.is_empty()));
            lines.clear();
        }
    }
    assert!(lines.is_empty(), "a command that does not end: {lines}");
    commands
}

#[test]
fn blocks_are_found_with_their_language() {
    let page = "a\n```sh\nb\n\nc\n```\n1. d\n\n   ```json\n   {}\n   ```\n";
    let sh = Block { language: "sh", text: "b\n\nc\n".to_owned(), line: 2 };
    let json = Block { language: "json", text: "   {}\n".to_owned(), line: 9 };
    assert_eq!(blocks(page), [sh, json]);
}

#[test]
fn commands_go_on_over_lines() {
    let script = "# nothing\nA=1 cargo run   # why\ncurl -d '{\"a\": 1,\n \"b\": 2}' \\\n  \"http://x/?a&b\"\n\nb\n";
    let expected: [&[&str]; 3] =
        [&["A=1", "cargo", "run"], &["curl", "-d", "{\"a\": 1,\n \"b\": 2}", "http://x/?a&b"], &["b"]];
    assert_eq!(commands(script), expected);
}
