use correio::application::ports::SealedInstance;
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::credentials::SealedCredentials;
use correio::domain::instance::{Instance, InstanceChange, InstanceId};

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, instance};

on_every_adapter![
    an_instance_is_found_by_the_token_that_was_noted_of_it,
    other_credentials_take_the_note_away,
    those_without_a_note_are_paged,
];

const DIGEST: [u8; 32] = [7; 32];

fn channel() -> ChannelName {
    ChannelName::new("wide")
}

async fn stored(adapters: &Adapters, tenant: &str, name: &str) -> SealedInstance {
    let instance = Instance { channel: channel(), ..instance(tenant, name) };
    adapters.instances.insert(&instance).await.unwrap();
    SealedInstance { id: instance.id, channel_instance_id: name.to_owned(), credentials: instance.credentials }
}

async fn found(adapters: &Adapters, digest: [u8; 32], name: Option<&str>) -> Option<InstanceId> {
    let found = adapters.handshakes.find(&channel(), &digest, name).await.unwrap();
    found.map(|instance| instance.id)
}

async fn an_instance_is_found_by_the_token_that_was_noted_of_it(adapters: &Adapters) {
    let (shop, bank) = (stored(adapters, "acme", "shop").await, stored(adapters, "globex", "bank").await);
    assert_eq!(found(adapters, DIGEST, None).await, None);
    adapters.handshakes.note(&[(shop.clone(), DIGEST), (bank.clone(), [8; 32])]).await.unwrap();
    assert_eq!(found(adapters, DIGEST, None).await, Some(shop.id));
    assert_eq!(found(adapters, DIGEST, Some("shop")).await, Some(shop.id));
    assert_eq!(found(adapters, DIGEST, Some("bank")).await, None);
    assert_eq!(found(adapters, [8; 32], Some("bank")).await, Some(bank.id));
    assert_eq!(adapters.handshakes.find(&ChannelName::new("webhook"), &DIGEST, None).await.unwrap(), None);
    assert_eq!(adapters.handshakes.find(&channel(), &DIGEST, None).await.unwrap(), Some(shop));
}

async fn other_credentials_take_the_note_away(adapters: &Adapters) {
    let shop = stored(adapters, "acme", "shop").await;
    adapters.handshakes.note(&[(shop.clone(), DIGEST)]).await.unwrap();
    let tenant = crate::support::given::tenant("acme");
    let change = async |change: InstanceChange| {
        adapters.instances.update(&tenant, shop.id, &change, at(5)).await.unwrap().unwrap();
    };
    change(InstanceChange { name: Some(None), ..InstanceChange::default() }).await;
    assert_eq!(found(adapters, DIGEST, None).await, Some(shop.id));
    let credentials = Some(SealedCredentials(vec![4, 2]));
    change(InstanceChange { credentials, ..InstanceChange::default() }).await;
    assert_eq!(found(adapters, DIGEST, None).await, None);
    // Read before, and opened since.
    adapters.handshakes.note(&[(shop.clone(), DIGEST)]).await.unwrap();
    assert_eq!(found(adapters, DIGEST, None).await, None);
    let unnoted = adapters.handshakes.unnoted(&channel(), None, 10).await.unwrap();
    assert_eq!(unnoted, [SealedInstance { credentials: SealedCredentials(vec![4, 2]), ..shop }]);
}

async fn those_without_a_note_are_paged(adapters: &Adapters) {
    let mut all = Vec::new();
    for number in 0..5 {
        all.push(stored(adapters, &format!("tenant{number}"), "shop").await);
    }
    let bare = Instance { channel: channel(), credentials: SealedCredentials(vec![]), ..instance("acme", "bare") };
    adapters.instances.insert(&bare).await.unwrap();
    adapters.instances.insert(&instance("acme", "hook")).await.unwrap();
    all.sort_by_key(|instance| instance.id);
    let noted = all.remove(1);
    adapters.handshakes.note(&[(noted, DIGEST)]).await.unwrap();
    let (mut paged, mut after) = (Vec::new(), None);
    for length in [3, 1, 0] {
        let page = adapters.handshakes.unnoted(&channel(), after, 3).await.unwrap();
        assert_eq!(page.len(), length);
        after = page.last().map(|instance| instance.id).or(after);
        paged.extend(page);
    }
    assert_eq!(paged, all);
}
