//! Who is told of every state of the messages of the simulation.

use std::time::Duration;

use correio::application::ports::CredentialsCipher;
use correio::domain::instance::InstanceId;
use correio::domain::instance::credentials::Credentials;
use correio::domain::status_webhook::{States, StatusSubscription};
use correio::infrastructure::auth::XChaChaCredentialsCipher;
use uuid::Uuid;

use super::process::KEY;
use super::scheduler::{OUTSIDE, Scheduler};
use crate::support::given;
use crate::support::memory::MemoryDatabase;

/// Stored before anything else happens.
pub fn subscribe(scheduler: &Scheduler, database: &MemoryDatabase) {
    let id = InstanceId(Uuid::from_u128(3));
    let cipher = XChaChaCredentialsCipher::new(&KEY, &[]);
    let subscription = StatusSubscription {
        id,
        tenant: given::tenant("acme"),
        user_id: "ana".to_owned(),
        url: "https://example.com/estados".to_owned(),
        credentials: cipher.seal(id, &Credentials::new("{}")).unwrap(),
        states: States::all(),
        channel_instance_id: None,
        version: 1,
        created_at: given::at(0),
        updated_at: given::at(0),
    };
    let adapters = database.adapters();
    let insert = async move { assert!(adapters.status_subscriptions.insert(&subscription).await.unwrap()) };
    scheduler.spawn(OUTSIDE, Box::pin(insert));
    scheduler.run_until(scheduler.now() + Duration::from_millis(1));
}
