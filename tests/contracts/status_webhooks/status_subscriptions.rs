use correio::application::ports::RepositoryError;
use correio::domain::instance::InstanceId;
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::credentials::SealedCredentials;
use correio::domain::message::MessageStatus;
use correio::domain::status_webhook::{MOST, States, StatusSubscription};
use futures::future::join_all;

use super::subscription;
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, tenant};

on_every_adapter![
    a_subscription_is_stored_and_listed_as_it_was_made,
    the_instance_behind_it_delivers_and_is_shown_to_no_client,
    a_tenant_has_a_hundred_however_many_are_made_at_once,
    of_two_changes_at_once_one_is_made,
    a_subscription_that_is_deleted_is_gone_with_its_instance,
];

fn shown(subscriptions: &[StatusSubscription]) -> Vec<String> {
    subscriptions.iter().map(|it| format!("{it:?} {:?}", it.credentials.0)).collect()
}

async fn a_subscription_is_stored_and_listed_as_it_was_made(adapters: &Adapters) {
    let acme = tenant("acme");
    let plain = subscription(acme.clone());
    let narrow = StatusSubscription {
        states: States::some(&[MessageStatus::Failed, MessageStatus::Sent]).unwrap(),
        channel_instance_id: Some("loja".to_owned()),
        created_at: at(0),
        ..subscription(acme.clone())
    };
    for new in [&plain, &narrow, &subscription(tenant("globex"))] {
        assert!(adapters.status_subscriptions.insert(new).await.unwrap());
    }
    let listed = adapters.status_subscriptions.list(&acme).await.unwrap();
    assert_eq!(shown(&listed), shown(&[narrow, plain.clone()]), "oldest first");
    let found = adapters.status_subscriptions.find(&acme, plain.id).await.unwrap().unwrap();
    assert_eq!(shown(&[found]), shown(std::slice::from_ref(&plain)));
    let foreign = adapters.status_subscriptions.find(&tenant("globex"), plain.id).await.unwrap();
    let unknown = adapters.status_subscriptions.find(&acme, InstanceId(id())).await.unwrap();
    assert!(foreign.is_none() && unknown.is_none());
}

async fn the_instance_behind_it_delivers_and_is_shown_to_no_client(adapters: &Adapters) {
    let (acme, webhook) = (tenant("acme"), ChannelName::new("webhook"));
    let one = subscription(acme.clone());
    adapters.status_subscriptions.insert(&one).await.unwrap();
    let name = StatusSubscription::instance_name(one.id);

    let behind = adapters.instances.find_any(one.id).await.unwrap().unwrap();
    assert_eq!((behind.channel.as_str(), behind.channel_instance_id.as_str()), ("webhook", name.as_str()));
    assert_eq!((behind.channel_phone_or_id.as_str(), &behind.credentials), (one.url.as_str(), &one.credentials));

    assert!(adapters.instances.find(&acme, one.id).await.unwrap().is_none());
    assert!(adapters.instances.find_by_name(&acme, &webhook, &name).await.unwrap().is_none());
    assert!(adapters.instances.list(&acme, None).await.unwrap().instances.is_empty());
    let change = correio::domain::instance::InstanceChange { name: Some(None), ..Default::default() };
    assert!(adapters.instances.update(&acme, one.id, &change, at(5)).await.unwrap().is_none());
    assert!(!adapters.instances.delete(&acme, one.id, at(5)).await.unwrap());
    assert!(adapters.instances.find_any(one.id).await.unwrap().is_some());
    let sealed = adapters.instances.sealed(None, None, 10).await.unwrap();
    assert_eq!(sealed.len(), 1, "its credentials are checked as all are");
}

async fn a_tenant_has_a_hundred_however_many_are_made_at_once(adapters: &Adapters) {
    let acme = tenant("acme");
    let all: Vec<StatusSubscription> = (0..MOST + 20).map(|_| subscription(acme.clone())).collect();
    let stored = all.iter().enumerate().map(|(number, one)| {
        let adapters = adapters.of_process(number % 2);
        async move { adapters.status_subscriptions.insert(one).await.unwrap() }
    });
    let stored = join_all(stored).await.into_iter().filter(|stored| *stored).count();
    let listed = adapters.status_subscriptions.list(&acme).await.unwrap();
    assert_eq!((stored, listed.len()), (MOST as usize, MOST as usize));
    assert!(adapters.status_subscriptions.insert(&subscription(tenant("globex"))).await.unwrap());
    assert!(adapters.status_subscriptions.delete(&acme, listed[0].id, at(9)).await.unwrap());
    assert!(adapters.status_subscriptions.insert(&subscription(acme)).await.unwrap());
}

async fn of_two_changes_at_once_one_is_made(adapters: &Adapters) {
    let one = subscription(tenant("acme"));
    adapters.status_subscriptions.insert(&one).await.unwrap();
    let changed = |url: &str| StatusSubscription {
        url: url.to_owned(),
        credentials: SealedCredentials(url.as_bytes().to_vec()),
        states: States::some(&[MessageStatus::Read]).unwrap(),
        updated_at: at(7),
        ..one.clone()
    };
    let (first, second) = (changed("https://a.example"), changed("https://b.example"));
    let both = [&first, &second].map(|change| adapters.status_subscriptions.update(change));
    let made: Vec<bool> = join_all(both).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(made.iter().filter(|made| **made).count(), 1, "{made:?}");
    let winner = if made[0] { first } else { second };
    let found = adapters.status_subscriptions.find(&one.tenant, one.id).await.unwrap().unwrap();
    assert_eq!(shown(&[found]), shown(&[StatusSubscription { version: 2, ..winner.clone() }]));
    let behind = adapters.instances.find_any(one.id).await.unwrap().unwrap();
    assert_eq!((behind.channel_phone_or_id, behind.credentials), (winner.url.clone(), winner.credentials.clone()));
    let foreign = StatusSubscription { tenant: tenant("globex"), version: 2, ..winner };
    assert!(!adapters.status_subscriptions.update(&foreign).await.unwrap());
}

async fn a_subscription_that_is_deleted_is_gone_with_its_instance(adapters: &Adapters) {
    let one = subscription(tenant("acme"));
    adapters.status_subscriptions.insert(&one).await.unwrap();
    assert!(!adapters.status_subscriptions.delete(&tenant("globex"), one.id, at(9)).await.unwrap());
    let deleted: Result<bool, RepositoryError> = adapters.status_subscriptions.delete(&one.tenant, one.id, at(9)).await;
    assert!(deleted.unwrap());
    assert!(!adapters.status_subscriptions.delete(&one.tenant, one.id, at(9)).await.unwrap());
    assert!(!adapters.status_subscriptions.update(&one).await.unwrap());
    assert!(adapters.instances.find_any(one.id).await.unwrap().is_none());
    assert_eq!(adapters.deleted_instances.list(10).await.unwrap(), [one.id], "what is open of it fails");
}
