//! Many reports at once: of instances that all reconnect, and of messages beside those that are sent. The long form is
//! `cargo bench --bench limits`.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::caller::Caller;
use crate::support::eventually::{SOON, eventually};
use crate::support::evolution::{FakeEvolution, GLOBAL_KEY};
use crate::support::free_port::free_port;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    two_hundred_instances_that_reconnect_at_once_write_few_rows,
    sends_go_on_beside_a_flood_of_reports;
);

const INSTANCES: usize = 200;
const AT_ONCE: usize = 16;

/// A line of the notebook for each row of an instance that is written.
const NOTEBOOK: [&str; 2] = [
    "create table written (id integer)",
    "create trigger note_what_is_written after update on messaging_instances begin insert into written values (1); end",
];
const NOTEBOOK_OF_POSTGRES: [&str; 3] = [
    NOTEBOOK[0],
    "create function note_what_is_written() returns trigger language plpgsql as \
     $$ begin insert into written values (1); return null; end $$",
    "create trigger note_what_is_written after update on messaging_instances for each row execute function note_what_is_written()",
];

/// An instance, and the secret with which its provider reports.
#[derive(Clone)]
struct Reported {
    name: String,
    secret: String,
}

impl Reported {
    async fn says(&self, caller: &Caller, event: &str, data: Value) -> u16 {
        let path = format!("/api/messaging/webhook/{}", self.name);
        let request = caller.nobody().request(Method::POST, &path).header("x-correio-secret", &self.secret);
        let report =
            json!({"event": event, "instance": self.name, "data": data, "date_time": "2026-05-17T13:30:04.123Z"});
        caller.call(request.json(&report)).await.status
    }
}

async fn start(installation: Installation) -> (TestApp, FakeEvolution) {
    let port = free_port().to_string();
    let public_url = format!("http://127.0.0.1:{port}");
    let settings = [("PORT", port.as_str()), ("PUBLIC_URL", public_url.as_str())];
    (TestApp::start_with(installation, &settings).await, FakeEvolution::start().await)
}

async fn connected(app: &TestApp, evolution: &FakeEvolution, count: usize) -> Vec<Reported> {
    let connect = |number: usize| async move {
        let name = format!("shop-{number}");
        let instance = json!({
            "channel": "whatsapp_evolution", "channelInstanceId": name, "channelPhoneOrId": "5585988888888",
            "credentials": {"url": evolution.base_url, "apiToken": GLOBAL_KEY},
        });
        let created = app.post("/api/messaging/instance", &instance).await;
        assert_eq!(created.status, 201, "{}", created.json());
        evolution.becomes(&name, "open");
        let webhook = evolution.webhook(&name).expect("a webhook");
        Reported { name, secret: webhook["headers"]["x-correio-secret"].as_str().unwrap().to_owned() }
    };
    stream::iter(0..count).map(connect).buffer_unordered(AT_ONCE).collect().await
}

async fn two_hundred_instances_that_reconnect_at_once_write_few_rows(installation: Installation) {
    let notebook = if installation.is_sqlite() { NOTEBOOK.as_slice() } else { &NOTEBOOK_OF_POSTGRES };
    let (app, evolution) = start(installation).await;
    let shops = connected(&app, &evolution, INSTANCES).await;
    for statement in notebook {
        app.sql(statement).await;
    }
    let reconnects = |shop: Reported| {
        let caller = app.caller();
        async move {
            let begun = Instant::now();
            for state in ["close", "connecting", "open", "close", "connecting", "connecting", "open", "open"] {
                let answer =
                    shop.says(&caller, "connection.update", json!({"state": state, "statusReason": 200})).await;
                assert_eq!(answer, 200, "{state}");
            }
            // One a second, and what it is in the end.
            begun.elapsed().as_secs() + 3
        }
    };
    let reports = stream::iter(shops).map(reconnects).buffer_unordered(AT_ONCE).collect::<Vec<u64>>();
    let sandbox = json!({"channel": "sandbox", "channelInstanceId": "sandbox", "remoteJid": "x", "message": "x"});
    let (sent, rows) = tokio::join!(app.send(&sandbox), reports);
    assert_eq!(sent.status, 200);
    eventually(SOON, "all are connected", async || {
        let listed = app.get("/api/messaging/instances?channel=whatsapp_evolution").await.data();
        let connected = listed.as_array().unwrap().iter().filter(|one| one["status"] == "connected").count();
        (connected == INSTANCES).then_some(())
    })
    .await;
    let most = i64::try_from(rows.iter().sum::<u64>()).unwrap();
    let written = app.sql_number("select count(*) from written").await;
    assert!(written <= most, "{written} rows for {} reports, and not {most}", 8 * INSTANCES);
}

async fn sends_go_on_beside_a_flood_of_reports(installation: Installation) {
    const REPORTS: usize = 1_000;
    let (app, evolution) = start(installation).await;
    let shops = connected(&app, &evolution, 4).await;
    let shop = |number: usize| shops[number % shops.len()].clone();
    let report = |number: usize| {
        let (caller, shop) = (app.caller(), shop(number));
        async move {
            let name = format!("3EB0{number:020X}");
            let data = json!({"keyId": name, "remoteJid": "123@lid", "fromMe": true, "status": "DELIVERY_ACK"});
            // Its provider says what was not taken once more.
            while shop.says(&caller, "messages.update", data.clone()).await == 503 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    let flood = stream::iter(0..REPORTS).map(report).buffer_unordered(2 * AT_ONCE).count();
    let sends = async {
        let mut slowest = Duration::ZERO;
        for number in 0..50 {
            let body = json!({
                "channel": "whatsapp_evolution", "channelInstanceId": shop(number).name,
                "remoteJid": format!("55859999999{number:02}"), "message": "Olá!",
            });
            let begun = Instant::now();
            app.sent(&body).await;
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    };
    let (reported, slowest) = tokio::join!(flood, sends);
    assert_eq!(reported, REPORTS);
    assert!(slowest < Duration::from_secs(15), "a send took {slowest:?}");
    // What nobody has sent is kept, and moves nothing.
    assert_eq!(app.sql_number("select count(*) from messaging_receipts").await, 1_000);
    assert_eq!(app.sql_number("select count(*) from messaging_messages where status = 'sent'").await, 50);
}
