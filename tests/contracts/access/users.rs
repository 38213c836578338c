use correio::application::ports::RepositoryError;
use correio::domain::access::principal::Scope;
use correio::domain::access::user::User;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, tenant};

on_every_adapter![
    a_user_is_found_by_id_and_by_name,
    a_name_is_there_once_whatever_its_tenant,
    users_are_listed_oldest_first,
    a_user_is_disabled_once_and_enabled_by_a_new_password,
];

fn user(tenant_name: &str, name: &str, created: i64) -> User {
    User {
        id: id(),
        tenant: tenant(tenant_name),
        name: name.to_owned(),
        password_hash: "$argon2id$…".to_owned(),
        scopes: vec![Scope::EventsWrite, Scope::EventsRead],
        created_at: at(created),
        disabled_at: None,
    }
}

async fn a_user_is_found_by_id_and_by_name(adapters: &Adapters) {
    let partner = user("acme", "João@acme.example", 0);
    adapters.users.insert(&partner).await.unwrap();
    assert_eq!(adapters.users.find(partner.id).await.unwrap(), Some(partner.clone()));
    assert_eq!(adapters.users.find_by_name("João@acme.example").await.unwrap(), Some(partner));
    assert_eq!(adapters.users.find(id()).await.unwrap(), None);
    assert_eq!(adapters.users.find_by_name("joão@acme.example").await.unwrap(), None);
}

async fn a_name_is_there_once_whatever_its_tenant(adapters: &Adapters) {
    let first = user("acme", "partner", 0);
    adapters.users.insert(&first).await.unwrap();
    let again = adapters.users.insert(&user("globex", "partner", 0)).await;
    assert!(matches!(again, Err(RepositoryError::Conflict)), "{again:?}");
    let same_id = User { id: first.id, ..user("acme", "other", 0) };
    assert!(matches!(adapters.users.insert(&same_id).await, Err(RepositoryError::Conflict)));
}

async fn users_are_listed_oldest_first(adapters: &Adapters) {
    let (second, first) = (user("acme", "b", 2), user("globex", "a", 1));
    for user in [&second, &first] {
        adapters.users.insert(user).await.unwrap();
    }
    adapters.users.disable("a", at(3)).await.unwrap();
    let names = |users: Vec<User>| users.into_iter().map(|user| user.name).collect::<Vec<_>>();
    assert_eq!(names(adapters.users.list(None).await.unwrap()), ["a", "b"]);
    assert_eq!(names(adapters.users.list(Some(&tenant("acme"))).await.unwrap()), ["b"]);
}

async fn a_user_is_disabled_once_and_enabled_by_a_new_password(adapters: &Adapters) {
    adapters.users.insert(&user("acme", "partner", 0)).await.unwrap();
    assert!(adapters.users.disable("partner", at(5)).await.unwrap());
    assert!(adapters.users.disable("partner", at(6)).await.unwrap());
    assert_eq!(adapters.users.find_by_name("partner").await.unwrap().unwrap().disabled_at, Some(at(5)));
    assert!(adapters.users.set_password("partner", "$argon2id$new").await.unwrap());
    let enabled = adapters.users.find_by_name("partner").await.unwrap().unwrap();
    assert_eq!((enabled.password_hash.as_str(), enabled.disabled_at), ("$argon2id$new", None));
    assert!(!adapters.users.disable("nobody", at(5)).await.unwrap());
    assert!(!adapters.users.set_password("nobody", "x").await.unwrap());
}
