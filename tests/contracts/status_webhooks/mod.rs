mod status_changes;
mod status_subscriptions;

use correio::domain::access::principal::Tenant;
use correio::domain::instance::InstanceId;
use correio::domain::instance::credentials::SealedCredentials;
use correio::domain::status_webhook::{States, StatusSubscription};

use crate::support::given::{at, id};

fn subscription(tenant: Tenant) -> StatusSubscription {
    StatusSubscription {
        id: InstanceId(id()),
        tenant,
        user_id: "ana".to_owned(),
        url: "https://example.com/estados".to_owned(),
        credentials: SealedCredentials(vec![1, 2, 3]),
        states: States::all(),
        channel_instance_id: None,
        version: 1,
        created_at: at(1),
        updated_at: at(1),
    }
}
