//! Tables that events are written to: which columns, and what stands in them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::domain::half_pairs::marked;
use crate::domain::json_members::{member, members};

/// Which tables there are, by the entity that they are for, beside the log of all events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TablePlan {
    pub tables: BTreeMap<String, PlannedTable>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedTable {
    pub columns: Vec<String>,
    pub values: ValueStyle,
}

/// How a value stands in its column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueStyle {
    /// As JSON: a text with its quotes, null as the text `null`.
    #[default]
    Json,
    /// A text as it is, null as NULL.
    Plain,
}

/// What the tables have of their own, whatever is configured.
pub const OWN_COLUMNS: [&str; 5] = ["auto_id", "event_id", "event", "empresa", "deleted"];

/// A row of the log of all events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    pub event: String,
    pub entity: String,
    pub payload: String,
    pub empresa: String,
    pub delivery_status: &'static str,
    pub processing_time_ms: i32,
}

/// A row of the table of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityRow {
    pub entity: String,
    pub event: String,
    pub empresa: String,
    pub deleted: bool,
    /// By the names of its columns.
    pub values: Vec<(String, Option<String>)>,
}

impl TablePlan {
    /// The row of an event, if its entity has a table. `body` has the members of what was reported, as they came: a value that
    /// cannot be looked into keeps no other out.
    pub fn row(&self, entity: &str, action: &str, empresa: &str, body: &[(String, String)]) -> Option<EntityRow> {
        let table = self.tables.get(entity)?;
        let merged = merged(body);
        let value = |column: &String| found(&merged, column).and_then(|raw| styled(&raw, table.values));
        Some(EntityRow {
            entity: entity.to_owned(),
            event: action.to_owned(),
            empresa: empresa.to_owned(),
            deleted: matches!(action, "delete" | "deleted"),
            values: table.columns.iter().map(|column| (column.clone(), value(column))).collect(),
        })
    }
}

/// What is known of the object: what it was, what it is, and of what is said of the report what the object lacks.
fn merged(body: &[(String, String)]) -> BTreeMap<String, String> {
    let mut merged = BTreeMap::new();
    for part in ["previous", "current", "data"] {
        merged.extend(member(body, part).and_then(members).unwrap_or_default());
    }
    // Of two members of one name the last counts.
    let meta: BTreeMap<_, _> = member(body, "meta").and_then(members).unwrap_or_default().into_iter().collect();
    for (name, value) in meta {
        merged.entry(name).or_insert(value);
    }
    merged
}

/// A member of this name; or along the dots in it; or a custom field.
fn found(merged: &BTreeMap<String, String>, name: &str) -> Option<String> {
    merged.get(name).cloned().or_else(|| along_the_dots(merged, name)).or_else(|| custom_field(merged, name))
}

fn along_the_dots(merged: &BTreeMap<String, String>, name: &str) -> Option<String> {
    let (first, rest) = name.split_once('.')?;
    let inner: BTreeMap<_, _> = members(merged.get(first)?)?.into_iter().collect();
    inner.get(rest).cloned().or_else(|| along_the_dots(&inner, rest))
}

/// The CRM's second version wraps what its first version had as members of the object.
fn custom_field(merged: &BTreeMap<String, String>, name: &str) -> Option<String> {
    let fields = members(merged.get("custom_fields")?)?;
    let field = member(&fields, name)?;
    let wrapped = members(field).unwrap_or_default();
    let value = ["value", "id", "values"].iter().find_map(|name| member(&wrapped, name));
    Some(value.unwrap_or(field).to_owned())
}

fn styled(raw: &str, style: ValueStyle) -> Option<String> {
    let text = match (style, read(raw)) {
        (ValueStyle::Plain, Some(Value::Null)) => return None,
        (ValueStyle::Plain, Some(Value::String(text))) => text,
        (_, Some(value)) => value.to_string(),
        // What is too deep or too large to be looked into stands as it came.
        (_, None) => raw.to_owned(),
    };
    Some(text.replace('\0', ""))
}

/// Halves of surrogate pairs, which are no characters, are replaced.
fn read(raw: &str) -> Option<Value> {
    serde_json::from_str(raw).ok().or_else(|| serde_json::from_str(&marked(raw, "\\ufffd")?).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row(columns: &[&str], values: ValueStyle, action: &str, body: &Value) -> EntityRow {
        let columns = columns.iter().map(|column| (*column).to_owned()).collect();
        let plan = TablePlan { tables: [("deal".to_owned(), PlannedTable { columns, values })].into() };
        plan.row("deal", action, "Matriz", &members(&body.to_string()).unwrap()).unwrap()
    }

    fn values(row: EntityRow) -> Vec<Option<String>> {
        row.values.into_iter().map(|(_, value)| value).collect()
    }

    fn texts(expected: &[&str]) -> Vec<Option<String>> {
        expected.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn what_the_object_is_wins_over_what_it_was_and_over_what_is_said_of_it() {
        let body = json!({"data": {"id": 178, "stage_id": 12, "status": "open"}, "previous": {"stage_id": 11, "value": 5},
            "meta": {"id": "018f", "stage_id": 1, "company_id": "15747575"}});
        let row = row(&["id", "stage_id", "status", "value", "company_id"], ValueStyle::Json, "change", &body);
        assert_eq!(values(row), texts(&["178", "12", "\"open\"", "5", "\"15747575\""]));
    }

    #[test]
    fn the_first_versions_object_is_read_too_and_dots_lead_into_it() {
        let body = json!({"current": {"id": 21, "person_id": {"name": "João", "email": [{"value": "a@b"}]}, "org.name": "ACME"}, "meta": {}});
        let row = row(
            &["id", "person_id.name", "org.name", "person_id.phone", "nothing"],
            ValueStyle::Json,
            "updated",
            &body,
        );
        let mut expected = texts(&["21", "\"João\"", "\"ACME\""]);
        expected.extend([None, None]);
        assert_eq!(values(row), expected);
    }

    #[test]
    fn a_deleted_object_is_marked_and_has_what_it_was() {
        let body = json!({"data": null, "previous": {"id": 178, "title": null}, "meta": {}});
        let row = row(&["id", "title"], ValueStyle::Json, "delete", &body);
        assert!(row.deleted);
        assert_eq!(values(row), texts(&["178", "null"]));
    }

    #[test]
    fn plain_values_have_no_quotes_and_nulls_are_nulls() {
        let body = json!({"data": {"a": "open", "b": null, "c": 1.5, "d": {"e": [1]}, "f": true}, "meta": {}});
        let row = row(&["a", "b", "c", "d", "f"], ValueStyle::Plain, "change", &body);
        let mut expected = texts(&["open", "", "1.5", "{\"e\":[1]}", "true"]);
        expected[1] = None;
        assert_eq!(values(row), expected);
    }

    #[test]
    fn custom_fields_are_found_by_their_hashes() {
        let body = json!({"data": {"custom_fields": {"ab12": {"type": "varchar", "value": "x"}, "cd34": {"type": "enum", "id": 7},
            "ef56": null}}, "meta": {}});
        let row = row(&["ab12", "cd34", "ef56"], ValueStyle::Json, "change", &body);
        assert_eq!(values(row), texts(&["\"x\"", "7", "null"]));
    }

    #[test]
    fn a_value_that_cannot_be_looked_into_keeps_no_other_out() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let body = format!(
            "{{\"data\": {{\"id\": 1, \"half\": \"a\\ud83d\", \"deep\": {deep}, \"vast\": 1e400}}, \"meta\": {{}}}}"
        );
        let columns = ["id", "half", "deep", "vast"].map(str::to_owned).to_vec();
        for (values, half) in [(ValueStyle::Json, "\"a\u{fffd}\""), (ValueStyle::Plain, "a\u{fffd}")] {
            let plan =
                TablePlan { tables: [("deal".to_owned(), PlannedTable { columns: columns.clone(), values })].into() };
            let row = plan.row("deal", "change", "Matriz", &members(&body).unwrap()).unwrap();
            assert_eq!(self::values(row), texts(&["1", half, &deep, "1e400"]));
        }
    }

    #[test]
    fn an_entity_without_a_table_has_no_row() {
        let plan = TablePlan::default();
        assert_eq!(plan.row("deal", "added", "Matriz", &[]), None);
    }
}
