//! The spool on its way into the database, and events in an emergency.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use correio::application::Stop;
use correio::application::events::DrainSpool;
use correio::application::events::bells::Bells;
use correio::application::events::receive_webhook::{Companies, DeliveryMethod, ReceiverSettings};
use correio::application::events::receiver::{Receiver, ReceiverPorts};
use correio::application::ports::*;
use correio::infrastructure::sources::PipedriveReader;
use correio::infrastructure::spool::{FileSpool, FileSwitch, MissingSpool};
use correio::infrastructure::system::{SystemClock, SystemIds};
use futures::FutureExt;
use serde_json::json;

use crate::support::given::tenant;
use crate::support::memory::MemoryDatabase;

/// On once it was looked at so often.
struct OnAfter(AtomicUsize);

impl EmergencySwitch for OnAfter {
    fn is_on(&self) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        left == 0
    }

    fn set(&self, _: bool) -> Result<(), SpoolError> {
        Ok(())
    }
}

fn receiver(stores: &Stores, spool: Arc<dyn EventSpool>, emergency: Arc<dyn EmergencySwitch>) -> Receiver {
    let webhook = ReceiverSettings {
        tenant: tenant("acme"),
        source: "webhook".to_owned(),
        steps: Vec::new(),
        companies: Companies::default(),
    };
    let ports = ReceiverPorts {
        spool,
        emergency,
        reader: Arc::new(PipedriveReader),
        webhook: Some(webhook),
        publication: None,
        tables: None,
    };
    Receiver::new(ports, stores, Arc::new(SystemClock::new()), Arc::new(SystemIds::default()), &Bells::default())
}

fn body(number: usize) -> String {
    json!({"meta": {"entity": "deal", "action": "change", "company_id": number}}).to_string()
}

async fn stored(stores: &Stores) -> usize {
    let listed = stores.events.list(&tenant("acme"), &EventFilter::default(), None, 10_000).await.unwrap();
    listed.events.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_ends_a_drain_that_is_under_way_and_nothing_is_stored_twice_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let stores = MemoryDatabase::default().adapters().stores;
    let spool: Arc<dyn EventSpool> = Arc::new(FileSpool::open(directory.path(), 1 << 30).unwrap());
    let emergency = Arc::new(FileSwitch::new(directory.path().to_owned(), true));
    let receiver = receiver(&stores, spool.clone(), emergency);
    for number in 0..600 {
        let taken = receiver.webhook.as_ref().unwrap().execute(body(number).as_bytes()).await.unwrap();
        assert_eq!(taken.method, DeliveryMethod::EmergencyFile);
    }
    let never: Stop = std::future::pending().boxed().shared();
    let mut drain: DrainSpool = receiver.drain_spool(&stores, Bells::default());
    drain.emergency = Arc::new(OnAfter(AtomicUsize::new(2)));
    drain.drain(&never, &mut 0).await.unwrap();
    assert_eq!(stored(&stores).await, 256, "the chunk that was begun");
    assert_eq!(spool.standing().events, 600);
    drain.emergency = Arc::new(OnAfter(AtomicUsize::new(1_000)));
    drain.drain(&never, &mut 0).await.unwrap();
    assert_eq!((stored(&stores).await, spool.standing().events), (600, 0));
}

#[tokio::test]
async fn an_emergency_without_a_spool_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let stores = MemoryDatabase::default().adapters().stores;
    let emergency = Arc::new(FileSwitch::new(directory.path().to_owned(), true));
    let receiver = receiver(&stores, Arc::new(MissingSpool("there is no disk".to_owned())), emergency);
    let taken = receiver.webhook.as_ref().unwrap().execute(body(1).as_bytes()).await.unwrap();
    assert_eq!((taken.method, stored(&stores).await), (DeliveryMethod::DirectDb, 1));
}
