use chrono::TimeDelta;
use correio::application::ports::{EventFilter, NewEvent, RepositoryError, Retry, StoredEvent};
use correio::domain::event::{Event, EventId, EventStatus, HistoryEntry, Step};
use correio::infrastructure::storage::shared::first_id;
use futures::future::join_all;

use super::{event, new, now, stored};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, tenant};

on_every_adapter![
    an_event_is_found_as_it_was_stored,
    a_repeat_is_told_which_event_was_first,
    one_whose_answer_was_lost_may_be_stored_again,
    a_key_is_remembered_for_its_time_alone,
    what_is_reported_at_once_is_stored_once_whichever_process_has_it,
    many_at_once_are_stored_each,
    lists_are_newest_first_and_filtered,
    a_page_has_no_more_than_fits,
    counts_follow_every_move,
    one_tenant_sees_nothing_of_another,
    what_is_old_and_at_its_end_is_deleted,
    a_type_of_which_no_event_is_left_is_not_counted,
    what_cannot_be_stored_is_refused_alone,
];

async fn an_event_is_found_as_it_was_stored(adapters: &Adapters) {
    let full = event("one");
    let bare = Event { key: None, ordering_key: None, via: None, occurred_at: None, ..event("two") };
    for event in [full, bare] {
        stored(adapters, &event, &[Step::Publish, Step::Route]).await;
        assert_eq!(now(adapters, &event).await, event);
        let lines = adapters.events.history(&event.tenant, event.id).await.unwrap();
        let first = HistoryEntry {
            status: EventStatus::Received,
            step: None,
            at: event.received_at,
            reason: event.via.clone(),
        };
        assert_eq!(lines, [first]);
    }
    assert_eq!(adapters.events.find(&tenant("acme"), "three").await.unwrap(), None);
}

async fn a_repeat_is_told_which_event_was_first(adapters: &Adapters) {
    let first = event("one");
    stored(adapters, &first, &[Step::Publish]).await;
    let again = Event { id: EventId(id()), name: "again".to_owned(), received_at: at(5), ..first.clone() };
    let answer = adapters.events.store(&new(&again, &[Step::Publish])).await.unwrap();
    assert_eq!(answer, StoredEvent::Repeated(Some(Box::new(first.clone()))));
    assert_eq!(adapters.events.find(&tenant("acme"), "again").await.unwrap(), None);
    for other in [
        Event { id: EventId(id()), source: "erp".to_owned(), ..first.clone() },
        Event { id: EventId(id()), tenant: tenant("globex"), ..first.clone() },
        Event { id: EventId(id()), key: None, ..first.clone() },
    ] {
        stored(adapters, &other, &[]).await;
    }
}

async fn one_whose_answer_was_lost_may_be_stored_again(adapters: &Adapters) {
    for first in [event("one"), Event { key: None, ..event("two") }] {
        stored(adapters, &first, &[Step::Publish]).await;
        let answer = adapters.events.store(&new(&first, &[Step::Publish])).await.unwrap();
        assert_eq!(answer, StoredEvent::Repeated(Some(Box::new(first.clone()))));
        assert_eq!(adapters.events.history(&first.tenant, first.id).await.unwrap().len(), 1);
    }
    assert_eq!(adapters.events.count(&tenant("acme")).await.unwrap().total(), 2);
}

async fn a_key_is_remembered_for_its_time_alone(adapters: &Adapters) {
    // Long ago: a time that has not come by the database's clock has not come.
    let begin = at(0) - TimeDelta::days(60);
    let first = Event { received_at: begin, ..event("one") };
    stored(adapters, &first, &[]).await;
    let again = |days| Event { id: EventId(id()), received_at: begin + TimeDelta::days(days), ..first.clone() };
    assert!(matches!(adapters.events.store(&new(&again(6), &[])).await.unwrap(), StoredEvent::Repeated(_)));
    stored(adapters, &again(7), &[]).await;
    assert!(matches!(adapters.events.store(&new(&again(8), &[])).await.unwrap(), StoredEvent::Repeated(_)));
    adapters.events.sweep(None, begin + TimeDelta::days(14)).await.unwrap();
    stored(adapters, &again(8), &[]).await;
}

async fn what_is_reported_at_once_is_stored_once_whichever_process_has_it(adapters: &Adapters) {
    let reports: Vec<NewEvent> =
        (0..20).map(|_| new(&Event { id: EventId(id()), ..event("one") }, &[Step::Publish])).collect();
    let store = |(number, report)| adapters.of_process(number).events.store(report);
    let answers = join_all(reports.iter().enumerate().map(store)).await;
    let new = answers.iter().filter(|answer| matches!(answer, Ok(StoredEvent::New))).count();
    assert_eq!(new, 1, "{answers:?}");
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(adapters.events.count(&tenant("acme")).await.unwrap().total(), 1);
}

async fn many_at_once_are_stored_each(adapters: &Adapters) {
    let reports: Vec<NewEvent> = (0..200).map(|number| new(&event(&number.to_string()), &[Step::Route])).collect();
    let store = |(number, report)| adapters.of_process(number).events.store(report);
    let answers = join_all(reports.iter().enumerate().map(store)).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(StoredEvent::New))), "{answers:?}");
    assert_eq!(adapters.events.count(&tenant("acme")).await.unwrap().total(), 200);
}

async fn lists_are_newest_first_and_filtered(adapters: &Adapters) {
    let mut all = Vec::new();
    for number in 0..6 {
        let kind = if number % 2 == 0 { "deal.change" } else { "person.create" };
        let source = if number < 3 { "crm" } else { "erp" };
        let one = Event {
            id: EventId(first_id(at(number))),
            kind: kind.to_owned(),
            source: source.to_owned(),
            received_at: at(number),
            ..event(&number.to_string())
        };
        let status = if number == 5 { EventStatus::Processed } else { EventStatus::Received };
        let one = Event { status, updated_at: at(number), ..one };
        stored(adapters, &one, &[]).await;
        all.insert(0, one);
    }
    let names = async |filter: EventFilter, before: Option<EventId>, limit| {
        let listed = adapters.events.list(&tenant("acme"), &filter, before, limit).await.unwrap();
        (listed.events.into_iter().map(|event| event.name).collect::<Vec<_>>().join(" "), listed.more)
    };
    let every = EventFilter::default;
    assert_eq!(names(every(), None, 4).await, ("5 4 3 2".to_owned(), true));
    assert_eq!(names(every(), Some(all[3].id), 4).await, ("1 0".to_owned(), false));
    assert_eq!(names(every(), None, 6).await, ("5 4 3 2 1 0".to_owned(), false));
    let of_kind = EventFilter { kind: Some("person.create".to_owned()), ..every() };
    assert_eq!(names(of_kind, None, 10).await.0, "5 3 1");
    let of_source = EventFilter { source: Some("crm".to_owned()), ..every() };
    assert_eq!(names(of_source, None, 10).await.0, "2 1 0");
    for (status, expected) in
        [(EventStatus::Processed, "5"), (EventStatus::Received, "4 3 2 1 0"), (EventStatus::DeadLetter, "")]
    {
        assert_eq!(names(EventFilter { status: Some(status), ..every() }, None, 10).await.0, expected);
    }
    let between = EventFilter { received_after: Some(at(2)), received_before: Some(at(4)), ..every() };
    assert_eq!(names(between, None, 10).await.0, "3 2");
    let whole = adapters.events.list(&tenant("acme"), &every(), None, 1).await.unwrap();
    assert_eq!(whole.events, [all[0].clone()]);
}

async fn a_page_has_no_more_than_fits(adapters: &Adapters) {
    for number in 0..4 {
        let data = format!("\"{}\"", "x".repeat(7 << 20));
        stored(adapters, &Event { data, ..event(&number.to_string()) }, &[]).await;
    }
    let page = adapters.events.list(&tenant("acme"), &EventFilter::default(), None, 100).await.unwrap();
    assert_eq!((page.events.len(), page.more), (3, true));
    let last = page.events.last().unwrap().id;
    let rest = adapters.events.list(&tenant("acme"), &EventFilter::default(), Some(last), 100).await.unwrap();
    assert_eq!((rest.events.len(), rest.more), (1, false));
}

async fn counts_follow_every_move(adapters: &Adapters) {
    let counts = async || adapters.events.count(&tenant("acme")).await.unwrap();
    for name in ["one", "two"] {
        stored(adapters, &event(name), &[Step::Publish]).await;
    }
    stored(adapters, &Event { kind: "VENDA".to_owned(), ..event("three") }, &[]).await;
    let all = counts().await;
    assert_eq!(all.by_status, [(EventStatus::Received, 3)].into());
    assert_eq!(all.by_kind, [("VENDA".to_owned(), 1), ("deal.change".to_owned(), 2)].into());
    adapters.event_steps.take(Step::Publish, 1, std::time::Duration::from_secs(60), at(1)).await.unwrap();
    let all = counts().await;
    assert_eq!(all.by_status, [(EventStatus::Received, 2), (EventStatus::Processing, 1)].into());
    assert_eq!(all.total(), 3);
}

async fn one_tenant_sees_nothing_of_another(adapters: &Adapters) {
    let theirs = event("one");
    stored(adapters, &theirs, &[Step::Publish]).await;
    let other = tenant("globex");
    assert_eq!(adapters.events.find(&other, "one").await.unwrap(), None);
    assert!(adapters.events.history(&other, theirs.id).await.unwrap().is_empty());
    assert!(adapters.events.list(&other, &EventFilter::default(), None, 9).await.unwrap().events.is_empty());
    assert_eq!(adapters.events.count(&other).await.unwrap().total(), 0);
    assert_eq!(adapters.events.retry(&other, "one", at(1)).await.unwrap(), Retry::Unknown);
}

async fn a_type_of_which_no_event_is_left_is_not_counted(adapters: &Adapters) {
    let ended = |number: i64, kind: &str| Event {
        id: EventId(first_id(at(number))),
        received_at: at(number),
        status: EventStatus::Processed,
        kind: kind.to_owned(),
        ..event(&format!("{kind} {number}"))
    };
    for number in 0..20 {
        // A type that its reporter makes of an id.
        stored(adapters, &ended(number, &format!("deal.{number}")), &[]).await;
    }
    stored(adapters, &ended(30, "deal.change"), &[]).await;
    stored(adapters, &ended(90, "deal.change"), &[]).await;
    let kinds = async || adapters.events.count(&tenant("acme")).await.unwrap().by_kind;
    assert_eq!(kinds().await.len(), 21);
    adapters.events.sweep(Some(at(50)), at(100)).await.unwrap();
    assert_eq!(kinds().await, [("deal.change".to_owned(), 1)].into());
}

async fn what_is_old_and_at_its_end_is_deleted(adapters: &Adapters) {
    let old = |name: &str, status| Event { id: EventId(first_id(at(name.len() as i64))), status, ..event(name) };
    let (ended, dead) = (old("a", EventStatus::Processed), old("aa", EventStatus::DeadLetter));
    let open = old("aaa", EventStatus::Received);
    let late = Event { received_at: at(100), ..old("aaaa", EventStatus::Processed) };
    for event in [&ended, &dead, &open, &late] {
        stored(adapters, event, &[]).await;
    }
    assert!(!adapters.events.sweep(None, at(50)).await.unwrap());
    assert_eq!(adapters.events.count(&tenant("acme")).await.unwrap().total(), 4);
    assert!(!adapters.events.sweep(Some(at(50)), at(50)).await.unwrap());
    for (event, stays) in [(&ended, false), (&dead, false), (&open, true), (&late, true)] {
        assert_eq!(adapters.events.find(&event.tenant, &event.name).await.unwrap().is_some(), stays, "{event:?}");
        assert_eq!(!adapters.events.history(&event.tenant, event.id).await.unwrap().is_empty(), stays);
    }
    let left = adapters.events.count(&tenant("acme")).await.unwrap();
    assert_eq!((left.total(), left.by_kind.len()), (2, 1));
    let again = Event { id: EventId(id()), received_at: at(60), ..ended.clone() };
    assert_eq!(adapters.events.store(&new(&again, &[])).await.unwrap(), StoredEvent::Repeated(None));
}

async fn what_cannot_be_stored_is_refused_alone(adapters: &Adapters) {
    let reports = [event("one"), Event { data: "\"\0\"".to_owned(), ..event("two") }, event("three")];
    let reports: Vec<NewEvent> = reports.iter().map(|event| new(event, &[Step::Publish])).collect();
    let answers = join_all(reports.iter().map(|report| adapters.events.store(report))).await;
    assert!(matches!(answers[0], Ok(StoredEvent::New)) && matches!(answers[2], Ok(StoredEvent::New)), "{answers:?}");
    assert!(matches!(answers[1], Err(RepositoryError::Refused(_)) | Ok(StoredEvent::New)), "{answers:?}");
}
