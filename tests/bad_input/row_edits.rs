//! What somebody may write into a message's row: every combination of state and null, and in every column what it should not
//! hold. What the schema refuses is refused.

use fastrand::Rng;

/// A column, and the SQL of what it shall hold.
pub type Edit = (&'static str, String);

/// The names that rows may give their node.
pub struct Nodes {
    pub live: String,
    pub unknown: String,
}

const STATES: [&str; 8] = ["pending", "queued", "processing", "sent", "delivered", "read", "failed", "cancelled"];

const PAST: &str = "2020-02-29T12:00:00.000Z";

/// Every state with every owner, with and without a time to wait for and a dead letter; the other columns as it comes.
pub fn combinations(nodes: &Nodes, soon: &str, dice: &mut Rng) -> Vec<Vec<Edit>> {
    let nullable = ["error", "failure", "sent_at", "channel_message_id", "attempt_started_at", "dead_lettered_at"];
    let mut edits = Vec::new();
    for state in STATES {
        for node in ["null".to_owned(), quoted(&nodes.live), quoted(&nodes.unknown)] {
            for due in ["null".to_owned(), quoted(PAST), quoted(soon)] {
                for _ in 0..2 {
                    let mut edit =
                        vec![("status", quoted(state)), ("node_id", node.clone()), ("next_attempt_at", due.clone())];
                    edit.extend(nullable.map(|column| (column, null_or_usual(column, dice))));
                    for column in ["retries", "try", "max_retries"] {
                        let number = dice.choice([0, 0, 1, 2, 3, 100, -1, i64::from(i32::MAX), i64::from(i32::MIN)]);
                        edit.push((column, number.unwrap_or_default().to_string()));
                    }
                    edits.push(edit);
                }
            }
        }
    }
    edits
}

fn null_or_usual(column: &str, dice: &mut Rng) -> String {
    if dice.bool() {
        return "null".to_owned();
    }
    match column {
        "error" => quoted("it was so before"),
        "failure" => quoted("recipient"),
        "channel_message_id" => quoted("3EB0A1"),
        _ => quoted(PAST),
    }
}

/// One column after the other with what we never write, in rows that are open and nobody's.
pub fn nonsense(is_sqlite: bool, nodes: &Nodes, dice: &mut Rng) -> Vec<Vec<Edit>> {
    let mut edits = Vec::new();
    let mut column = |name: &'static str, values: Vec<String>| {
        for value in values {
            let state = dice.choice(["queued", "queued", "pending", "processing"]).unwrap_or("queued");
            edits.push(vec![("node_id", "null".to_owned()), ("status", quoted(state)), (name, value)]);
        }
    };
    for time in [
        "attempt_started_at",
        "sent_at",
        "delivered_at",
        "read_at",
        "created_at",
        "updated_at",
        "send_at",
        "deferred_since",
    ] {
        column(time, times(is_sqlite));
    }
    for time in ["next_attempt_at", "dead_lettered_at"] {
        column(time, times(is_sqlite));
    }
    for number in ["retries", "max_retries", "try", "attempt_http_status", "priority", "deferrals"] {
        column(number, numbers());
    }
    for text in [
        "tenant",
        "user_id",
        "channel",
        "channel_instance_id",
        "remote_jid",
        "message",
        "media_url",
        "channel_message_id",
        "error",
    ] {
        column(text, texts(is_sqlite));
    }
    for id in ["instance_id", "node_id", "group_id"] {
        column(id, ids(nodes));
    }
    for json in ["payload", "template", "record"] {
        column(
            json,
            ["null", "'{\"a\": 1}'", "'no JSON'", "'{'", "''", "'1e400'", "'\"\\ud800\"'"].map(str::to_owned).into(),
        );
    }
    column("payload", vec![quoted(&"[".repeat(5_000)), quoted(&format!("\"{}\"", "á".repeat(1 << 20)))]);
    column("channel", ["'webhook'", "'whatsapp_evolution'", "'no such channel'"].map(str::to_owned).into());
    column("remote_jid", ["'fail-permanent'", "'fail-transient'"].map(str::to_owned).into());
    for checked in ["media_type", "direction", "failure", "status"] {
        column(checked, ["null", "''", "'x'", "'image'", "'received'", "'channel'"].map(str::to_owned).into());
    }
    // Only that its record is lost tells of it.
    for time in times(is_sqlite) {
        let queued = [("node_id", quoted(&nodes.live)), ("status", quoted("queued"))];
        edits.push([queued.as_slice(), &[("updated_at", time)]].concat());
    }
    edits
}

/// What names the row itself.
pub fn new_names(id: &str) -> Vec<Edit> {
    let names = [
        "null".to_owned(),
        "''".to_owned(),
        quoted("no UUID"),
        quoted(&id.to_uppercase()),
        quoted(&id.replace('-', "")),
    ];
    names.map(|name| ("id", name)).into()
}

fn times(is_sqlite: bool) -> Vec<String> {
    let mut times = vec!["null", "'2000-01-01T00:00:00.000Z'", "'0001-01-01T00:00:00.000Z'", "''", "'yesterday'"];
    if is_sqlite {
        times.extend([
            "'2026-13-45T99:99:99.999Z'",
            "'infinity'",
            "'2020-01-01 00:00:00'",
            "'2020-01-01T00:00:00+03:00'",
        ]);
        times.extend(["cast(x'ff' as text)", "cast(x'00' as text)", "1"]);
    } else {
        times.extend(["'infinity'", "'-infinity'", "'4713-01-01 00:00:00 BC'", "'294276-12-31'"]);
    }
    times.into_iter().map(str::to_owned).collect()
}

fn numbers() -> Vec<String> {
    ["null", "0", "-1", "2147483647", "-2147483648", "2147483648", "9223372036854775807", "1.5", "'x'"]
        .map(str::to_owned)
        .into()
}

fn texts(is_sqlite: bool) -> Vec<String> {
    let long = "x".repeat(1 << 20);
    let mut texts = ["", " ", "'; drop table messaging_messages; --", "مرحبا \u{202e}\u{1f4a3}", "\u{1}\u{7f}", &long]
        .map(|text| quoted(&text.replace('\'', "''")))
        .to_vec();
    texts.push("null".to_owned());
    let raw = if is_sqlite { ["cast(x'ff' as text)", "cast(x'610062' as text)"] } else { ["E'\\xff'", "U&'a\\0000b'"] };
    texts.extend(raw.map(str::to_owned));
    texts
}

fn ids(nodes: &Nodes) -> Vec<String> {
    let upper = nodes.live.to_uppercase();
    ["00000000-0000-0000-0000-000000000000", "no UUID", "", &nodes.unknown, &upper].map(quoted).into()
}

fn quoted(text: &str) -> String {
    format!("'{text}'")
}
