//! The file that says which tables there are, as the receiver before this one had it.

use std::path::Path;

use serde_json::{Map, Value};

use super::statements::LOG;
use crate::domain::event::table::{OWN_COLUMNS, PlannedTable, TablePlan, ValueStyle};

/// PostgreSQL cuts longer names, and two of them may then be one.
const LONGEST_NAME: usize = 63;

/// As many columns as either database takes in a row.
const MOST_COLUMNS: usize = 1_000;

/// # Errors
/// What is wrong with it, where.
pub fn read_plan(path: &Path) -> Result<TablePlan, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&text).map_err(|sentence| format!("{}: {sentence}", path.display()))
}

fn parse(text: &str) -> Result<TablePlan, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let tables = value.get("tables").and_then(Value::as_object);
    let tables = tables.ok_or_else(|| "has no object `tables`".to_owned())?;
    let mut plan = TablePlan::default();
    for (name, table) in tables {
        // The log of all events is there whatever is said of it.
        if name == LOG {
            continue;
        }
        let entity = name.strip_prefix("webhook_").filter(|entity| !entity.is_empty());
        let entity = entity.ok_or_else(|| format!("`{name}` must be called `webhook_` and an entity"))?;
        checked(name)?;
        plan.tables.insert(entity.to_owned(), planned(name, table)?);
    }
    Ok(plan)
}

fn planned(name: &str, table: &Value) -> Result<PlannedTable, String> {
    let columns = table.get("columns").and_then(Value::as_object);
    let columns = columns.ok_or_else(|| format!("`{name}` has no object `columns`"))?;
    let values = match table.get("values").map(Value::as_str) {
        None | Some(Some("json")) => ValueStyle::Json,
        Some(Some("plain")) => ValueStyle::Plain,
        Some(_) => return Err(format!("`values` of `{name}` must be \"json\" or \"plain\"")),
    };
    Ok(PlannedTable { columns: wanted(name, columns)?, values })
}

/// Those that are filled from the report: each is a text, whatever type it is given.
fn wanted(table: &str, columns: &Map<String, Value>) -> Result<Vec<String>, String> {
    let is_own = |column: &&String| !OWN_COLUMNS.contains(&column.as_str());
    let wanted: Vec<String> = columns.keys().filter(is_own).cloned().collect();
    if wanted.len() > MOST_COLUMNS {
        return Err(format!("`{table}` has more than {MOST_COLUMNS} columns"));
    }
    wanted.iter().try_for_each(|column| checked(column))?;
    Ok(wanted)
}

fn checked(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
        return Err(format!("`{name}` must have 1 to {LONGEST_NAME} bytes, and no control characters"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_former_receivers_file_is_read() {
        let plan = parse(
            r#"{"tables": {"webhook_deal": {"columns": {"id": "TEXT", "person_id.name": "TEXT", "event": "TEXT",
                "created_at": "TIMESTAMP DEFAULT CURRENT_TIMESTAMP", "Empresa": "TEXT"}},
                "webhook_person": {"values": "plain", "columns": {"name": "TEXT"}},
                "webhook_full_log": {"columns": {"event": "TEXT"}}}}"#,
        )
        .unwrap();
        assert_eq!(plan.tables["deal"].columns, ["id", "person_id.name", "created_at", "Empresa"]);
        assert_eq!(plan.tables["deal"].values, ValueStyle::Json);
        assert_eq!(plan.tables["person"].values, ValueStyle::Plain);
        assert_eq!(plan.tables.len(), 2);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let long = format!(r#"{{"tables": {{"webhook_deal": {{"columns": {{"{}": "TEXT"}}}}}}}}"#, "x".repeat(64));
        for (text, part) in [
            ("{", "line 1"),
            ("{}", "`tables`"),
            (r#"{"tables": {"deal": {"columns": {}}}}"#, "`deal`"),
            (r#"{"tables": {"webhook_": {"columns": {}}}}"#, "`webhook_`"),
            (r#"{"tables": {"webhook_deal": {}}}"#, "`columns`"),
            (r#"{"tables": {"webhook_deal": {"values": "sql", "columns": {}}}}"#, "`values`"),
            (long.as_str(), "63 bytes"),
        ] {
            let sentence = parse(text).unwrap_err();
            assert!(sentence.contains(part), "{text}: {sentence}");
        }
    }
}
