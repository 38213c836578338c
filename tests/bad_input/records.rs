use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

use super::record_mutations::Forger;
use super::seed::{dice, times};
use super::topic::{Topic, Written};
use crate::support::caller::to_sandbox;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::{Installation, Mode};
use crate::support::modes::on_installation;
use crate::support::test_app::TestApp;

on_installation!(mock: whatever_somebody_writes_into_the_topic_it_is_set_aside_and_holds_up_nothing);
on_installation!(real_kafka: whatever_somebody_writes_into_the_topic_it_is_set_aside_and_holds_up_nothing);

type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

const PATIENCE: Duration = Duration::from_secs(120);

const MEBIBYTE: usize = 1 << 20;

/// The topic that messages travel through, and the one for what cannot.
async fn topics(app: &TestApp) -> (Topic, Topic) {
    let brokers = app.get("/health").await.json()["kafka"]["brokers"][0].as_str().unwrap().to_owned();
    let topic = |name| Topic { brokers: brokers.clone(), name: app.installation.topic_name(name) };
    (topic("messaging.send"), topic("messaging.send.dlq"))
}

/// On a real Kafka, topics that take more than a megabyte: it is not up to us what the topic takes.
async fn with_large_records(installation: &Installation, dead_letters: &str) {
    let Mode::Kafka(brokers) = &installation.mode else { return };
    for (name, most) in [("messaging.send", "30000000"), ("messaging.send.dlq", dead_letters)] {
        let topic = Topic { brokers: brokers.clone(), name: installation.topic_name(name) };
        topic.create(3, &[("max.message.bytes", most)]).await;
    }
}

async fn whatever_somebody_writes_into_the_topic_it_is_set_aside_and_holds_up_nothing(installation: Installation) {
    with_large_records(&installation, "30000000").await;
    let mut app = TestApp::start(installation).await;
    let (topic, dead_letters) = topics(&app).await;
    let sent = app.sent(&to_sandbox("before")).await;
    let ours = topic.read_until(SOON, |found| if found.is_empty() { Err("no record") } else { Ok(()) }).await.remove(0);
    let known = sent["id"].as_str().unwrap().parse().unwrap();

    // The broker within the process keeps no more than 5 MiB of a partition.
    let size = if app.installation.mode == Mode::Embedded { MEBIBYTE / 2 } else { 10 * MEBIBYTE };
    let mut dice = dice("RECORDS_SEED");
    let mut forger = Forger { ours: ours.value.unwrap(), our_key: ours.key.unwrap(), dice: &mut dice };
    let (mut forged, mut beside) = (Vec::new(), Vec::new());
    for (round, compression) in ["none", "zstd", "lz4", "snappy", "gzip"].into_iter().cycle().take(8).enumerate() {
        let mut some: Vec<Written> = (0..times("RECORDS", 400) / 8).map(|_| forger.record()).collect();
        some.extend(large(round, size, &forger.ours));
        topic.write(some.clone(), compression).await;
        forged.extend(some);
        let answer = app.send(&to_sandbox(&format!("beside-{round}"))).await;
        beside.push(app.accepted(&answer));
    }
    let begun = Instant::now();
    for id in &beside {
        assert_eq!(app.ended(id).await["status"], "sent");
    }
    println!("{} records; {} messages beside them took {:?}", forged.len(), beside.len(), begun.elapsed());

    let mut expected: HashMap<KeyAndValue, usize> = HashMap::new();
    let poison: Vec<&Written> = forged.iter().filter(|record| !may_be_ours(record, known)).collect();
    assert!(poison.len() > forged.len() / 3, "{} of {}", poison.len(), forged.len());
    poison.iter().for_each(|record| *expected.entry((record.key.clone(), record.value.clone())).or_default() += 1);
    let found = dead_letters
        .read_until(PATIENCE, move |found| {
            let mut missing = expected.clone();
            for letter in found {
                let Some(count) = missing.get_mut(&(letter.key.clone(), letter.value.clone())) else { continue };
                *count = count.saturating_sub(1);
            }
            missing.retain(|_, count| *count > 0);
            let shown = |(key, value): &KeyAndValue| (shown(key), shown(value));
            if missing.is_empty() {
                Ok(())
            } else {
                Err((missing.len(), missing.keys().take(5).map(shown).collect::<Vec<_>>()))
            }
        })
        .await;
    for letter in &found {
        assert_eq!(letter.header("original-topic").as_deref(), Some(topic.name.as_str()));
        assert_eq!(letter.header("retry-count").as_deref(), Some("0"));
        assert!(letter.header("error").is_some_and(|reason| reason.len() > 5 && reason.chars().count() <= 1_000));
        // What was not written there by us is none.
        assert!(forged.iter().any(|record| (&record.key, &record.value) == (&letter.key, &letter.value)));
    }

    let group = app.installation.group().to_owned();
    eventually(SOON, "all of it is behind the group", async || {
        topic.unfinished(&group).await.values().all(|&records| records == 0).then_some(())
    })
    .await;
    app.sent(&to_sandbox("after")).await;
    assert!(app.is_alive());
    let panicked: Vec<String> = app.log().into_iter().filter(|line| line.contains("panicked")).collect();
    assert!(panicked.is_empty(), "{panicked:#?}");
}

/// Of each kind one, in a round of its own.
fn large(round: usize, size: usize, ours: &[u8]) -> Option<Written> {
    match round {
        1 => Some(Written::value(vec![b'x'; size])),
        // A copy of a message that there is, if a fat one.
        3 => {
            let padding = format!(",\"padding\":\"{}\"}}", "a".repeat(size));
            Some(Written::value([&ours[..ours.len() - 1], padding.as_bytes()].concat()))
        }
        5 => Some(Written { key: Some(vec![b'k'; size]), ..Written::value("small") }),
        7 => Some(Written { headers: vec![("big".to_owned(), Some(vec![0; size]))], ..Written::value("none") }),
        _ => None,
    }
}

/// A record that names a message that there is, and may pass for a copy of its own.
fn may_be_ours(record: &Written, known: Uuid) -> bool {
    let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned();
    let decisive = value.starts_with('{') && value.contains("message.send");
    let named = |id: &Value| id.as_str().and_then(|id| id.parse::<Uuid>().ok()) == Some(known);
    match serde_json::from_str::<Value>(&value) {
        Ok(event) => decisive && named(&event["messageId"]) && event["version"] == 1,
        // JSON that is none for a `Value` may be some for us.
        Err(_) => decisive && value.contains(&known.to_string()) && value.contains("\"version\":1"),
    }
}

fn shown(bytes: &Option<Vec<u8>>) -> String {
    let Some(bytes) = bytes else { return "none".to_owned() };
    format!("{} bytes: {}", bytes.len(), String::from_utf8_lossy(&bytes[..bytes.len().min(300)]))
}
