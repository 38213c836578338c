use correio::application::ports::RepositoryError;
use correio::domain::access::api_key::ApiKey;
use correio::domain::access::principal::Scope;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, instance, tenant};

on_every_adapter![
    a_tenant_is_new_once,
    a_key_is_found_by_its_hash_also_when_it_is_over,
    a_hash_is_there_once_whatever_its_tenant,
    an_id_is_there_once_whoever_is_first,
    lists_are_oldest_first_and_have_revoked_keys_too,
    a_key_is_revoked_once,
    a_tenant_is_one_that_has_a_row_or_an_instance,
];

fn key(tenant_name: &str, hash: u8, created: i64) -> ApiKey {
    ApiKey {
        id: id(),
        tenant: tenant(tenant_name),
        name: "relatórios".to_owned(),
        prefix: "cor_1234".to_owned(),
        hash: [hash; 32],
        scopes: vec![Scope::MessagesWrite, Scope::InstancesRead],
        created_at: at(created),
        expires_at: Some(at(100)),
        revoked_at: None,
        requests_per_minute: Some(600),
    }
}

async fn a_tenant_is_new_once(adapters: &Adapters) {
    assert!(adapters.api_keys.ensure_tenant(&tenant("acme"), at(0)).await.unwrap());
    assert!(!adapters.api_keys.ensure_tenant(&tenant("acme"), at(1)).await.unwrap());
    assert!(adapters.api_keys.ensure_tenant(&tenant("globex"), at(1)).await.unwrap());
}

async fn a_key_is_found_by_its_hash_also_when_it_is_over(adapters: &Adapters) {
    let full = key("acme", 1, 0);
    let bare = ApiKey { scopes: vec![], expires_at: None, ..key("acme", 2, 0) };
    let over = ApiKey { expires_at: Some(at(-1)), revoked_at: Some(at(-2)), ..key("acme", 3, 0) };
    for key in [full, bare, over] {
        adapters.api_keys.insert(&key).await.unwrap();
        let found = adapters.api_keys.find_by_hash(&key.hash).await.unwrap().unwrap();
        assert_eq!(format!("{found:?}"), format!("{key:?}"));
    }
    assert!(adapters.api_keys.find_by_hash(&[9; 32]).await.unwrap().is_none());
}

async fn a_hash_is_there_once_whatever_its_tenant(adapters: &Adapters) {
    let first = key("acme", 1, 0);
    adapters.api_keys.insert(&first).await.unwrap();
    adapters.api_keys.revoke(first.id, at(1)).await.unwrap();
    let again = adapters.api_keys.insert(&key("globex", 1, 0)).await;
    assert!(matches!(again, Err(RepositoryError::Conflict)));
}

async fn an_id_is_there_once_whoever_is_first(adapters: &Adapters) {
    let first = key("acme", 0, 0);
    let keys: Vec<ApiKey> = (0..8).map(|hash| ApiKey { hash: [hash; 32], ..first.clone() }).collect();
    let inserted = futures::future::join_all(keys.iter().map(|key| adapters.api_keys.insert(key))).await;
    let conflicts = inserted.iter().filter(|it| matches!(it, Err(RepositoryError::Conflict))).count();
    assert_eq!((inserted.iter().filter(|it| it.is_ok()).count(), conflicts), (1, 7), "{inserted:?}");
    let kept = keys[inserted.iter().position(Result::is_ok).unwrap()].hash;
    let listed = adapters.api_keys.list(None).await.unwrap();
    assert_eq!(listed.iter().map(|key| key.hash).collect::<Vec<_>>(), [kept]);
}

async fn lists_are_oldest_first_and_have_revoked_keys_too(adapters: &Adapters) {
    let (third, first, second) = (key("acme", 3, 30), key("acme", 1, 10), key("globex", 2, 20));
    for key in [&third, &first, &second] {
        adapters.api_keys.insert(key).await.unwrap();
    }
    adapters.api_keys.revoke(first.id, at(40)).await.unwrap();
    let ids = |keys: Vec<ApiKey>| keys.into_iter().map(|key| key.id).collect::<Vec<_>>();
    assert_eq!(ids(adapters.api_keys.list(None).await.unwrap()), [first.id, second.id, third.id]);
    assert_eq!(ids(adapters.api_keys.list(Some(&tenant("acme"))).await.unwrap()), [first.id, third.id]);
    assert!(adapters.api_keys.list(Some(&tenant("initech"))).await.unwrap().is_empty());
}

async fn a_key_is_revoked_once(adapters: &Adapters) {
    let key = key("acme", 1, 0);
    adapters.api_keys.insert(&key).await.unwrap();
    assert!(adapters.api_keys.revoke(key.id, at(5)).await.unwrap());
    assert!(adapters.api_keys.revoke(key.id, at(6)).await.unwrap());
    assert_eq!(adapters.api_keys.find_by_hash(&key.hash).await.unwrap().unwrap().revoked_at, Some(at(5)));
    assert!(!adapters.api_keys.revoke(id(), at(5)).await.unwrap());
}

async fn a_tenant_is_one_that_has_a_row_or_an_instance(adapters: &Adapters) {
    let others = async || adapters.api_keys.has_tenant_beside("default").await.unwrap();
    assert!(!others().await);
    adapters.api_keys.ensure_tenant(&tenant("default"), at(0)).await.unwrap();
    adapters.instances.insert(&instance("default", "hook")).await.unwrap();
    assert!(!others().await);
    for name in ["acme", "zeta"] {
        let others_instance = instance(name, "hook");
        adapters.instances.insert(&others_instance).await.unwrap();
        assert!(others().await, "{name} has an instance");
        assert!(adapters.instances.delete(&tenant(name), others_instance.id, at(1)).await.unwrap());
        assert!(!others().await, "{name} has none any more");
    }
    adapters.api_keys.ensure_tenant(&tenant("acme"), at(2)).await.unwrap();
    assert!(others().await, "acme has a row");
}
