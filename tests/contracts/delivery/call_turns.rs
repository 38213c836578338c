use std::time::Duration;

use correio::application::ports::Duties;
use correio::domain::instance::InstanceId;
use correio::domain::message::MessageId;
use correio::domain::node::NodeId;
use uuid::Uuid;

use crate::contracts::on_every_adapter;
use crate::support::adapters::Adapters;
use crate::support::given::at;

on_every_adapter![
    one_message_at_a_time_has_the_turn_of_an_instance,
    the_one_that_asked_first_is_next,
    a_wish_that_is_given_up_holds_up_nothing,
    of_many_at_once_one_gets_the_turn,
];

fn instance() -> InstanceId {
    InstanceId(Uuid::now_v7())
}

fn message() -> MessageId {
    MessageId(Uuid::now_v7())
}

async fn live_node(adapters: &Adapters) -> NodeId {
    let node = NodeId(Uuid::now_v7());
    adapters.nodes.register(node, node, Duties::default(), at(0)).await.unwrap();
    node
}

async fn one_message_at_a_time_has_the_turn_of_an_instance(adapters: &Adapters) {
    let (shop, other, node) = (instance(), instance(), live_node(adapters).await);
    let (first, second) = (message(), message());
    let turns = &adapters.call_turns;
    assert!(turns.take(shop, first, node).await.unwrap());
    assert!(turns.take(shop, first, node).await.unwrap(), "its answer was lost, and it asks again");
    assert!(!turns.take(shop, second, node).await.unwrap());
    assert!(turns.take(other, second, node).await.unwrap(), "another instance's turn");
    turns.give_back(shop, second).await.unwrap();
    assert!(!turns.take(shop, second, node).await.unwrap(), "it had none to give back");
    turns.give_back(shop, first).await.unwrap();
    assert!(turns.take(shop, second, node).await.unwrap());
}

async fn the_one_that_asked_first_is_next(adapters: &Adapters) {
    let (shop, node) = (instance(), live_node(adapters).await);
    let (first, waiting, quick) = (message(), message(), message());
    let turns = &adapters.call_turns;
    assert!(turns.take(shop, first, node).await.unwrap());
    assert!(!turns.take(shop, waiting, node).await.unwrap());
    turns.give_back(shop, first).await.unwrap();
    assert!(!turns.take(shop, quick, node).await.unwrap(), "it overtook one that waits");
    assert!(turns.take(shop, waiting, node).await.unwrap());
}

async fn a_wish_that_is_given_up_holds_up_nothing(adapters: &Adapters) {
    let (shop, node) = (instance(), live_node(adapters).await);
    let (first, gone, second, third) = (message(), message(), message(), message());
    let turns = &adapters.call_turns;
    assert!(turns.take(shop, first, node).await.unwrap());
    assert!(!turns.take(shop, gone, node).await.unwrap());
    turns.give_back(shop, gone).await.unwrap();
    turns.give_back(shop, first).await.unwrap();
    assert!(turns.take(shop, second, node).await.unwrap());
    // A wish whose process died is not given back: it is passed over once, and no more.
    assert!(!turns.take(shop, gone, node).await.unwrap());
    turns.give_back(shop, second).await.unwrap();
    assert!(!turns.take(shop, third, node).await.unwrap());
    assert!(turns.take(shop, third, node).await.unwrap());
}

async fn of_many_at_once_one_gets_the_turn(adapters: &Adapters) {
    let (shop, node) = (instance(), live_node(adapters).await);
    let taking = (0..20).map(|number| {
        let turns = adapters.of_process(number).call_turns.clone();
        async move { turns.take(shop, message(), node).await.unwrap() }
    });
    let taken = futures::future::join_all(taking).await;
    assert_eq!(taken.into_iter().filter(|taken| *taken).count(), 1);
}

#[tokio::test]
async fn a_turn_ends_with_its_node() {
    let Some(adapters) = crate::support::databases::postgres().await else { return };
    let adapters = &adapters;
    let (shop, node, gone) = (instance(), live_node(adapters).await, live_node(adapters).await);
    let (first, second) = (message(), message());
    let turns = &adapters.call_turns;
    assert!(turns.take(shop, first, gone).await.unwrap());
    assert!(!turns.take(shop, second, node).await.unwrap());
    adapters.nodes.forget(&[gone]).await.unwrap();
    let taken = tokio::time::timeout(Duration::from_secs(5), turns.take(shop, second, node)).await;
    assert!(taken.unwrap().unwrap(), "nobody can give it back any more");
}
