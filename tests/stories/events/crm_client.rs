//! The client that a CRM's administrators test their receiver with, as its contract has it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::answered::Answered;
use crate::support::test_app::TestApp;

/// What the client reports in the end.
#[derive(Debug)]
pub struct Report {
    pub successful: usize,
    pub failed: usize,
    /// The `deliveryMethod` of each success.
    pub methods: Vec<String>,
    pub ids: Vec<String>,
    pub longest: Duration,
}

fn now() -> Value {
    json!(chrono::Utc::now().to_rfc3339())
}

fn meta(action: &str, entity: &str, company: i64) -> Value {
    json!({"action": action, "entity": entity, "company_id": company, "timestamp": now()})
}

/// Its three posts.
pub fn posts() -> [Value; 3] {
    [
        json!({"meta": meta("added", "deal", 13_881_612), "current": {"id": 12_345, "title": "Negócio de teste", "value": 5_000}}),
        json!({"meta": meta("updated", "person", 23_342_970), "current": {"id": 678, "name": "João"}, "previous": {"name": "Joao"}}),
        json!({"meta": meta("added", "activity", 13_881_612), "current": {"id": 9, "subject": "Ligar"}}),
    ]
}

/// Its checks, in its order; what would make it exit with 1 panics.
pub async fn run(app: &TestApp) -> Report {
    is_healthy(app).await;
    let stats = app.nobody().get("/stats").await;
    assert_eq!(stats.status, 200);
    let stats = stats.json();
    assert!(stats["pendingFallbackFiles"].is_u64() && stats["uptime"].is_number(), "{stats}");
    assert!(stats["emergencyMode"].is_boolean() && stats["timestamp"].is_string(), "{stats}");
    for name in ["rss", "heapTotal", "heapUsed", "external", "arrayBuffers"] {
        assert!(stats["memoryUsage"][name].is_u64(), "{stats}");
    }
    let mut report = Report { successful: 0, failed: 0, methods: Vec::new(), ids: Vec::new(), longest: Duration::ZERO };
    for body in &posts() {
        post(app, body, &mut report).await;
    }
    load(app, 5, &mut report).await;
    is_healthy(app).await;
    report
}

/// `--load-test`
pub async fn load(app: &TestApp, count: usize, report: &mut Report) {
    for index in 0..count {
        let mut meta = meta("added", "test", 13_881_612);
        meta["testIndex"] = json!(index);
        post(app, &json!({"meta": meta, "current": {"id": index}}), report).await;
    }
}

pub async fn post(app: &TestApp, body: &Value, report: &mut Report) -> Answered {
    let begun = Instant::now();
    let answer = app.nobody().post("/webhook", body).await;
    report.longest = report.longest.max(begun.elapsed());
    if (200..300).contains(&answer.status) {
        let said = answer.json();
        report.successful += 1;
        report.methods.push(said["deliveryMethod"].as_str().unwrap().to_owned());
        report.ids.push(said["webhookId"].as_str().unwrap().to_owned());
    } else {
        report.failed += 1;
    }
    answer
}

async fn is_healthy(app: &TestApp) {
    let begun = Instant::now();
    let health = app.nobody().get("/health").await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!((200..300).contains(&health.status), "{}: {}", health.status, health.json());
    let services = &health.json()["services"];
    for name in ["kafka", "database", "filesystem"] {
        assert!(services[name].is_string(), "{services}");
    }
}
