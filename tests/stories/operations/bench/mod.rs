mod bad_server;

use std::process::Output;

use serde_json::{Value, json};

use crate::support::installation::Installation;
use crate::support::modes::on_installation;
use crate::support::process::run;
use crate::support::test_app::{BOOTSTRAP_KEY, TestApp};

on_installation!(sqlite:
    what_is_sent_through_a_webhook_is_accepted_delivered_and_counted
    a_rate_says_how_many_messages_there_are_at_most
    the_sandbox_measures_only_what_is_accepted
    what_a_run_cannot_do_is_a_sentence_and_leaves_no_instance
);
on_installation!(mock: what_is_sent_through_a_webhook_is_accepted_delivered_and_counted);

/// Runs it against the server, on a machine that has no configuration but the key.
async fn bench(app: &TestApp, key: &str, arguments: &[&str]) -> Output {
    let elsewhere = tempfile::tempdir().unwrap();
    let environment = [("BENCH_API_KEY".to_owned(), key.to_owned()), ("PORT".to_owned(), "none".to_owned())];
    let url = format!("http://{}", app.address());
    let arguments = [&["bench", "--url", &url], arguments].concat();
    let output = run(elsewhere.path(), &environment, &arguments).await;
    for told in [&output.stdout, &output.stderr] {
        assert!(key.is_empty() || !String::from_utf8_lossy(told).contains(key), "it tells the key");
    }
    output
}

/// What a successful run prints last.
async fn report(app: &TestApp, arguments: &[&str]) -> Value {
    let output = bench(app, BOOTSTRAP_KEY, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(told.lines().last().unwrap()).unwrap_or_else(|error| panic!("{error}: {told}"))
}

async fn instances(app: &TestApp) -> usize {
    app.get("/api/messaging/instances?channel=webhook").await.data().as_array().unwrap().len()
}

async fn what_is_sent_through_a_webhook_is_accepted_delivered_and_counted(installation: Installation) {
    let app = TestApp::start(installation).await;
    let size = ["--messages", "200", "--concurrency", "8", "--instances", "2", "--recipients", "20"];
    let told = report(&app, &[&size[..], &["--json"]].concat()).await;
    assert_eq!(told["mode"], if app.waits() { "direct" } else { "kafka" });
    for (name, number) in [("accepted", 200), ("delivered", 200), ("duplicates", 0), ("errors", 0), ("unsent", 0)] {
        assert_eq!(told[name], json!(number), "{name}: {told}");
    }
    assert_eq!((&told["states"]["sent"], &told["states"]["total"]), (&json!(200), &json!(200)), "{told}");
    for latency in ["acceptMs", "endToEndMs"] {
        let at = |name: &str| told[latency][name].as_f64().unwrap();
        let rising = [at("p50"), at("p95"), at("p99"), at("max")];
        assert!(rising[0] > 0.0 && rising.is_sorted(), "{told}");
    }
    assert_eq!(told["options"]["concurrency"], json!(8));
    assert_eq!(instances(&app).await, 0, "the run's instances are gone");
    let recipients = "select count(distinct instance_id || remote_jid) from messaging_messages";
    assert_eq!(app.sql_number(recipients).await, 20);
    for size in ["min", "max"] {
        let bytes = format!("select {size}(length(cast(message as blob))) from messaging_messages");
        assert_eq!(app.sql_number(&bytes).await, 100);
    }
}

async fn a_rate_says_how_many_messages_there_are_at_most(installation: Installation) {
    let app = TestApp::start(installation).await;
    let output = bench(&app, BOOTSTRAP_KEY, &["--rate", "50", "--duration", "1s", "--keep"]).await;
    let told = String::from_utf8(output.stdout).unwrap();
    let told: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let number = |name: &str| told[name].as_u64().unwrap();
    // On a machine that is too slow for the rate some are not sent, and it says so.
    assert_eq!(number("accepted") + number("unsent"), 50, "{told}");
    assert_eq!(output.status.success(), number("unsent") == 0, "{told}");
    assert_eq!(app.sql_number("select count(*) from messaging_messages").await, number("accepted") as i64);
    assert_eq!(instances(&app).await, 1, "asked to keep it");
}

async fn the_sandbox_measures_only_what_is_accepted(installation: Installation) {
    let app = TestApp::start(installation).await;
    let told = report(&app, &["--channel", "sandbox", "--messages", "20", "--mode", "direct"]).await;
    assert_eq!((&told["accepted"], &told["states"]["sent"]), (&json!(20), &json!(20)), "{told}");
    assert_eq!((&told["delivered"], &told["endToEndMs"]), (&Value::Null, &Value::Null), "{told}");
}

async fn what_a_run_cannot_do_is_a_sentence_and_leaves_no_instance(installation: Installation) {
    let app = TestApp::start(installation).await;
    let wrong = "a-key-that-nobody-knows-0123456789-abc";
    let cases: [(&str, &[&str], &str); 4] = [
        (wrong, &[], "correio: the server does not know the API key (HTTP 401 unauthorized)"),
        (BOOTSTRAP_KEY, &["--mode", "kafka"], "it runs in direct mode, and --mode says kafka"),
        (BOOTSTRAP_KEY, &["--instances", "2", "--recipients", "1"], "--instances must not be more than --recipients"),
        ("", &[], "there is no API key"),
    ];
    for (key, arguments, expected) in cases {
        let output = bench(&app, key, arguments).await;
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), told.lines().count()), (Some(1), 1), "{told}");
        assert!(told.contains(expected) && output.stdout.is_empty(), "{told}");
    }
    assert_eq!(instances(&app).await, 0);
}
