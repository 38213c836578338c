//! Consumers that callers hold over HTTP, with a clock that the test moves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::kafka_rest::{ConsumerInstances, CreateConsumer, Format, InstanceError, InstanceName};
use correio::application::ports::Clock;
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
    let instances =
        ConsumerInstances::new(Arc::new(MemoryKafka::default()), clock.clone(), Arc::new(SystemIds::default()));
    (clock, instances)
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
