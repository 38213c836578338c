use correio::application::ports::EventType;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, tenant};

on_every_adapter![
    a_type_is_found_by_its_letters,
    a_type_is_replaced_by_one_of_the_same_letters,
    one_tenant_sees_no_types_of_another
];

fn event_type(tenant_name: &str, name: &str) -> EventType {
    let schema = Some(r#"{"type": "object",  "x": 1.00}"#.to_owned());
    EventType { tenant: tenant(tenant_name), name: name.to_owned(), schema, updated_at: at(1) }
}

async fn a_type_is_found_by_its_letters(adapters: &Adapters) {
    let (full, bare) = (event_type("acme", "Promoção"), EventType { schema: None, ..event_type("acme", "deal.new") });
    assert!(adapters.event_types.put(&full).await.unwrap());
    assert!(adapters.event_types.put(&bare).await.unwrap());
    let acme = tenant("acme");
    assert_eq!(adapters.event_types.find(&acme, "PROMOCAO").await.unwrap(), Some(full.clone()));
    assert_eq!(adapters.event_types.find(&acme, "Promoção").await.unwrap(), None);
    assert_eq!(adapters.event_types.list(&acme).await.unwrap(), [bare, full]);
}

async fn a_type_is_replaced_by_one_of_the_same_letters(adapters: &Adapters) {
    adapters.event_types.put(&event_type("acme", "Promoção")).await.unwrap();
    let other = EventType { schema: None, updated_at: at(2), ..event_type("acme", "PROMOCAO") };
    assert!(!adapters.event_types.put(&other).await.unwrap());
    assert_eq!(adapters.event_types.list(&tenant("acme")).await.unwrap(), [other]);
}

async fn one_tenant_sees_no_types_of_another(adapters: &Adapters) {
    adapters.event_types.put(&event_type("acme", "PEDIDO")).await.unwrap();
    let globex = tenant("globex");
    assert_eq!(adapters.event_types.find(&globex, "PEDIDO").await.unwrap(), None);
    assert!(adapters.event_types.list(&globex).await.unwrap().is_empty());
    assert!(!adapters.event_types.delete(&globex, "PEDIDO").await.unwrap());
    assert!(adapters.event_types.delete(&tenant("acme"), "PEDIDO").await.unwrap());
    assert!(!adapters.event_types.delete(&tenant("acme"), "PEDIDO").await.unwrap());
}
