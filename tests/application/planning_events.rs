//! Subscriptions that make much of an event, or take long over it: what is made is written as it grows, what was begun goes on,
//! and other tenants do not wait.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::Stop;
use correio::application::events::HandleSteps;
use correio::application::events::bells::Bells;
use correio::application::hindrances::Hindrances;
use correio::application::ports::*;
use correio::application::service::Repeated;
use correio::application::subscriptions::{PlanEvents, RouteEvents, ShapeMessage, Unfinished};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::event::{Event, EventId, EventStatus, Step};
use correio::domain::subscription::{EventDelivery, Subscription};
use correio::infrastructure::system::SystemIds;
use futures::FutureExt;
use serde_json::Value;

use super::scripted::{ManualClock, ScriptedChannel};
use crate::contracts::events::{event, stored};
use crate::contracts::subscriptions::subscription;
use crate::support::databases::Adapters;
use crate::support::given::tenant;
use crate::support::memory::MemoryDatabase;
use crate::support::samples::instance;

/// Filters that take two seconds each and hold for nothing; those of the tenant `stuck` take for ever.
struct SlowFilters {
    clock: Arc<ManualClock>,
    evaluated: Mutex<BTreeMap<String, u32>>,
}

#[async_trait]
impl EventExpressions for SlowFilters {
    fn check_filter(&self, _: &str) -> Result<(), ExpressionError> {
        Ok(())
    }

    fn check_template(&self, _: &str) -> Result<(), ExpressionError> {
        Ok(())
    }

    async fn holds(&self, tenant: &Tenant, filter: &str, _: &Value) -> Result<bool, EvaluationError> {
        if tenant.as_str() == "stuck" {
            std::future::pending::<()>().await;
        }
        self.clock.advance(Duration::from_secs(2));
        *self.evaluated.lock().unwrap().entry(filter.to_owned()).or_default() += 1;
        match filter {
            "broken" => Err(EvaluationError::Unfit("cannot be evaluated".to_owned())),
            _ => Ok(false),
        }
    }

    async fn render(&self, _: &Tenant, template: &str, _: &Value) -> Result<String, EvaluationError> {
        Ok(template.repeat(1_000))
    }
}

/// Remembers how much is written at once.
struct Measured {
    deliveries: Arc<dyn EventDeliveries>,
    most: Arc<AtomicU64>,
}

#[async_trait]
impl EventDeliveries for Measured {
    async fn record(&self, deliveries: &[NewDelivery]) -> Result<u64, RepositoryError> {
        let bytes = deliveries.iter().flat_map(|it| &it.message).map(|message| message.content.bytes()).sum();
        self.most.fetch_max(bytes, Ordering::Relaxed);
        self.deliveries.record(deliveries).await
    }

    async fn of_events(&self, events: &[EventId]) -> Result<Vec<EventDelivery>, RepositoryError> {
        self.deliveries.of_events(events).await
    }

    async fn messages(&self, events: &[EventId]) -> Result<Vec<EventMessage>, RepositoryError> {
        self.deliveries.messages(events).await
    }

    async fn forget(&self, time: Timestamp) -> Result<bool, RepositoryError> {
        self.deliveries.forget(time).await
    }
}

struct Story {
    adapters: Adapters,
    clock: Arc<ManualClock>,
    filters: Arc<SlowFilters>,
    most: Arc<AtomicU64>,
    work: Arc<RouteEvents>,
}

impl Story {
    fn begin() -> Self {
        let adapters = MemoryDatabase::default().adapters();
        let clock = Arc::new(ManualClock::new());
        let filters = Arc::new(SlowFilters { clock: clock.clone(), evaluated: Mutex::default() });
        let shape = ShapeMessage {
            expressions: filters.clone(),
            instances: adapters.instances.clone(),
            channels: Channels::new([Arc::new(ScriptedChannel::default()) as Arc<dyn ChannelSender>]),
            identity: None,
            ids: Arc::new(SystemIds::default()),
            clock: clock.clone(),
        };
        let most = Arc::new(AtomicU64::new(0));
        let plans = PlanEvents {
            subscriptions: adapters.subscriptions.clone(),
            deliveries: Arc::new(Measured { deliveries: adapters.event_deliveries.clone(), most: most.clone() }),
            shape,
            clock: clock.clone(),
            unfinished: Unfinished::default(),
        };
        let work = Arc::new(RouteEvents { plans, failed: adapters.failed.clone() });
        Self { adapters, clock, filters, most, work }
    }

    async fn subscribe(&self, tenant: &str, number: usize, filter: Option<&str>) {
        let name = number.to_string();
        let filter = filter.map(str::to_owned);
        let made = Subscription { filter, recipient: None, ..subscription(tenant, &name) };
        self.adapters.subscriptions.insert(&made).await.unwrap();
    }

    async fn report(&self, of: &str, name: &str) {
        stored(&self.adapters, &Event { tenant: tenant(of), ..event(name) }, &[Step::Route]).await;
    }

    /// A round, for at most two seconds.
    async fn live(&self) {
        let never: Stop = std::future::pending().boxed().shared();
        let (steps, clock) = (self.adapters.event_steps.clone(), self.clock.clone());
        let hindrances = Hindrances::new(clock.clone());
        let mut process = HandleSteps::new(self.work.clone(), steps, clock, Bells::default(), hindrances);
        if let Ok(round) = tokio::time::timeout(Duration::from_secs(2), process.round(&never)).await {
            round.unwrap();
        }
    }

    async fn now(&self, of: &str, name: &str) -> Event {
        self.adapters.events.find(&tenant(of), name).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn what_is_made_of_an_event_is_written_as_it_grows() {
    let story = Story::begin();
    story.adapters.instances.insert(&instance("acme", "hook")).await.unwrap();
    for number in 0..300 {
        story.subscribe("acme", number, None).await;
    }
    story.report("acme", "one").await;
    story.live().await;
    let one = story.now("acme", "one").await;
    assert_eq!(story.adapters.event_deliveries.messages(&[one.id]).await.unwrap().len(), 300);
    let most = story.most.load(Ordering::Relaxed);
    assert!(most > 1 << 19 && most < 2 << 20, "{most} bytes at once");
}

#[tokio::test]
async fn an_event_whose_filters_take_long_goes_on_where_it_was_put_off() {
    let story = Story::begin();
    for (number, filter) in ["broken", "a", "b", "c", "d", "e", "f", "g"].into_iter().enumerate() {
        story.subscribe("acme", number, Some(filter)).await;
    }
    story.report("acme", "one").await;
    let mut rounds = 0;
    while story.now("acme", "one").await.status != EventStatus::Failed {
        story.live().await;
        story.clock.advance(Duration::from_millis(1_100));
        rounds += 1;
        assert!(rounds < 10, "{:?}", story.filters.evaluated.lock().unwrap());
    }
    let evaluated = story.filters.evaluated.lock().unwrap().clone();
    assert!(evaluated.len() == 8 && evaluated.values().all(|times| *times == 1), "{evaluated:?}");
    assert!(story.now("acme", "one").await.error.is_some_and(|error| error.contains("cannot be evaluated")));
}

#[tokio::test]
async fn a_tenant_whose_filters_take_long_holds_up_no_other() {
    let story = Story::begin();
    story.subscribe("stuck", 1, Some("a")).await;
    for number in 0..300 {
        story.report("stuck", &number.to_string()).await;
    }
    for name in ["one", "two"] {
        story.report("acme", name).await;
    }
    story.live().await;
    for name in ["one", "two"] {
        assert_eq!(story.now("acme", name).await.status, EventStatus::Processed);
    }
    assert_eq!(story.now("stuck", "0").await.status, EventStatus::Processing);
}
