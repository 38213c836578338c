use std::collections::BTreeMap;

use serde_json::Value;

use super::stage::Stage;

/// What is stored of a message.
pub struct Row {
    pub status: String,
    /// Tries begun since it was accepted, and ever.
    pub retries: i64,
    pub tries: i64,
    pub max_retries: i64,
    /// How its tries ended, as far as that was recorded.
    pub outcomes: Vec<String>,
}

/// Every message that is stored, by its id.
pub async fn rows(stage: &Stage) -> BTreeMap<String, Row> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let number = |row: &Value, name: &str| row[name].as_i64().unwrap();
    let found = stage.api.sql("select id, status, retries, max_retries, try from messaging_messages").await;
    let mut rows: BTreeMap<String, Row> = found
        .iter()
        .map(|row| {
            let read = Row {
                status: text(row, "status"),
                retries: number(row, "retries"),
                tries: number(row, "try"),
                max_retries: number(row, "max_retries"),
                outcomes: Vec::new(),
            };
            (text(row, "id"), read)
        })
        .collect();
    for attempt in stage.api.sql("select message_id, outcome from messaging_message_attempts").await {
        if let Some(row) = rows.get_mut(attempt["message_id"].as_str().unwrap()) {
            row.outcomes.push(text(&attempt, "outcome"));
        }
    }
    rows
}
