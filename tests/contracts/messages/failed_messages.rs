use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use correio::application::gateway::replay_messages;
use correio::application::ports::{FailedMessages, FailedSelection, Replay, Replayed, RepositoryError, Stores};
use correio::domain::Timestamp;
use correio::domain::access::principal::Tenant;
use correio::domain::message::{Message, MessageId, MessageStatus};
use correio::domain::node::NodeId;
use futures::future::join_all;

use crate::application::scripted::ManualClock;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{
    AT_ONCE, LARGE, at, failed, instance, large, message, message_of, node, outcome, sent, take, tenant,
};

on_every_adapter![
    a_replayed_message_is_due_now_and_its_tries_begin_again,
    a_replay_leaves_earlier_attempts_and_goes_on_counting,
    only_what_has_failed_is_replayed,
    a_foreign_message_is_like_none,
    of_replays_at_once_one_counts,
    every_condition_narrows,
    the_lowest_ids_of_all_tenants_come_first,
    many_are_replayed_so_many_bytes_at_a_time,
    what_failed_later_is_left_alone,
    replayed_in_several_places_at_once_every_message_is_counted_once,
    a_replay_goes_on_above_the_last_id_of_whatever_tenant,
    what_fails_again_behind_the_clock_is_not_replayed_by_the_same_request,
];

async fn a_failed_one(adapters: &Adapters) -> Message {
    adapters.failed(message(MessageStatus::Queued, node()), Some(at(10))).await
}

/// How many match and were replayed, in one go from the lowest id on.
async fn replayed(adapters: &Adapters, selection: &FailedSelection, limit: u32, now: i64) -> u64 {
    adapters.failed.replay_matching(selection, None, limit, at(now)).await.unwrap().count
}

async fn a_replayed_message_is_due_now_and_its_tries_begin_again(adapters: &Adapters) {
    let failed = a_failed_one(adapters).await;
    assert!(failed.error.is_some() && failed.failure.is_some());
    assert_eq!((failed.tries, failed.try_number), (1, 1));
    let expected = Message {
        status: MessageStatus::Queued,
        tries: 0,
        replays: 1,
        error: None,
        failure: None,
        dead_lettered_at: None,
        next_attempt_at: Some(at(50)),
        updated_at: at(50),
        ..failed.clone()
    };
    assert_eq!(adapters.failed.replay(&failed.tenant, failed.id, at(50)).await.unwrap(), Replay::Queued);
    assert_eq!(format!("{:?}", adapters.now(&failed).await), format!("{expected:?}"));

    let matching = a_failed_one(adapters).await;
    let expected = Message { id: matching.id, node: matching.node, instance_id: matching.instance_id, ..expected };
    assert_eq!(replayed(adapters, &FailedSelection::default(), 10, 50).await, 1);
    assert_eq!(format!("{:?}", adapters.now(&matching).await), format!("{expected:?}"));
}

async fn a_replay_leaves_earlier_attempts_and_goes_on_counting(adapters: &Adapters) {
    let (failed, taker) = (a_failed_one(adapters).await, adapters.live_node().await);
    adapters.failed.replay(&failed.tenant, failed.id, at(50)).await.unwrap();
    assert_eq!(adapters.taken(&take(taker, 49)).await, []);
    assert_eq!(adapters.taken(&take(taker, 50)).await, [failed.id]);
    let claimed = adapters.messages.claim(failed.id, taker, at(51)).await.unwrap().unwrap().message;
    assert_eq!((claimed.tries, claimed.try_number), (1, 2));
    assert!(adapters.messages.record(&outcome(&claimed, sent())).await.unwrap());
    let (_, attempts) = adapters.search.find(&failed.tenant, failed.id).await.unwrap().unwrap();
    assert_eq!(attempts.iter().map(|attempt| attempt.number).collect::<Vec<_>>(), [1, 2]);
}

async fn only_what_has_failed_is_replayed(adapters: &Adapters) {
    let owner = node();
    let mut others = vec![adapters.timed(owner, 60).await];
    for status in MessageStatus::OPEN {
        others.push(adapters.open(status, owner).await);
    }
    let claimed = adapters.open(MessageStatus::Processing, owner).await;
    adapters.messages.record(&outcome(&claimed, sent())).await.unwrap();
    others.push(adapters.now(&claimed).await);
    for other in &others {
        let replay = adapters.failed.replay(&other.tenant, other.id, at(50)).await.unwrap();
        assert_eq!(replay, Replay::NotFailed, "{}", other.status);
    }
    assert_eq!(replayed(adapters, &FailedSelection::default(), 10, 50).await, 0);
    for other in &others {
        assert_eq!(format!("{:?}", adapters.now(other).await), format!("{other:?}"));
    }
}

async fn a_foreign_message_is_like_none(adapters: &Adapters) {
    let theirs = a_failed_one(adapters).await;
    let unknown = message(MessageStatus::Queued, node());
    let me = tenant("globex");
    assert_eq!(adapters.failed.replay(&me, theirs.id, at(50)).await.unwrap(), Replay::Unknown);
    assert_eq!(adapters.failed.replay(&me, unknown.id, at(50)).await.unwrap(), Replay::Unknown);
    let mine = FailedSelection { tenant: Some(me), ..FailedSelection::default() };
    assert_eq!(replayed(adapters, &mine, 10, 50).await, 0);
    assert_eq!(format!("{:?}", adapters.now(&theirs).await), format!("{theirs:?}"));
}

async fn of_replays_at_once_one_counts(adapters: &Adapters) {
    let failed = a_failed_one(adapters).await;
    let replays = (0..5).map(|_| adapters.failed.replay(&failed.tenant, failed.id, at(50)));
    let replays: Vec<Replay> = join_all(replays).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(replays.iter().filter(|replay| **replay == Replay::Queued).count(), 1);
    assert_eq!(replays.iter().filter(|replay| **replay == Replay::NotFailed).count(), 4);
}

async fn every_condition_narrows(adapters: &Adapters) {
    let accepted = |tenant: &str, name: &str, seconds: i64| Message {
        created_at: at(seconds),
        ..message_of(&instance(tenant, name), MessageStatus::Queued, node())
    };
    let all = FailedSelection::default();
    let acme = Some(tenant("acme"));
    let cases = [
        (all.clone(), vec![0, 1, 2, 3]),
        (FailedSelection { tenant: acme.clone(), ..all.clone() }, vec![0, 1, 2]),
        (FailedSelection { tenant: Some(tenant("initech")), ..all.clone() }, vec![]),
        (FailedSelection { channel_instance_id: Some("b".to_owned()), ..all.clone() }, vec![1, 3]),
        (FailedSelection { tenant: acme, channel_instance_id: Some("b".to_owned()), ..all.clone() }, vec![1]),
        (FailedSelection { channel_instance_id: Some("' or 1=1 --".to_owned()), ..all.clone() }, vec![]),
        (FailedSelection { created_after: Some(at(2)), ..all.clone() }, vec![1, 2, 3]),
        (FailedSelection { created_before: Some(at(2)), ..all.clone() }, vec![0]),
        (FailedSelection { created_after: Some(at(1)), created_before: Some(at(3)), ..all.clone() }, vec![0, 1]),
    ];
    for (selection, expected) in cases {
        let mut messages = Vec::new();
        for (tenant, name, seconds) in [("acme", "a", 1), ("acme", "b", 2), ("acme", "a", 3), ("globex", "b", 4)] {
            messages.push(adapters.failed(accepted(tenant, name, seconds), Some(at(10))).await);
        }
        assert_eq!(replayed(adapters, &selection, 10, 50).await, expected.len() as u64, "{selection:?}");
        for (number, message) in messages.iter().enumerate() {
            let queued = adapters.now(message).await.status == MessageStatus::Queued;
            assert_eq!(queued, expected.contains(&number), "{selection:?} {number}");
        }
        // For the next case.
        replayed(adapters, &all, 10, 50).await;
    }
}

async fn the_lowest_ids_of_all_tenants_come_first(adapters: &Adapters) {
    let mut failed = Vec::new();
    for number in 0..7 {
        let instance = instance(["initech", "acme", "globex"][number % 3], "hook");
        failed.push(adapters.failed(message_of(&instance, MessageStatus::Queued, node()), Some(at(10))).await);
    }
    let mut counts = Vec::new();
    for round in 1..=4 {
        counts.push(replayed(adapters, &FailedSelection::default(), 3, 50).await);
        for (number, message) in failed.iter().enumerate() {
            let queued = adapters.now(message).await.status == MessageStatus::Queued;
            assert_eq!(queued, number < 3 * round, "round {round}, message {number}");
        }
    }
    assert_eq!(counts, [3, 3, 1, 0]);
}

async fn many_are_replayed_so_many_bytes_at_a_time(adapters: &Adapters) {
    let mut failed = Vec::new();
    for mebibytes in LARGE {
        failed.push(adapters.failed(large(MessageStatus::Queued, node(), mebibytes), Some(at(10))).await);
    }
    let (mut gone, mut after) = (0, None);
    for count in AT_ONCE {
        let Replayed { count: more, last } =
            adapters.failed.replay_matching(&FailedSelection::default(), after, 100, at(50)).await.unwrap();
        assert_eq!(more, count as u64);
        gone += count;
        assert_eq!(last, Some(failed[gone - 1].id));
        after = last;
        for (number, message) in failed.iter().enumerate() {
            let queued = adapters.now(message).await.status == MessageStatus::Queued;
            assert_eq!(queued, number < gone, "after {gone}, message {number}");
        }
    }
    assert_eq!(replayed(adapters, &FailedSelection::default(), 100, 50).await, 0);
}

async fn what_failed_later_is_left_alone(adapters: &Adapters) {
    let failed = a_failed_one(adapters).await;
    assert_eq!(failed.updated_at, at(10));
    assert_eq!(replayed(adapters, &FailedSelection::default(), 10, 9).await, 0);
    assert_eq!(adapters.now(&failed).await.status, MessageStatus::Failed);
    assert_eq!(replayed(adapters, &FailedSelection::default(), 10, 10).await, 1);
}

async fn replayed_in_several_places_at_once_every_message_is_counted_once(adapters: &Adapters) {
    let mut expected: Vec<MessageId> = Vec::new();
    for _ in 0..30 {
        expected.push(a_failed_one(adapters).await.id);
    }
    let replays = (0..4).map(|_| async {
        let mut count = 0;
        for _ in 0..20 {
            count += replayed(adapters, &FailedSelection::default(), 4, 50).await;
        }
        count
    });
    assert_eq!(join_all(replays).await.into_iter().sum::<u64>(), 30);
    assert_eq!(adapters.taken(&take(adapters.live_node().await, 50)).await, expected);
}

async fn a_replay_goes_on_above_the_last_id_of_whatever_tenant(adapters: &Adapters) {
    let mut failed = Vec::new();
    for number in 0..8 {
        let instance = instance(["initech", "acme", "globex"][number % 3], "hook");
        failed.push(adapters.failed(message_of(&instance, MessageStatus::Queued, node()), Some(at(10))).await.id);
    }
    let acme = FailedSelection { tenant: Some(tenant("acme")), ..FailedSelection::default() };
    let replay = async |selection: &FailedSelection, after: Option<MessageId>, limit: u32| {
        let Replayed { count, last } = adapters.failed.replay_matching(selection, after, limit, at(50)).await.unwrap();
        (count, last)
    };
    let all = FailedSelection::default();
    assert_eq!(replay(&acme, Some(failed[1]), 1).await, (1, Some(failed[4])));
    assert_eq!(replay(&all, Some(failed[1]), 2).await, (2, Some(failed[3])));
    assert_eq!(replay(&all, Some(failed[3]), 10).await, (3, Some(failed[7])));
    assert_eq!(replay(&all, Some(failed[7]), 10).await, (0, None));
    assert_eq!(replay(&acme, None, 10).await, (1, Some(failed[1])));
    assert_eq!(replay(&all, None, 10).await, (1, Some(failed[0])));
}

/// What is replayed fails again at once, at a process whose clock is behind.
struct FailsAgain {
    stores: Stores,
    taker: NodeId,
    rounds: AtomicU32,
}

#[async_trait]
impl FailedMessages for FailsAgain {
    async fn replay(&self, tenant: &Tenant, id: MessageId, now: Timestamp) -> Result<Replay, RepositoryError> {
        self.stores.failed.replay(tenant, id, now).await
    }

    async fn replay_matching(
        &self,
        selection: &FailedSelection,
        after: Option<MessageId>,
        limit: u32,
        now: Timestamp,
    ) -> Result<Replayed, RepositoryError> {
        assert!(self.rounds.fetch_add(1, Ordering::Relaxed) < 10, "it goes on for ever");
        let replayed = self.stores.failed.replay_matching(selection, after, limit, now).await?;
        for due in self.stores.due.take(&take(self.taker, 50)).await? {
            let claimed = self.stores.messages.claim(due.id, self.taker, at(51)).await?.unwrap().message;
            assert!(self.stores.messages.record(&outcome(&claimed, failed())).await?);
        }
        Ok(replayed)
    }
}

async fn what_fails_again_behind_the_clock_is_not_replayed_by_the_same_request(adapters: &Adapters) {
    let messages = [a_failed_one(adapters).await, a_failed_one(adapters).await, a_failed_one(adapters).await];
    let (stores, taker) = (adapters.stores.clone(), adapters.live_node().await);
    let clock = ManualClock::new();
    clock.advance(Duration::from_secs(50));
    let failed = Arc::new(FailsAgain { stores: stores.clone(), taker, rounds: AtomicU32::new(0) });
    let replay = replay_messages(&Stores { failed, ..stores }, Arc::new(clock));
    assert_eq!(replay.all(&FailedSelection::default()).await.unwrap(), 3);
    for message in messages {
        let now = adapters.now(&message).await;
        assert_eq!((now.status, now.try_number), (MessageStatus::Failed, 2));
    }
}
