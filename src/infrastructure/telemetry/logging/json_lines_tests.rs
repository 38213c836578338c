use std::io;

use serde_json::Value;
use tracing::{Level, debug, error, info, info_span, warn};

use super::JsonLines;
use crate::log_lines::Lines;

fn ours(log: impl FnOnce()) -> Vec<String> {
    let written = Lines::default();
    let logs = tracing_subscriber::fmt().with_max_level(Level::DEBUG).with_writer(written.clone());
    tracing::subscriber::with_default(logs.fmt_fields(JsonLines).event_format(JsonLines).finish(), log);
    written.read()
}

fn the_librarys(log: impl FnOnce()) -> Vec<String> {
    let written = Lines::default();
    let logs = tracing_subscriber::fmt().with_max_level(Level::DEBUG).with_writer(written.clone());
    let logs = logs.json().flatten_event(true).with_span_list(false).finish();
    tracing::subscriber::with_default(logs, log);
    written.read()
}

/// Everything but when, with the place of that.
fn timeless(line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap();
    let at = value["timestamp"].as_str().unwrap();
    assert!(
        at.parse::<chrono::DateTime<chrono::Utc>>().is_ok() && at.len() == "2026-11-26T17:12:33.123456Z".len(),
        "{at}"
    );
    line.replacen(at, "at", 1)
}

fn everything() {
    info!("nothing else");
    warn!(target: "kafka", text = "Olá, \"João\"\n\u{1}\\", empty = "", "não há {} 🍞", "pão");
    error!(whole = 42_u64, negative = -7_i64, half = 0.5, not_a_number = f64::NAN, yes = true, large = u128::MAX);
    debug!(list = ?["a", "b"], shown = %"Ü", error = &io::Error::other("broken") as &dyn std::error::Error);
    let outer = info_span!("outer", said = "not");
    outer.in_scope(|| {
        let request = info_span!("request", request_id = "a\"b", tenant = tracing::field::Empty, after = false);
        request.in_scope(|| {
            info!(status = 202, "before");
            request.record("tenant", "padaria \"São João\"");
            info!(status = 202, "after");
        });
        info_span!("without fields").in_scope(|| info!("in it"));
        let later = info_span!("all later", first = tracing::field::Empty, second = tracing::field::Empty);
        later.record("first", 1);
        later.record("second", tracing::field::debug("}{"));
        later.in_scope(|| info!("in it"));
    });
}

#[test]
fn a_line_is_what_the_library_makes_of_it() {
    let ours: Vec<String> = ours(everything).iter().map(|line| timeless(line)).collect();
    let the_librarys: Vec<String> = the_librarys(everything).iter().map(|line| timeless(line)).collect();

    assert_eq!(ours.len(), 8);
    // Of which the fields of a span are sorted.
    let value = |line: &String| serde_json::from_str::<Value>(line).unwrap();
    assert_eq!(ours.iter().map(value).collect::<Vec<_>>(), the_librarys.iter().map(value).collect::<Vec<_>>());
    assert_eq!(ours[..4], the_librarys[..4]);
}

#[test]
fn a_field_that_is_recorded_again_is_there_once() {
    let log = || {
        let span = info_span!("request", tenant = "{first}", id = 1);
        span.record("tenant", "{second}");
        span.in_scope(|| info!("in it"));
    };

    let lines = ours(log);

    assert_eq!(lines.len(), 1);
    assert!(lines[0].ends_with(r#""span":{"tenant":"{second}","id":1,"name":"request"}}"#), "{}", lines[0]);
}

#[test]
fn a_record_of_the_log_crate_is_logged_as_its_own() {
    let lines = ours(|| {
        let record = tracing_log::log::Record::builder()
            .args(format_args!("olá"))
            .target("of the log")
            .level(tracing_log::log::Level::Warn)
            .build();
        tracing_log::format_trace(&record).unwrap();
    });

    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(
        (&line["level"], &line["target"], &line["message"]),
        (&"WARN".into(), &"of the log".into(), &"olá".into())
    );
    assert_eq!(line.as_object().unwrap().len(), 4, "{line}");
}

#[test]
fn what_cannot_be_shown_does_not_cost_the_line() {
    struct Broken;
    impl std::fmt::Debug for Broken {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("half")?;
            Err(std::fmt::Error)
        }
    }

    let lines = ours(|| info!(order = ?Broken, status = 202, "sent"));

    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&line["order"], &line["status"]), (&"half… (its `Debug` failed)".into(), &202.into()));
}
