//! The rows of a table in what `mysqldump` writes.

use std::iter::Peekable;
use std::str::Chars;

/// A value of a row; none for NULL.
pub type DumpedRow = Vec<Option<String>>;

/// The rows that a line of a dump inserts into this table, each with the names of its columns if the line names them. None of a
/// line that inserts nothing into it.
///
/// # Errors
/// When the line is not as `mysqldump` writes it.
pub fn inserted_rows(line: &str, table: &str) -> Option<Result<Inserted, Malformed>> {
    let rest = line.trim_start().strip_prefix("INSERT INTO ")?;
    let rest = rest.strip_prefix(&format!("`{table}`")).or_else(|| rest.strip_prefix(&format!("{table} ")))?;
    Some(read(rest))
}

#[derive(Debug, PartialEq, Eq)]
pub struct Inserted {
    pub columns: Option<Vec<String>>,
    pub rows: Vec<DumpedRow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not as mysqldump writes it")]
pub struct Malformed;

fn read(text: &str) -> Result<Inserted, Malformed> {
    let (before, values) = text.split_once("VALUES").ok_or(Malformed)?;
    let columns = before.trim().strip_prefix('(').map(|names| {
        let names = names.trim_end_matches(')').split(',');
        names.map(|name| name.trim().trim_matches('`').to_owned()).collect()
    });
    let mut rest = values.chars().peekable();
    let mut rows = Vec::new();
    loop {
        spaces(&mut rest);
        match rest.next() {
            Some('(') => rows.push(row(&mut rest)?),
            Some(',') => {}
            Some(';') | None => return Ok(Inserted { columns, rows }),
            Some(_) => return Err(Malformed),
        }
    }
}

fn spaces(rest: &mut Peekable<Chars<'_>>) {
    while rest.next_if(|character| character.is_whitespace()).is_some() {}
}

fn row(rest: &mut Peekable<Chars<'_>>) -> Result<DumpedRow, Malformed> {
    let mut row = Vec::new();
    loop {
        spaces(rest);
        row.push(value(rest)?);
        spaces(rest);
        match rest.next() {
            Some(',') => {}
            Some(')') => return Ok(row),
            _ => return Err(Malformed),
        }
    }
}

fn value(rest: &mut Peekable<Chars<'_>>) -> Result<Option<String>, Malformed> {
    if rest.next_if_eq(&'\'').is_some() {
        return text(rest).map(Some);
    }
    let mut bare = String::new();
    while let Some(character) = rest.next_if(|character| !",)".contains(*character)) {
        bare.push(character);
    }
    match bare.trim() {
        "" => Err(Malformed),
        "NULL" => Ok(None),
        // What stands before a text: its character set.
        bare => match bare.split_once('\'') {
            Some(_) => Err(Malformed),
            None => Ok(Some(bare.to_owned())),
        },
    }
}

/// After its first quote.
fn text(rest: &mut Peekable<Chars<'_>>) -> Result<String, Malformed> {
    let mut text = String::new();
    loop {
        match rest.next().ok_or(Malformed)? {
            '\'' if rest.next_if_eq(&'\'').is_some() => text.push('\''),
            '\'' => return Ok(text),
            '\\' => text.push(match rest.next().ok_or(Malformed)? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'b' => '\u{8}',
                '0' => '\0',
                'Z' => '\u{1a}',
                other => other,
            }),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(values: &[Option<&str>]) -> DumpedRow {
        values.iter().map(|value| value.map(str::to_owned)).collect()
    }

    #[test]
    fn rows_are_read_with_their_escapes() {
        let line = r#"INSERT INTO `webhook_full_log` VALUES (1,'added','deal','{\"a\": \"O\'Neil\\n\"}',NULL,-1.5),(2,'it''s','','\\',NULL,7);"#;
        let Inserted { columns, rows } = inserted_rows(line, "webhook_full_log").unwrap().unwrap();
        assert_eq!(columns, None);
        let first = [Some("1"), Some("added"), Some("deal"), Some("{\"a\": \"O'Neil\\n\"}"), None, Some("-1.5")];
        assert_eq!(rows, [texts(&first), texts(&[Some("2"), Some("it's"), Some(""), Some("\\"), None, Some("7")])]);
    }

    #[test]
    fn columns_may_be_named() {
        let line = "INSERT INTO `webhook_full_log` (`payload`, `event`) VALUES ('{}', 'added');";
        let inserted = inserted_rows(line, "webhook_full_log").unwrap().unwrap();
        assert_eq!(inserted.columns, Some(vec!["payload".to_owned(), "event".to_owned()]));
        assert_eq!(inserted.rows, [texts(&[Some("{}"), Some("added")])]);
    }

    #[test]
    fn other_lines_are_passed_over_and_broken_ones_refused() {
        for line in [
            "",
            "-- a comment",
            "INSERT INTO `webhook_deal` VALUES (1);",
            "CREATE TABLE `webhook_full_log` (",
            "UNLOCK TABLES;",
        ] {
            assert_eq!(inserted_rows(line, "webhook_full_log"), None, "{line}");
        }
        for line in [
            "INSERT INTO `t` VALUES (1",
            "INSERT INTO `t` VALUES ('a",
            "INSERT INTO `t` VALUES (,)",
            "INSERT INTO `t` 1",
        ] {
            assert_eq!(inserted_rows(line, "t"), Some(Err(Malformed)), "{line}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_line_holds_it_is_read_or_refused(line in "\\PC{0,60}") {
            let _ = inserted_rows(&format!("INSERT INTO `t` VALUES {line}"), "t");
        }
    }
}
