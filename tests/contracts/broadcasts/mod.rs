mod broadcast_expansion;
mod broadcast_repository;

use correio::application::ports::BroadcastExpansion;
use correio::domain::broadcast::recipient::BroadcastRecipient;
use correio::domain::broadcast::{Broadcast, BroadcastDraft, BroadcastId};
use correio::domain::message::{Content, MaxTries, Message};
use correio::domain::node::NodeId;

use crate::support::databases::Adapters;
use crate::support::given::{at, id, instance};

fn draft() -> BroadcastDraft {
    BroadcastDraft {
        group: None,
        content: Content { text: Some("Olá, {{nome}}".to_owned()), ..Content::default() },
        is_template: true,
        max_tries: None,
        priority: None,
        rate_per_minute: None,
        send_at: None,
    }
}

/// To so many, accepted at noon.
fn broadcast(tenant: &str, node: NodeId, draft: BroadcastDraft, total: u32) -> Broadcast {
    let instance = instance(tenant, "hook");
    let sender = correio::domain::access::principal::Principal {
        tenant: instance.tenant.clone(),
        subject: "user".to_owned(),
        scopes: Vec::new(),
    };
    let ids = (BroadcastId(id()), node);
    Broadcast::accept(&sender, &instance, draft, total, MaxTries::new(3).unwrap(), ids, at(0))
}

fn recipients(total: u32) -> Vec<BroadcastRecipient> {
    let one = |place: u32| BroadcastRecipient {
        address: place.to_string(),
        variables: [("nome".to_owned(), format!("Ana {place}"))].into(),
    };
    (0..total).map(one).collect()
}

impl Adapters {
    async fn broadcast(&self, node: NodeId, total: u32) -> Broadcast {
        let broadcast = broadcast("acme", node, draft(), total);
        self.broadcasts.accept(&broadcast, &recipients(total), None).await.unwrap();
        broadcast
    }

    /// As it is now.
    async fn now_is(&self, broadcast: &Broadcast) -> Broadcast {
        self.broadcasts.find(&broadcast.tenant, broadcast.id).await.unwrap().unwrap().broadcast
    }
}

/// The messages of the next places.
async fn chunk(expansion: &dyn BroadcastExpansion, broadcast: &Broadcast, most: u32, node: NodeId) -> Vec<Message> {
    let recipients = expansion.recipients(broadcast, broadcast.cursor, most).await.unwrap();
    let places = (broadcast.cursor..).zip(&recipients);
    places.map(|(place, recipient)| broadcast.message(place, recipient, |_, _| None, node, (at(1), at(1)))).collect()
}
