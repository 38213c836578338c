//! What folders and files are called, and how many files share a folder.

use std::collections::{BTreeMap, BTreeSet};

use super::sources::{self, Sources, folder};

/// Names that say nothing of what a file holds.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "helper", "helpers", "common", "manager", "managers", "misc"];

/// What Correio is about. A subject has one name, and is a folder of that name in every layer and in the tests. A new one
/// is a line here first.
const SUBJECTS: [&str; 17] = [
    "access",
    "broadcasts",
    "delivery",
    "events",
    "groups",
    "inbound",
    "instances",
    "kafka_rest",
    "messages",
    "node",
    "operations",
    "receipts",
    "recovery",
    "status_webhooks",
    "topics",
    "sources",
    "subscriptions",
];

/// The folders that hold subjects, each with the folders in it that its subjects share.
const BY_SUBJECT: [(&str, &[&str]); 7] = [
    (DOMAIN, &[]),
    ("src/application", &["gateway", "ports"]),
    ("src/infrastructure/storage/postgres", &["connections", "weeks"]),
    ("src/infrastructure/storage/sqlite", &["connections"]),
    ("src/presentation/http", &["wire"]),
    ("tests/contracts", &[]),
    ("tests/stories", &["wire"]),
];

/// Here a subject is named after one thing of its kind: `message`.
const DOMAIN: &str = "src/domain";

/// The most files in a folder that a reader takes in at a glance.
const MOST_FILES: usize = 12;

#[test]
fn every_file_is_called_after_what_it_holds() {
    let sources = sources::under(&["src"]);
    let offenders: Vec<&String> = sources.keys().filter(|path| has_an_empty_name(path)).collect();
    assert_eq!(offenders, Vec::<&String>::new());
}

#[test]
fn every_folder_of_a_layer_is_a_subject() {
    let sources = sources::under(&["src", "tests"]);
    assert_eq!(strange_subjects(&sources), Vec::<String>::new());
}

#[test]
fn no_folder_has_more_files_than_a_reader_takes_in() {
    let sources = sources::under(&["src", "tests/contracts", "tests/stories"]);
    assert_eq!(crowded(&sources), Vec::<String>::new());
}

#[test]
fn the_check_sees_an_empty_name() {
    for path in ["src/utils.rs", "src/http/helpers/mod.rs", "src/queue_manager.rs", "src/Common.rs"] {
        assert!(has_an_empty_name(path), "{path}");
    }
    assert!(!has_an_empty_name("src/domain/message/mod.rs"));
}

#[test]
fn the_check_sees_a_folder_that_is_not_a_subject() {
    let planted = sources::planted(&[
        ("src/application/messages/send_message.rs", ""),
        ("src/application/ports/clock.rs", ""),
        ("src/application/gateway/services.rs", ""),
        ("src/application/sending/lanes.rs", ""),
        ("src/presentation/http/wire/page.rs", ""),
        ("tests/contracts/wire/page.rs", ""),
        ("tests/support/memory/tables.rs", ""),
        ("src/domain/message/status.rs", ""),
        ("src/domain/delivery/try.rs", ""),
        ("src/domain/channel/name.rs", ""),
        ("src/infrastructure/storage/postgres/weeks/partition.rs", ""),
        ("src/infrastructure/storage/sqlite/weeks/partition.rs", ""),
        ("src/infrastructure/storage/sqlite/instance/rows.rs", ""),
    ]);
    let expected = [
        "src/application/sending is not a subject",
        "src/domain/channel is not a subject",
        "src/infrastructure/storage/sqlite/instance is not a subject",
        "src/infrastructure/storage/sqlite/weeks is not a subject",
        "tests/contracts/wire is not a subject",
    ];
    assert_eq!(strange_subjects(&planted), expected);
}

#[test]
fn the_check_counts_the_files_of_each_folder() {
    let files = |folder: &str, count: usize| -> Sources {
        (0..count).map(|number| (format!("{folder}/file_{number}.rs"), String::new())).collect()
    };
    let mut planted = files("src/kafka", 12);
    planted.extend(files("src/kafka/client", 13));
    planted.extend(files("tests/stories/messages", 14));
    let expected = ["src/kafka/client has 13 files", "tests/stories/messages has 14 files"];
    assert_eq!(crowded(&planted), expected);
}

fn has_an_empty_name(path: &str) -> bool {
    path.split('/').any(|part| {
        let name = part.to_lowercase();
        name.trim_end_matches(".rs").split('_').any(|word| EMPTY_NAMES.contains(&word))
    })
}

fn strange_subjects(sources: &Sources) -> Vec<String> {
    let mut found = BTreeSet::new();
    for (layer, shared) in BY_SUBJECT {
        for path in sources.keys() {
            let inside = path.strip_prefix(layer).and_then(|rest| rest.strip_prefix('/'));
            let Some((subject, _)) = inside.and_then(|inside| inside.split_once('/')) else { continue };
            let is_subject =
                |known: &&str| *known == subject || (layer == DOMAIN && known.strip_suffix('s') == Some(subject));
            if !shared.contains(&subject) && !SUBJECTS.iter().any(is_subject) {
                found.insert(format!("{layer}/{subject} is not a subject"));
            }
        }
    }
    found.into_iter().collect()
}

fn crowded(sources: &Sources) -> Vec<String> {
    let mut counts = BTreeMap::<&str, usize>::new();
    for path in sources.keys() {
        *counts.entry(folder(path)).or_default() += 1;
    }
    let crowded = counts.into_iter().filter(|(_, count)| *count > MOST_FILES);
    crowded.map(|(folder, count)| format!("{folder} has {count} files")).collect()
}
