use std::time::Duration;

use correio::application::ports::{BreakerRow, Opening, ProbeAsked, ProbeEnded};
use correio::domain::instance::InstanceId;
use correio::domain::instance::breaker::{BreakerOf, BreakerState, ProbeEnd};
use correio::domain::message::MessageStatus;
use uuid::Uuid;

use crate::contracts::on_every_adapter;
use crate::support::adapters::Adapters;
use crate::support::eventually::{SOON, eventually};
use crate::support::given::{message, node, tenant};

on_every_adapter![
    one_that_is_open_stays_as_it_is,
    there_is_one_probe_however_many_ask,
    there_is_no_probe_before_its_time,
    a_probe_that_fails_makes_the_next_one_wait,
    a_probe_that_works_closes_it,
    a_probe_that_says_nothing_changes_nothing,
    a_probe_whose_process_died_makes_room_for_another,
    one_that_fails_for_so_long_is_disabled_until_a_person_lets_it_in,
    a_host_is_not_an_instance_and_each_tenant_has_its_own,
    a_change_is_told_once,
    what_was_told_of_one_that_is_closed_is_forgotten,
];

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(60);

fn instance() -> BreakerOf {
    BreakerOf::Instance(InstanceId(Uuid::now_v7()))
}

async fn open(adapters: &Adapters, of: &BreakerOf, pause: Duration) -> bool {
    let (of, reason, now) = (of.clone(), "HTTP 503".to_owned(), chrono::Utc::now());
    let opening = Opening { of, tenant: tenant("acme"), reason, pause, now };
    adapters.breakers.open(&opening).await.unwrap()
}

async fn probe_by(adapters: &Adapters, process: usize, of: &BreakerOf, lease: Duration) -> Option<(Uuid, u32)> {
    let probe = Uuid::now_v7();
    let asked = ProbeAsked { of: of.clone(), probe, lease, now: chrono::Utc::now() };
    Some((probe, adapters.of_process(process).breakers.probe(&asked).await.unwrap()?))
}

async fn probe(adapters: &Adapters, of: &BreakerOf) -> Option<(Uuid, u32)> {
    probe_by(adapters, 0, of, LONG).await
}

async fn end(adapters: &Adapters, of: &BreakerOf, probe: Uuid, end: ProbeEnd) -> bool {
    let ended = ProbeEnded { of: of.clone(), probe, end, now: chrono::Utc::now() };
    adapters.breakers.end(&ended).await.unwrap()
}

fn fails(pause: Duration, disable_after: Option<Duration>) -> ProbeEnd {
    ProbeEnd::Fails { reason: "HTTP 502".to_owned(), pause, disable_after }
}

async fn find(adapters: &Adapters, of: &BreakerOf) -> Option<BreakerRow> {
    let all = adapters.breakers.all(chrono::Utc::now()).await.unwrap();
    all.into_iter().find(|row| row.of == *of)
}

async fn one_that_is_open_stays_as_it_is(adapters: &Adapters) {
    let shop = instance();
    assert!(find(adapters, &shop).await.is_none());
    assert!(open(adapters, &shop, LONG).await);
    let row = find(adapters, &shop).await.unwrap();
    assert_eq!(
        (row.state, row.reason.as_deref(), row.tenant.clone()),
        (BreakerState::Open, Some("HTTP 503"), tenant("acme"))
    );
    assert!(row.probe_in > LONG / 2 && row.probe_in <= LONG && row.idle == NOW && row.probing.is_none(), "{row:?}");
    assert!((chrono::Utc::now() - row.since).abs() < chrono::TimeDelta::seconds(30), "{row:?}");
    assert!(!open(adapters, &shop, NOW).await);
    assert_eq!(find(adapters, &shop).await.unwrap().since, row.since);
}

async fn there_is_one_probe_however_many_ask(adapters: &Adapters) {
    let shop = instance();
    open(adapters, &shop, NOW).await;
    let asking = (0..40).map(|process| probe_by(adapters, process, &shop, LONG));
    let given = futures::future::join_all(asking).await.into_iter().flatten().count();
    assert_eq!(given, 1);
    let row = find(adapters, &shop).await.unwrap();
    assert_eq!(row.state, BreakerState::HalfOpen);
    assert!(row.probing.is_some_and(|rest| rest > LONG / 2 && rest <= LONG), "{row:?}");
}

async fn there_is_no_probe_before_its_time(adapters: &Adapters) {
    let shop = instance();
    assert!(probe(adapters, &shop).await.is_none(), "it is closed");
    open(adapters, &shop, Duration::from_millis(300)).await;
    assert!(probe(adapters, &shop).await.is_none());
    eventually(SOON, "its time comes", async || probe(adapters, &shop).await).await;
}

async fn a_probe_that_fails_makes_the_next_one_wait(adapters: &Adapters) {
    let shop = instance();
    open(adapters, &shop, NOW).await;
    let since = find(adapters, &shop).await.unwrap().since;
    let (first, failed) = probe(adapters, &shop).await.unwrap();
    assert_eq!(failed, 0);
    assert!(end(adapters, &shop, first, fails(NOW, None)).await);
    let (second, failed) = probe(adapters, &shop).await.unwrap();
    assert_eq!(failed, 1);
    assert!(!end(adapters, &shop, first, ProbeEnd::Works).await, "it is over");
    assert!(end(adapters, &shop, second, fails(LONG, Some(LONG))).await);
    assert!(probe(adapters, &shop).await.is_none());
    let row = find(adapters, &shop).await.unwrap();
    assert_eq!((row.state, row.reason.as_deref()), (BreakerState::Open, Some("HTTP 502")));
    assert_eq!((row.since, row.disabled_at, row.changes), (since, None, 1));
}

async fn a_probe_that_works_closes_it(adapters: &Adapters) {
    let shop = instance();
    open(adapters, &shop, NOW).await;
    let (works, _) = probe(adapters, &shop).await.unwrap();
    assert!(end(adapters, &shop, works, ProbeEnd::Works).await);
    assert!(!end(adapters, &shop, works, ProbeEnd::Works).await);
    let row = find(adapters, &shop).await.unwrap();
    assert_eq!((row.state, row.reason, row.changes), (BreakerState::Closed, None, 2));
    assert!(probe(adapters, &shop).await.is_none());
    assert!(open(adapters, &shop, NOW).await, "it opens again");
    assert_eq!(probe(adapters, &shop).await.map(|it| it.1), Some(0));
}

async fn a_probe_that_says_nothing_changes_nothing(adapters: &Adapters) {
    let shop = instance();
    open(adapters, &shop, NOW).await;
    let (first, _) = probe(adapters, &shop).await.unwrap();
    assert!(end(adapters, &shop, first, ProbeEnd::Nothing { pause: NOW }).await);
    assert_eq!(find(adapters, &shop).await.unwrap().state, BreakerState::Open);
    let (second, failed) = probe(adapters, &shop).await.unwrap();
    assert_eq!(failed, 0);
    assert!(end(adapters, &shop, second, ProbeEnd::Nothing { pause: LONG }).await);
    assert!(probe(adapters, &shop).await.is_none());
}

async fn a_probe_whose_process_died_makes_room_for_another(adapters: &Adapters) {
    let shop = instance();
    open(adapters, &shop, NOW).await;
    let (first, _) = probe_by(adapters, 0, &shop, Duration::from_millis(400)).await.unwrap();
    assert!(probe_by(adapters, 1, &shop, LONG).await.is_none());
    let again = async || probe_by(adapters, 1, &shop, LONG).await;
    let (second, _) = eventually(SOON, "its time is over", again).await;
    assert!(!end(adapters, &shop, first, fails(LONG, None)).await, "it was given to another one");
    assert!(end(adapters, &shop, second, ProbeEnd::Works).await);
    // Nobody needed its place meanwhile.
    open(adapters, &shop, NOW).await;
    let (late, _) = probe_by(adapters, 0, &shop, NOW).await.unwrap();
    assert_eq!(find(adapters, &shop).await.unwrap().state, BreakerState::Open, "half-open only while it may take");
    assert!(end(adapters, &shop, late, ProbeEnd::Works).await);
}

async fn one_that_fails_for_so_long_is_disabled_until_a_person_lets_it_in(adapters: &Adapters) {
    let shop = instance();
    open(adapters, &shop, NOW).await;
    let (first, _) = probe(adapters, &shop).await.unwrap();
    assert!(end(adapters, &shop, first, fails(NOW, Some(NOW))).await);
    let row = find(adapters, &shop).await.unwrap();
    assert!(row.disabled_at.is_some() && row.state == BreakerState::Open && row.changes == 2, "{row:?}");
    assert!(probe(adapters, &shop).await.is_none());
    assert!(!open(adapters, &shop, NOW).await);
    assert!(adapters.breakers.close(&shop, chrono::Utc::now()).await.unwrap());
    assert!(!adapters.breakers.close(&shop, chrono::Utc::now()).await.unwrap());
    let row = find(adapters, &shop).await.unwrap();
    assert!(row.disabled_at.is_none() && row.state == BreakerState::Closed && row.changes == 3, "{row:?}");
}

async fn a_host_is_not_an_instance_and_each_tenant_has_its_own(adapters: &Adapters) {
    let host = |name: &str| BreakerOf::Host(tenant(name), "https://shop.example:443".to_owned());
    for (of, name) in [(host("acme"), "acme"), (host("globex"), "globex")] {
        let tenant = tenant(name);
        let opening = Opening { of, tenant, reason: "away".to_owned(), pause: NOW, now: chrono::Utc::now() };
        assert!(adapters.breakers.open(&opening).await.unwrap());
    }
    let (probe_of_acme, _) = probe(adapters, &host("acme")).await.unwrap();
    assert!(end(adapters, &host("acme"), probe_of_acme, ProbeEnd::Works).await);
    assert_eq!(find(adapters, &host("acme")).await.unwrap().state, BreakerState::Closed);
    assert_eq!(find(adapters, &host("globex")).await.unwrap().state, BreakerState::Open);
}

async fn a_change_is_told_once(adapters: &Adapters) {
    let shop = instance();
    open(adapters, &shop, NOW).await;
    let row = find(adapters, &shop).await.unwrap();
    assert!(row.is_untold());
    let tells = [0, 1].map(|_| message(MessageStatus::Queued, node()));
    let telling = tells.iter().enumerate().map(|(process, tells)| {
        let breakers = &adapters.of_process(process).breakers;
        breakers.tell(&shop, row.changes, std::slice::from_ref(tells))
    });
    let told: Vec<bool> = futures::future::join_all(telling).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(told.iter().filter(|told| **told).count(), 1);
    for (tells, told) in tells.iter().zip(told) {
        assert_eq!(adapters.messages.find(tells.id).await.unwrap().is_some(), told);
    }
    assert!(!find(adapters, &shop).await.unwrap().is_untold());
}

async fn what_was_told_of_one_that_is_closed_is_forgotten(adapters: &Adapters) {
    let shop = instance();
    open(adapters, &shop, NOW).await;
    assert!(adapters.breakers.close(&shop, chrono::Utc::now()).await.unwrap());
    assert!(!adapters.breakers.tell(&shop, 1, &[]).await.unwrap(), "it has changed since");
    assert!(adapters.breakers.tell(&shop, 2, &[]).await.unwrap());
    assert!(find(adapters, &shop).await.is_none());
}
