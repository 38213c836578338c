use correio::application::ports::RepositoryError;
use correio::domain::event::kind::KindPattern;
use correio::domain::instance::InstanceName;
use correio::domain::instance::channel::ChannelName;
use correio::domain::subscription::{Subscription, SubscriptionId};

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, tenant};

on_every_adapter![
    a_subscription_is_found_as_it_was_made,
    a_name_is_there_once_a_tenant,
    what_is_changed_is_changed_and_nothing_else,
    one_tenant_sees_nothing_of_another,
];

pub fn subscription(tenant_name: &str, name: &str) -> Subscription {
    Subscription {
        id: SubscriptionId(id()),
        tenant: tenant(tenant_name),
        user_id: "key:1".to_owned(),
        name: name.to_owned(),
        kinds: ["deal.*", "DEVOLUÇÃO"].map(|pattern| KindPattern::parse(pattern).unwrap()).to_vec(),
        filter: Some("data.valor > 10".to_owned()),
        template: Some("Olá, {{ data.nome }}".to_owned()),
        channel: ChannelName::new("webhook"),
        channel_instance_id: InstanceName::parse("hook").unwrap(),
        recipient: Some("{{ data.fone }}".to_owned()),
        is_enabled: true,
        created_at: at(1),
        updated_at: at(1),
    }
}

async fn a_subscription_is_found_as_it_was_made(adapters: &Adapters) {
    let full = subscription("acme", "a");
    let bare = Subscription {
        filter: None,
        template: None,
        recipient: None,
        is_enabled: false,
        created_at: at(0),
        ..subscription("acme", "b")
    };
    for made in [&full, &bare] {
        adapters.subscriptions.insert(made).await.unwrap();
        assert_eq!(adapters.subscriptions.find(&made.tenant, made.id).await.unwrap().as_ref(), Some(made));
    }
    assert_eq!(adapters.subscriptions.list(&tenant("acme")).await.unwrap(), [bare, full]);
}

async fn a_name_is_there_once_a_tenant(adapters: &Adapters) {
    let (first, other) = (subscription("acme", "a"), subscription("acme", "b"));
    adapters.subscriptions.insert(&first).await.unwrap();
    adapters.subscriptions.insert(&other).await.unwrap();
    adapters.subscriptions.insert(&subscription("globex", "a")).await.unwrap();
    let again = adapters.subscriptions.insert(&subscription("acme", "a")).await;
    assert!(matches!(again, Err(RepositoryError::Conflict)), "{again:?}");
    let renamed = adapters.subscriptions.update(&Subscription { name: "a".to_owned(), ..other }).await;
    assert!(matches!(renamed, Err(RepositoryError::Conflict)), "{renamed:?}");
}

async fn what_is_changed_is_changed_and_nothing_else(adapters: &Adapters) {
    let first = subscription("acme", "a");
    adapters.subscriptions.insert(&first).await.unwrap();
    let changed = Subscription {
        name: "b".to_owned(),
        kinds: vec![KindPattern::parse("*").unwrap()],
        filter: None,
        template: None,
        recipient: None,
        is_enabled: false,
        updated_at: at(9),
        ..first.clone()
    };
    let asked = Subscription { user_id: "key:2".to_owned(), created_at: at(5), ..changed.clone() };
    assert!(adapters.subscriptions.update(&asked).await.unwrap());
    assert_eq!(adapters.subscriptions.find(&first.tenant, first.id).await.unwrap(), Some(changed));
}

async fn one_tenant_sees_nothing_of_another(adapters: &Adapters) {
    let first = subscription("acme", "a");
    adapters.subscriptions.insert(&first).await.unwrap();
    let other = tenant("globex");
    assert_eq!(adapters.subscriptions.find(&other, first.id).await.unwrap(), None);
    assert!(adapters.subscriptions.list(&other).await.unwrap().is_empty());
    assert!(!adapters.subscriptions.update(&Subscription { tenant: other.clone(), ..first.clone() }).await.unwrap());
    assert!(!adapters.subscriptions.delete(&other, first.id).await.unwrap());
    assert!(adapters.subscriptions.delete(&first.tenant, first.id).await.unwrap());
    assert!(!adapters.subscriptions.delete(&first.tenant, first.id).await.unwrap());
}
