//! Webhooks while servers and processes die under them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::support::databases::FreshPostgres;
use crate::support::eventually::eventually;
use crate::support::free_port::free_port;
use crate::support::installation::{Installation, Mode};
use crate::support::postgres_server::PostgresServer;
use crate::support::test_app::TestApp;

/// CRMs that report at the same time, each one event after the other.
const CRMS: usize = 8;

/// A CRM: what is not answered 2xx it repeats, as the same event.
async fn report(address: String, next: Arc<AtomicU64>, ends: Arc<AtomicBool>, answered: Arc<Mutex<BTreeSet<u64>>>) {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    while !ends.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let meta = json!({"entity": "deal", "action": "change", "id": format!("event-{number}"), "webhook_id": "1"});
        let body = json!({"meta": meta, "data": {"id": number}}).to_string();
        loop {
            let sent = http.post(format!("http://{address}/webhook")).body(body.clone()).send().await;
            if sent.is_ok_and(|answer| answer.status().is_success()) {
                answered.lock().unwrap().insert(number);
                break;
            }
            if ends.load(Ordering::Relaxed) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_dies_each_event_that_was_answered_is_stored_once() {
    let Some(mut server) = PostgresServer::start().await else { return };
    let fresh = FreshPostgres::on(server.options()).await;
    let port = free_port().to_string();
    let mut app = TestApp::start_with(Installation::new(Some(fresh), Mode::Direct), &[("PORT", &port)]).await;
    let (next, ends, answered) = (Arc::default(), Arc::new(AtomicBool::new(false)), Arc::default());
    let report =
        |_| tokio::spawn(report(format!("127.0.0.1:{port}"), Arc::clone(&next), ends.clone(), Arc::clone(&answered)));
    let crms: Vec<_> = (0..CRMS).map(report).collect();
    let goes_on = async || {
        let before = answered.lock().unwrap().len();
        let more = async || (answered.lock().unwrap().len() > before + 50).then_some(());
        eventually(Duration::from_secs(60), "events are taken", more).await;
    };
    for _ in 0..2 {
        goes_on().await;
        server.kill();
        goes_on().await;
        server.restart().await;
        goes_on().await;
        server.freeze();
        goes_on().await;
        server.thaw();
        goes_on().await;
        app.kill9();
        app.restart().await;
    }
    goes_on().await;
    ends.store(true, Ordering::Relaxed);
    for crm in crms {
        crm.await.unwrap();
    }
    let is_empty = async || (app.nobody().get("/stats").await.json()["pendingFallbackFiles"] == 0).then_some(());
    eventually(Duration::from_secs(60), "the spool is empty", is_empty).await;
    let keys = app.sql("select key, count(*) as events from messaging_events group by key").await;
    assert!(keys.iter().all(|row| row["events"] == 1), "each is stored once");
    let stored: BTreeSet<String> = keys.iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect();
    let lost: Vec<u64> = answered
        .lock()
        .unwrap()
        .iter()
        .copied()
        .filter(|number| !stored.contains(&format!("v2/1/event-{number}")))
        .collect();
    assert_eq!(lost, Vec::<u64>::new());
}
