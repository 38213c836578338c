//! A spool on a disk that fails, beside processes that end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use correio::application::ports::{EmergencySwitch, EventSpool, NewEvent};
use correio::domain::event::Step;
use correio::infrastructure::spool::{FileSpool, FileSwitch, count, reset};

use super::{event, new};
use crate::support::eventually::{SOON, eventually};

const PLENTY: u64 = 1 << 30;

fn one(name: &str) -> NewEvent {
    new(&event(name), &[Step::Publish])
}

fn open(directory: &Path) -> FileSpool {
    FileSpool::open(directory, PLENTY).unwrap()
}

async fn emptied(spool: &FileSpool) -> Vec<NewEvent> {
    let mut events = Vec::new();
    while let Some(portion) = spool.oldest().await.unwrap() {
        events.extend(portion.events);
        spool.discard(portion.number).await.unwrap();
    }
    events
}

fn aside(slot: &Path) -> Vec<PathBuf> {
    fs::read_dir(slot.join("aside")).map_or(Vec::new(), |all| all.map(|entry| entry.unwrap().path()).collect())
}

#[tokio::test]
async fn pieces_of_files_of_one_number_are_all_kept() {
    let directory = tempfile::tempdir().unwrap();
    let slot = directory.path().join("0");
    fs::create_dir(&slot).unwrap();
    for damage in ["one damage", "another one", "one damage"] {
        fs::write(slot.join("00000000000000000001-7.sealed"), damage).unwrap();
        assert!(emptied(&open(directory.path())).await.is_empty());
    }
    let mut kept: Vec<String> = aside(&slot).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    kept.sort();
    assert_eq!(kept, ["another one", "one damage"]);
}

#[tokio::test]
async fn numbers_are_not_given_twice() {
    let directory = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    for name in ["one", "two"] {
        let spool = open(directory.path());
        spool.append(&one(name)).await.unwrap();
        let portion = spool.oldest().await.unwrap().unwrap();
        spool.discard(portion.number).await.unwrap();
        seen.push(portion.number);
    }
    assert!(seen[0] < seen[1], "{seen:?}");
}

/// As one on a bad sector of the disk.
#[tokio::test]
async fn a_file_that_cannot_be_read_is_kept_aside_and_the_next_ones_are_stored() {
    let directory = tempfile::tempdir().unwrap();
    let slot = directory.path().join("0");
    for unreadable in ["00000000000000000001-7.sealed", "00000000000000000002.spool"] {
        fs::create_dir_all(slot.join(unreadable)).unwrap();
    }
    let spool = open(directory.path());
    let event = one("one");
    spool.append(&event).await.unwrap();
    let mut failures = 0;
    let portion = loop {
        match spool.oldest().await {
            Ok(portion) => break portion.unwrap(),
            Err(_) => failures += 1,
        }
        assert!(spool.standing().troubles[0].contains("cannot be read"), "{:?}", spool.standing());
        assert!(failures < 20);
    };
    assert_eq!(portion.events, [event]);
    spool.discard(portion.number).await.unwrap();
    assert_eq!(aside(&slot).len(), 2);
    let standing = spool.standing();
    assert!(standing.events == 0 && standing.troubles[0].contains("2 pieces"), "{standing:?}");
}

#[tokio::test]
async fn a_disk_that_takes_events_again_is_no_trouble_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    fs::rename(directory.path().join("0"), directory.path().join("gone")).unwrap();
    assert!(spool.append(&one("one")).await.is_err());
    assert!(!spool.standing().takes_events());
    fs::rename(directory.path().join("gone"), directory.path().join("0")).unwrap();
    let is_well = async || spool.standing().takes_events().then_some(());
    eventually(SOON, "it is tried without an event", is_well).await;
    assert!(spool.standing().troubles.is_empty());
}

#[tokio::test]
async fn what_a_process_leaves_is_taken_over_by_one_that_runs() {
    let directory = tempfile::tempdir().unwrap();
    let heir = open(directory.path());
    let other = open(directory.path());
    let (first, second) = (one("first"), one("second"));
    other.append(&first).await.unwrap();
    drop(other);
    heir.append(&second).await.unwrap();
    assert_eq!(emptied(&heir).await, [first, second]);
    assert_eq!(count(directory.path()).unwrap().0, 0);
}

#[tokio::test]
async fn what_another_process_kept_aside_is_said_too_and_can_be_tried_again() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path());
    let other = open(directory.path());
    let event = one("refused");
    other.set_aside(&event, "refused").await.unwrap();
    fs::write(directory.path().join("1/aside/a.bytes"), "no event").unwrap();
    drop(other);
    let says = async || {
        let troubles = first.standing().troubles.join(" ");
        (troubles.contains("2 pieces") && troubles.contains("1/aside")).then_some(())
    };
    eventually(SOON, "it is said", says).await;
    assert_eq!(reset(directory.path()).unwrap(), 1);
    assert_eq!(emptied(&first).await, [event]);
    assert_eq!(aside(&directory.path().join("1")).len(), 1, "what has no event stays");
    assert_eq!(reset(directory.path()).unwrap(), 0);
}

async fn is(switch: &FileSwitch, on: bool) {
    eventually(Duration::from_secs(5), "the switch", async || (switch.is_on() == on).then_some(())).await;
}

#[tokio::test]
async fn a_configured_emergency_ends_when_it_is_switched_off_until_it_is_configured_anew() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("spool");
    let switch = FileSwitch::new(root.clone(), true);
    assert!(switch.is_on());
    FileSwitch::set_for_all(&root, false).unwrap();
    is(&switch, false).await;
    FileSwitch::set_for_all(&root, true).unwrap();
    is(&switch, true).await;
    switch.set(false).unwrap();
    assert!(!switch.is_on());
    assert!(!FileSwitch::new(root.clone(), true).is_on(), "a restart does not switch it on");
    assert!(!FileSwitch::new(root.clone(), false).is_on());
    is(&switch, false).await;
    assert!(FileSwitch::new(root.clone(), true).is_on(), "it was configured anew");
    // As an earlier version set it.
    fs::write(root.join("EMERGENCY"), "").unwrap();
    assert!(FileSwitch::new(root, false).is_on());
}
