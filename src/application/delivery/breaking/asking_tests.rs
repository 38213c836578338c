use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use uuid::Uuid;

use super::{Breaking, BreakingParts};
use crate::application::ports::{
    BreakerRow, Breakers, Clock, Ids, Opening, ProbeAsked, ProbeEnded, RepositoryError, Tasks,
};
use crate::domain::Timestamp;
use crate::domain::access::principal::Tenant;
use crate::domain::instance::InstanceId;
use crate::domain::instance::breaker::{BreakerOf, BreakerState};
use crate::domain::message::Message;

const SHOP: InstanceId = InstanceId(Uuid::nil());

/// Where the breaker of one host is open, and the time of its probe has come.
struct OneHost;

fn host() -> BreakerOf {
    BreakerOf::Host(Tenant::new("acme").unwrap(), "https://shop.example:443".to_owned())
}

#[async_trait]
impl Breakers for OneHost {
    async fn open(&self, _: &Opening) -> Result<bool, RepositoryError> {
        Ok(false)
    }

    async fn probe(&self, _: &ProbeAsked) -> Result<Option<u32>, RepositoryError> {
        Ok(None)
    }

    async fn end(&self, _: &ProbeEnded) -> Result<bool, RepositoryError> {
        Ok(false)
    }

    async fn close(&self, _: &BreakerOf, _: Timestamp) -> Result<bool, RepositoryError> {
        Ok(false)
    }

    async fn all(&self, _: Timestamp) -> Result<Vec<BreakerRow>, RepositoryError> {
        Ok(vec![BreakerRow {
            of: host(),
            tenant: Tenant::new("acme").unwrap(),
            state: BreakerState::Open,
            since: Timestamp::UNIX_EPOCH,
            reason: None,
            disabled_at: None,
            probe_in: Duration::ZERO,
            idle: Duration::ZERO,
            probing: None,
            changes: 1,
            told: 1,
        }])
    }

    async fn tell(&self, _: &BreakerOf, _: i64, _: &[Message]) -> Result<bool, RepositoryError> {
        Ok(false)
    }
}

#[async_trait]
impl Clock for OneHost {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _: Duration) {}
}

impl Ids for OneHost {
    fn next(&self) -> Uuid {
        Uuid::nil()
    }
}

#[async_trait]
impl Tasks for OneHost {
    fn spawn(&self, _: BoxFuture<'static, ()>) {}

    fn spawn_service(&self, _: &'static str, _: BoxFuture<'static, ()>) {}

    fn under_way(&self) -> usize {
        0
    }

    async fn finished(&self) {}
}

fn breaking() -> Breaking {
    let breaking = Breaking::new(BreakingParts {
        breakers: Arc::new(OneHost),
        clock: Arc::new(OneHost),
        ids: Arc::new(OneHost),
        tasks: Arc::new(OneHost),
        disable_after: None,
    });
    breaking.refresh().now_or_never().unwrap().unwrap();
    breaking.learn(SHOP, Some(&host()));
    breaking
}

#[test]
fn one_message_asks_at_a_time() {
    let breaking = breaking();
    assert!(breaking.may_ask(SHOP) && !breaking.may_ask(SHOP));
    breaking.has_asked(SHOP);
    assert!(breaking.may_ask(SHOP));
}

#[test]
fn an_instance_that_moves_while_it_asks_does_not_keep_others_from_asking() {
    let breaking = breaking();
    assert!(breaking.may_ask(SHOP));
    breaking.learn(SHOP, None);
    breaking.has_asked(SHOP);
    let other = InstanceId(Uuid::from_u128(1));
    breaking.learn(other, Some(&host()));
    assert!(breaking.may_ask(other));
}
