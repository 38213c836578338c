use std::fs;
use std::path::Path;

use correio::application::ports::{EmergencySwitch, EventSpool, NewEvent, SpoolError};
use correio::domain::event::{Event, Step};
use correio::infrastructure::spool::{FileSpool, FileSwitch, count};
use futures::future::join_all;
use tempfile::TempDir;

use super::{event, new};

const PLENTY: u64 = 1 << 30;

fn some(names: impl IntoIterator<Item = impl ToString>) -> Vec<NewEvent> {
    names.into_iter().map(|name| new(&event(&name.to_string()), &[Step::Publish])).collect()
}

async fn filled(directory: &Path, events: &[NewEvent]) {
    let spool = FileSpool::open(directory, PLENTY).unwrap();
    for event in events {
        spool.append(event).await.unwrap();
    }
}

/// Everything that is kept, in order; it is forgotten.
async fn emptied(spool: &FileSpool) -> Vec<NewEvent> {
    let mut events = Vec::new();
    while let Some(portion) = spool.oldest().await.unwrap() {
        events.extend(portion.events);
        spool.discard(portion.number).await.unwrap();
    }
    events
}

/// The files that hold events, in the first slot.
fn files(directory: &TempDir) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(directory.path().join("0")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn what_is_appended_is_read_in_its_order() {
    let directory = tempfile::tempdir().unwrap();
    let spool = FileSpool::open(directory.path(), PLENTY).unwrap();
    assert_eq!(spool.oldest().await.unwrap(), None);
    let bare = Event { key: None, ordering_key: None, via: None, occurred_at: None, ..event("bare") };
    let events = [some(["one", "two"]), vec![new(&bare, &[])]].concat();
    for event in &events {
        spool.append(event).await.unwrap();
    }
    assert_eq!(spool.standing().events, 3);
    let portion = spool.oldest().await.unwrap().unwrap();
    assert_eq!(portion.events, events);
    let later = some(["three"]);
    spool.append(&later[0]).await.unwrap();
    assert_eq!(spool.oldest().await.unwrap().unwrap(), portion, "the same until it is discarded");
    spool.discard(portion.number).await.unwrap();
    assert_eq!(emptied(&spool).await, later);
    let standing = spool.standing();
    assert_eq!((standing.events, standing.bytes, standing.troubles.len()), (0, 0, 0));
}

#[tokio::test]
async fn what_was_answered_is_there_after_the_process_has_ended() {
    let directory = tempfile::tempdir().unwrap();
    let events = some(0..40);
    filled(directory.path(), &events[..20]).await;
    filled(directory.path(), &events[20..]).await;
    assert_eq!(count(directory.path()).unwrap().0, 40);
    let spool = FileSpool::open(directory.path(), PLENTY).unwrap();
    assert_eq!(spool.standing().events, 40);
    assert_eq!(emptied(&spool).await, events);
    assert_eq!(count(directory.path()).unwrap().0, 0);
}

#[tokio::test]
async fn many_are_kept_at_the_same_time() {
    let directory = tempfile::tempdir().unwrap();
    let spool = FileSpool::open(directory.path(), PLENTY).unwrap();
    let events = some(0..500);
    let kept = join_all(events.iter().map(|event| spool.append(event))).await;
    assert!(kept.iter().all(Result::is_ok), "{kept:?}");
    assert_eq!(emptied(&spool).await, events);
}

#[tokio::test]
async fn a_full_spool_says_so_and_takes_more_when_it_was_emptied() {
    let directory = tempfile::tempdir().unwrap();
    let spool = FileSpool::open(directory.path(), 4_096).unwrap();
    let events = some(0..100);
    let mut kept = 0;
    while spool.append(&events[kept]).await.is_ok() {
        kept += 1;
    }
    assert_eq!(spool.append(&events[kept]).await, Err(SpoolError::Full));
    let standing = spool.standing();
    assert!(standing.bytes <= 4_096 && standing.troubles[0].contains("SPOOL_MAX_BYTES"), "{standing:?}");
    assert_eq!(emptied(&spool).await, events[..kept]);
    spool.append(&events[kept]).await.unwrap();
    assert!(spool.standing().troubles.is_empty());
}

#[tokio::test]
async fn processes_on_one_directory_keep_out_of_each_other_and_inherit() {
    let directory = tempfile::tempdir().unwrap();
    let events = some(["one", "two", "three"]);
    let first = FileSpool::open(directory.path(), PLENTY).unwrap();
    let second = FileSpool::open(directory.path(), PLENTY).unwrap();
    first.append(&events[0]).await.unwrap();
    second.append(&events[1]).await.unwrap();
    assert_eq!((first.standing().events, second.standing().events), (1, 1));
    assert_eq!(count(directory.path()).unwrap().0, 2);
    drop((first, second));
    let heir = FileSpool::open(directory.path(), PLENTY).unwrap();
    assert_eq!(emptied(&heir).await, events[..2]);
}

/// At every byte, as a crash may leave it: what was whole is delivered, and what is torn is skipped with a line.
#[tokio::test]
async fn a_spool_that_is_cut_gives_what_is_whole() {
    let made = tempfile::tempdir().unwrap();
    let events = some(["one", "two", "three"]);
    filled(made.path(), &events).await;
    let whole = fs::read(&files(&made)[0]).unwrap();
    let mut seen = 0;
    for length in (0..whole.len()).step_by(7) {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("0")).unwrap();
        fs::write(directory.path().join("0/00000000000000000001.spool"), &whole[..length]).unwrap();
        let spool = FileSpool::open(directory.path(), PLENTY).unwrap();
        let found = emptied(&spool).await;
        assert_eq!(found, events[..found.len()], "cut at {length}");
        assert!(found.len() >= seen, "cut at {length}");
        seen = found.len();
        spool.append(&events[0]).await.unwrap();
        assert_eq!(emptied(&spool).await, events[..1]);
    }
    assert_eq!(seen, 2);
}

/// One bit, anywhere: at most the event that it is part of is lost to us, and its bytes are kept aside.
#[tokio::test]
async fn a_flipped_bit_keeps_no_other_event_from_being_delivered() {
    let made = tempfile::tempdir().unwrap();
    let events = some(["one", "two", "three"]);
    filled(made.path(), &events).await;
    let path = files(&made)[0].clone();
    let whole = fs::read(&path).unwrap();
    for byte in (0..whole.len()).step_by(5) {
        let directory = tempfile::tempdir().unwrap();
        let slot = directory.path().join("0");
        fs::create_dir(&slot).unwrap();
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << (byte % 8);
        fs::write(slot.join(path.file_name().unwrap()), &flipped).unwrap();
        let spool = FileSpool::open(directory.path(), PLENTY).unwrap();
        let found = emptied(&spool).await;
        assert!(found.len() >= 2 && found.iter().all(|event| events.contains(event)), "flipped in {byte}");
        let aside: Vec<_> = fs::read_dir(slot.join("aside")).unwrap().collect();
        assert_eq!(aside.len(), 1, "flipped in {byte}");
        assert!(spool.standing().troubles[0].contains("aside"), "{:?}", spool.standing());
    }
}

#[tokio::test]
async fn what_another_version_wrote_is_kept_aside_and_said() {
    let directory = tempfile::tempdir().unwrap();
    let slot = directory.path().join("0");
    fs::create_dir(&slot).unwrap();
    fs::write(slot.join("00000000000000000001-7.sealed"), b"correio spool 9\nwhatever it holds").unwrap();
    let events = some(["one"]);
    let spool = FileSpool::open(directory.path(), PLENTY).unwrap();
    spool.append(&events[0]).await.unwrap();
    assert_eq!(emptied(&spool).await, events);
    let kept: Vec<_> = fs::read_dir(slot.join("aside")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(fs::read(&kept[0]).unwrap(), b"correio spool 9\nwhatever it holds");
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_said_and_costs_nothing_that_was_kept() {
    let directory = tempfile::tempdir().unwrap();
    let events = some(["one", "two"]);
    let spool = FileSpool::open(directory.path(), PLENTY).unwrap();
    spool.append(&events[0]).await.unwrap();
    spool.oldest().await.unwrap();
    let (slot, elsewhere) = (directory.path().join("0"), directory.path().join("elsewhere"));
    fs::rename(&slot, &elsewhere).unwrap();
    assert!(matches!(spool.append(&events[1]).await, Err(SpoolError::Unusable(_))));
    assert!(spool.standing().is_failing && !spool.standing().takes_events());
    fs::rename(&elsewhere, &slot).unwrap();
    spool.append(&events[1]).await.unwrap();
    assert!(!spool.standing().is_failing);
    assert_eq!(emptied(&spool).await, events);
}

#[tokio::test]
async fn what_the_database_does_not_take_is_kept_aside() {
    let directory = tempfile::tempdir().unwrap();
    let spool = FileSpool::open(directory.path(), PLENTY).unwrap();
    let events = some(["one"]);
    spool.set_aside(&events[0], "refused").await.unwrap();
    let name = format!("0/aside/{}.json", events[0].event.id);
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(directory.path().join(name)).unwrap()).unwrap();
    assert_eq!(kept["name"], "one");
}

#[test]
fn a_switch_is_set_for_others_and_for_later() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("spool");
    let switch = FileSwitch::new(root.clone(), false);
    assert!(!switch.is_on());
    switch.set(true).unwrap();
    assert!(switch.is_on() && FileSwitch::new(root.clone(), false).is_on());
    switch.set(false).unwrap();
    switch.set(false).unwrap();
    assert!(!switch.is_on() && !FileSwitch::new(root.clone(), false).is_on());
    assert!(FileSwitch::new(root, true).is_on(), "as it is configured");
}
