//! Consumers that callers hold over HTTP, with a clock that the test moves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::kafka_rest::{
    ConsumerInstances, CreateConsumer, FetchBounds, Fetched, Format, InstanceError, InstanceName, ResetError,
    ResetOffsets, ResetTo, Selection,
};
use correio::application::ports::{Clock, NewTopic, Subscription, TopicAdministration};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::infrastructure::system::SystemIds;

use crate::support::memory_kafka::MemoryKafka;

#[derive(Default)]
struct Moved(Mutex<Duration>);

#[async_trait]
impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    async fn sleep(&self, _: Duration) {}
}

impl Moved {
    fn pass(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }
}

fn command(name: &str) -> CreateConsumer {
    CreateConsumer {
        name: Some(name.to_owned()),
        format: Format::Json,
        from_beginning: true,
        commits_itself: true,
        timeout: Duration::from_secs(1),
        least_bytes: None,
    }
}

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

fn named(of: &str, name: &str) -> InstanceName {
    InstanceName { tenant: tenant(of), group: "group".to_owned(), name: name.to_owned() }
}

fn instances() -> (Arc<Moved>, ConsumerInstances) {
    let clock = Arc::new(Moved::default());
    (clock.clone(), instances_of(MemoryKafka::default(), clock))
}

fn instances_of(kafka: MemoryKafka, clock: Arc<Moved>) -> ConsumerInstances {
    ConsumerInstances::new(Arc::new(kafka), clock, Arc::new(SystemIds::default()), Some("own".to_owned()))
}

#[tokio::test]
async fn an_instance_that_is_left_alone_for_five_minutes_is_closed() {
    let (clock, instances) = instances();
    for name in ["used", "left"] {
        instances.create(&tenant("a"), "group", command(name)).unwrap();
    }
    clock.pass(299);
    assert!(instances.subscription(&named("a", "used")).await.is_ok());
    clock.pass(1);
    instances.forget_idle();
    assert!(matches!(instances.subscription(&named("a", "left")).await, Err(InstanceError::Unknown)));
    assert!(instances.subscription(&named("a", "used")).await.is_ok(), "each call renews it");
    clock.pass(300);
    instances.forget_idle();
    assert!(matches!(instances.subscription(&named("a", "used")).await, Err(InstanceError::Unknown)));
}

#[tokio::test]
async fn tenants_have_names_of_their_own_and_a_bounded_number_of_instances() {
    let (_clock, instances) = instances();
    instances.create(&tenant("a"), "group", command("one")).unwrap();
    assert!(matches!(instances.create(&tenant("a"), "group", command("one")), Err(InstanceError::Taken)));
    assert!(matches!(instances.delete(&named("b", "one")).await, Err(InstanceError::Unknown)));
    instances.create(&tenant("b"), "group", command("one")).unwrap();
    let fill = |of: &str| {
        (0..).take_while(|number| instances.create(&tenant(of), "group", command(&format!("{number}"))).is_ok()).count()
    };
    assert_eq!(fill("a"), 63);
    assert!(matches!(instances.create(&tenant("a"), "group", command("more")), Err(InstanceError::TooMany)));
    assert_eq!((fill("b"), fill("c")), (63, 0));
    instances.delete(&named("a", "one")).await.unwrap();
    assert_eq!(fill("c"), 1);
}

#[tokio::test]
async fn records_whose_answer_was_not_made_come_again() {
    let kafka = MemoryKafka::default();
    let topic = NewTopic { name: "orders".to_owned(), partitions: Some(1), ..NewTopic::default() };
    kafka.create(&topic, false).await.unwrap();
    kafka.put("orders", 0, "1", 0);
    let instances = instances_of(kafka, Arc::default());
    instances.create(&tenant("a"), "group", command("one")).unwrap();
    let (name, bounds) = (named("a", "one"), FetchBounds { timeout: None, most_bytes: 100 });
    instances.subscribe(&name, Subscription::Topics(vec!["orders".to_owned()])).await.unwrap();
    let room = || async { Ok::<_, InstanceError>(()) };
    let refused = |(), _: &Fetched| Err::<usize, _>(InstanceError::TooMany);
    assert!(instances.fetch(&name, |_| true, bounds, room(), refused).await.is_err());
    let no_room = async { Err::<(), _>(InstanceError::TooMany) };
    let counted = |(), fetched: &Fetched| Ok(fetched.records.len());
    assert!(instances.fetch(&name, |_| true, bounds, no_room, counted).await.is_err());
    for expected in [1, 0] {
        assert_eq!(instances.fetch(&name, |_| true, bounds, room(), counted).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn the_group_that_messages_are_delivered_by_is_no_callers() {
    let (_clock, instances) = instances();
    let refused = instances.create(&tenant("a"), "own", command("one"));
    assert!(matches!(refused, Err(InstanceError::OwnGroup(_))), "{refused:?}");
    let kafka = Arc::new(MemoryKafka::default());
    let reset = ResetOffsets { topics: kafka.clone(), groups: kafka, own_group: Some("own".to_owned()) };
    let refused = reset.execute("own", &Selection::AllTopics, ResetTo::Latest, false).await;
    assert!(matches!(refused, Err(ResetError::OwnGroup(_))), "{refused:?}");
}
