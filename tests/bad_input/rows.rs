use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::hand::Hand;
use super::row_edits::{Edit, Nodes, combinations, new_names, nonsense};
use super::seed::dice;
use crate::support::caller::to_sandbox;
use crate::support::eventually::SOON;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(on_every_installation: whatever_somebody_writes_into_a_row_it_ends_and_holds_up_no_other;);

/// For rows of which only the comparison, or the broker's loss of their records, tells that nobody delivers them.
const PATIENCE: Duration = Duration::from_secs(120);

/// Without the id.
const COLUMNS: &str = "tenant, user_id, instance_id, channel, channel_instance_id, remote_jid, group_id, message, payload, template, record, \
    media_url, media_type, direction, status, channel_message_id, error, failure, retries, max_retries, priority, try, \
    attempt_started_at, attempt_http_status, node_id, next_attempt_at, send_at, dead_lettered_at, sent_at, delivered_at, \
    read_at, created_at, updated_at, deferrals, deferred_since";

/// Times as text: they may be none.
const SHOWN: &str = "id, status, node_id, cast(next_attempt_at as text) as next_attempt_at, retries, try, error";

/// A row that was edited.
#[derive(Debug)]
struct Edited {
    id: String,
    edits: Vec<Edit>,
}

async fn whatever_somebody_writes_into_a_row_it_ends_and_holds_up_no_other(installation: Installation) {
    let settings = [
        ("RETRY_BACKOFF", "50ms"),
        ("KAFKA_PUBLISH_TIMEOUT", "1s"),
        ("UNDELIVERABLE_AFTER", "1s"),
        ("INSTANCE_CONCURRENCY", "64"),
    ];
    let mut app = TestApp::start_with(installation, &settings).await;
    let healthy = app.sent(&to_sandbox("before")).await;
    let edited = edit_rows(&app, healthy["id"].as_str().unwrap()).await;

    // Those that come after all of them are in no worse a place.
    let begun = Instant::now();
    for number in 0..10 {
        app.sent(&to_sandbox(&format!("beside-{number}"))).await;
    }
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    for row in &edited {
        let answer = app.get(&format!("/api/messaging/messages/{}", row.id)).await;
        assert!(matches!(answer.status, 200 | 404), "{row:?}: {}", answer.json());
    }

    let open = "status in ('pending', 'queued', 'processing')";
    let owing = "status = 'failed' and dead_lettered_at is null";
    for (what, condition) in [("every row ends", open), ("every dead letter is paid", owing)] {
        let query = &format!("select {SHOWN} from messaging_messages where {condition}");
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, async {
            loop {
                rest = app.sql(query).await;
                if rest.is_empty() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
        assert!(ended.await.is_ok(), "{what}, but not {}: {:#?}", rest.len(), told(&rest, &edited));
    }
    every_failure_has_a_sentence(&app, &edited).await;
    everything_can_be_looked_at(&app).await;
    app.sent(&to_sandbox("after")).await;
    assert!(app.is_alive());
    let panicked: Vec<String> = app.log().into_iter().filter(|line| line.contains("panicked")).collect();
    assert!(panicked.is_empty(), "{panicked:#?}");
}

/// Writes them all at once, as copies of a healthy row.
async fn edit_rows(app: &TestApp, template: &str) -> Vec<Edited> {
    let mut dice = dice("ROWS_SEED");
    let live = app.sql("select id from messaging_nodes where left_at is null").await;
    let nodes =
        Nodes { live: live[0]["id"].as_str().unwrap().to_owned(), unknown: Uuid::from_u128(dice.u128(..)).to_string() };
    let soon = chrono::Utc::now() + Duration::from_secs(3);
    let soon = soon.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let is_sqlite = app.installation.is_sqlite();
    let mut wanted = combinations(&nodes, &soon, &mut dice);
    wanted.extend(nonsense(is_sqlite, &nodes, &mut dice));
    let mut hand = Hand::on(&app.installation).await;
    let (mut edited, mut refused) = (Vec::new(), 0);
    hand.write("begin").await.unwrap();
    if is_sqlite {
        // A node that cannot be watched: nobody would take what it owns.
        let node = "insert into messaging_nodes (id, heartbeat, consumes, publishes, started_at) values ('no UUID', 0, 0, 0, '')";
        assert!(hand.write(node).await.is_err());
    }
    let names = (0..5).map(|which| vec![("id", which.to_string())]);
    for edits in wanted.into_iter().chain(names) {
        let id = an_hour_ago(&mut dice);
        let edits = match edits.first() {
            Some(("id", which)) => vec![new_names(&id).swap_remove(which.parse().unwrap())],
            _ => edits,
        };
        hand.write("savepoint row").await.unwrap();
        let copied = format!(
            "insert into messaging_messages (id, {COLUMNS}) select '{id}', {COLUMNS} from messaging_messages where id = '{template}'"
        );
        hand.write(&copied).await.unwrap();
        let fresh = format!(
            "update messaging_messages set status = 'queued', retries = 0, try = 0, remote_jid = '{id}', sent_at = null where id = '{id}'"
        );
        hand.write(&fresh).await.unwrap();
        let assignments: Vec<String> = edits.iter().map(|(column, value)| format!("{column} = {value}")).collect();
        let edit = format!("update messaging_messages set {} where id = '{id}'", assignments.join(", "));
        if hand.write(&edit).await.is_ok() {
            edited.push(Edited { id, edits });
        } else {
            refused += 1;
            hand.write("rollback to savepoint row").await.unwrap();
        }
        hand.write("release savepoint row").await.unwrap();
    }
    hand.write("commit").await.unwrap();
    println!("{} rows edited, {refused} edits refused", edited.len());
    assert!(edited.len() > 200);
    edited
}

/// A UUIDv7 of that time: its record, if it had one, has been read.
fn an_hour_ago(dice: &mut fastrand::Rng) -> String {
    let at = chrono::Utc::now() - chrono::TimeDelta::hours(1);
    let time = u128::from(at.timestamp_millis().cast_unsigned()) << 80;
    let random = dice.u128(..) & ((1 << 80) - 1) & !(0xf << 76) & !(0b11 << 62);
    Uuid::from_u128(time | random | 0x7 << 76 | 0b10 << 62).to_string()
}

async fn every_failure_has_a_sentence(app: &TestApp, edited: &[Edited]) {
    let failed = app.sql(&format!("select {SHOWN} from messaging_messages where status = 'failed'")).await;
    assert!(!failed.is_empty());
    for row in &failed {
        let Some(edit) = edited.iter().find(|edit| row["id"] == *edit.id) else { continue };
        // Somebody said so, and why, or why not.
        if edit.edits.iter().any(|(column, value)| *column == "status" && value == "'failed'") {
            continue;
        }
        let error = row["error"].as_str().unwrap_or_default();
        assert!(error.len() > 10 && error.chars().count() <= 1_000, "{edit:?}: {error:?}");
    }
}

async fn everything_can_be_looked_at(app: &TestApp) {
    let (mut path, mut seen) = ("/api/messaging/messages?limit=250".to_owned(), 0);
    loop {
        let answer = app.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", String::from_utf8_lossy(&answer.body));
        let page: Page = serde_json::from_slice(&answer.body).unwrap();
        seen += page.data.len();
        let Some(cursor) = page.next_cursor else { break };
        path = format!("/api/messaging/messages?limit=250&cursor={cursor}");
    }
    assert!(seen > 200, "{seen}");
    let stats = app.get("/api/messaging/messages/stats").await;
    assert_eq!(stats.status, 200, "{}", stats.json());
    assert_eq!(app.nobody().get("/health").await.status, 200);
}

/// A payload may be JSON that no `Value` holds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    data: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// A row beside what was done to it.
fn told(rows: &[Value], edited: &[Edited]) -> Vec<String> {
    let told = |row: &Value| {
        let edit = edited.iter().find(|edit| row["id"] == *edit.id);
        let columns = ["id", "status", "node_id", "next_attempt_at", "retries", "try", "error"];
        let now: Vec<String> = columns.map(|column| format!("{column}={}", row[column])).into();
        let edits: String =
            edit.map_or_else(String::new, |edit| format!("{:?}", edit.edits)).chars().take(500).collect();
        format!("{edits} is now {}", now.join(" "))
    };
    rows.iter().take(10).map(told).collect()
}
