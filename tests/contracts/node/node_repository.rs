use correio::application::ports::{Duties, NodeRow, Take};
use correio::domain::message::MessageStatus;
use correio::domain::node::NodeId;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, node, outcome, sent, take};

on_every_adapter![
    a_registered_node_begins_at_heartbeat_nought_with_its_duties,
    a_second_registration_changes_nothing,
    a_heartbeat_rises_by_one_and_says_when_there_is_none,
    a_node_leaves_when_all_it_owns_waits_for_its_time,
    a_node_that_still_owns_something_does_not_leave,
    queued_messages_that_are_kept_let_their_node_leave_and_others_do_not,
    the_last_name_of_a_process_leaves_when_all_of_its_names_may,
    who_left_speaks_for_its_earlier_names_as_long_as_they_own_something,
    only_nodes_that_own_nothing_are_forgotten,
    what_has_its_time_keeps_a_name_for_as_long_as_its_process_goes_on,
    the_dead_are_forgotten_and_those_that_left_are_not,
];

async fn row(adapters: &Adapters, id: NodeId) -> Option<NodeRow> {
    adapters.nodes.all().await.unwrap().into_iter().find(|row| row.id == id)
}

async fn a_registered_node_begins_at_heartbeat_nought_with_its_duties(adapters: &Adapters) {
    for (publishes, consumes) in [(false, false), (true, false), (false, true), (true, true)] {
        let (id, duties) = (node(), Duties { publishes, consumes });
        for process in [id, node()] {
            adapters.nodes.register(id, process, duties, at(0)).await.unwrap();
            let expected = NodeRow { id, process: id, heartbeat: 0, duties, departed: false };
            assert_eq!(row(adapters, id).await, Some(expected));
        }
        let (next, process) = (node(), id);
        adapters.nodes.register(next, process, duties, at(1)).await.unwrap();
        assert_eq!(row(adapters, next).await.unwrap().process, process);
    }
}

async fn a_second_registration_changes_nothing(adapters: &Adapters) {
    let node = adapters.live_node().await;
    adapters.nodes.beat(node).await.unwrap();
    adapters.nodes.register(node, node, Duties::default(), at(9)).await.unwrap();
    let row = row(adapters, node).await.unwrap();
    assert_eq!((row.heartbeat, row.duties), (1, Duties { publishes: true, consumes: true }));
}

async fn a_heartbeat_rises_by_one_and_says_when_there_is_none(adapters: &Adapters) {
    let known = adapters.live_node().await;
    for beats in 1..=3 {
        assert!(adapters.nodes.beat(known).await.unwrap());
        assert_eq!(row(adapters, known).await.unwrap().heartbeat, beats);
    }
    assert!(!adapters.nodes.beat(node()).await.unwrap());
}

async fn a_node_leaves_when_all_it_owns_waits_for_its_time(adapters: &Adapters) {
    let leaver = adapters.live_node().await;
    adapters.timed(leaver, 60).await;
    let done = adapters.open(MessageStatus::Processing, leaver).await;
    adapters.messages.record(&outcome(&done, sent())).await.unwrap();
    adapters.open(MessageStatus::Queued, adapters.live_node().await).await;
    assert!(adapters.nodes.leave(leaver, false, at(20)).await.unwrap());
    assert!(row(adapters, leaver).await.unwrap().departed);
    assert!(!adapters.nodes.leave(node(), false, at(20)).await.unwrap());
}

async fn a_node_that_still_owns_something_does_not_leave(adapters: &Adapters) {
    for status in MessageStatus::OPEN {
        let owner = adapters.live_node().await;
        adapters.open(status, owner).await;
        assert!(!adapters.nodes.leave(owner, false, at(20)).await.unwrap());
        assert!(!row(adapters, owner).await.unwrap().departed);
    }
}

async fn queued_messages_that_are_kept_let_their_node_leave_and_others_do_not(adapters: &Adapters) {
    for (status, leaves) in
        [(MessageStatus::Queued, true), (MessageStatus::Pending, false), (MessageStatus::Processing, false)]
    {
        let owner = adapters.live_node().await;
        adapters.open(MessageStatus::Queued, owner).await;
        adapters.open(status, owner).await;
        adapters.timed(owner, 60).await;
        assert_eq!(adapters.nodes.leave(owner, true, at(20)).await.unwrap(), leaves, "{status}");
        assert_eq!(row(adapters, owner).await.unwrap().departed, leaves, "{status}");
    }
    assert!(!adapters.nodes.leave(node(), true, at(20)).await.unwrap());
}

async fn the_last_name_of_a_process_leaves_when_all_of_its_names_may(adapters: &Adapters) {
    for (status, leaves) in [(MessageStatus::Queued, true), (MessageStatus::Processing, false)] {
        let (first, next) = adapters.renamed().await;
        adapters.open(status, first).await;
        adapters.open(MessageStatus::Queued, adapters.live_node().await).await;
        assert!(!adapters.nodes.leave(next, false, at(20)).await.unwrap());
        assert_eq!(adapters.nodes.leave(next, true, at(20)).await.unwrap(), leaves, "{status}");
    }
}

/// Without it, what waits in a broker under the earlier name would be taken for lost.
async fn who_left_speaks_for_its_earlier_names_as_long_as_they_own_something(adapters: &Adapters) {
    let (first, next) = adapters.renamed().await;
    let waiting = adapters.open(MessageStatus::Queued, first).await;
    let mine = adapters.live_node().await;
    assert!(adapters.nodes.leave(next, true, at(20)).await.unwrap());
    adapters.nodes.forget(&[first, next]).await.unwrap();
    adapters.nodes.forget_dead(mine).await.unwrap();
    assert!(row(adapters, first).await.is_some() && row(adapters, next).await.is_some());

    let claimed = adapters.messages.claim(waiting.id, mine, at(21)).await.unwrap().unwrap();
    adapters.messages.record(&outcome(&claimed.message, sent())).await.unwrap();
    // One after the other.
    for stays in [true, false] {
        adapters.nodes.forget(&[first, next]).await.unwrap();
        assert!(row(adapters, first).await.is_none());
        assert_eq!(row(adapters, next).await.is_some(), stays);
    }
    // Of one that is gone, nothing is kept for the sake of the other.
    let (first, next) = adapters.renamed().await;
    adapters.nodes.forget(&[first, next]).await.unwrap();
    assert!(row(adapters, first).await.is_none() && row(adapters, next).await.is_none());
}

async fn only_nodes_that_own_nothing_are_forgotten(adapters: &Adapters) {
    let (idle, done, busy, timed, other) = (
        adapters.live_node().await,
        adapters.live_node().await,
        adapters.live_node().await,
        adapters.live_node().await,
        adapters.live_node().await,
    );
    let ended = adapters.open(MessageStatus::Processing, done).await;
    adapters.messages.record(&outcome(&ended, sent())).await.unwrap();
    adapters.open(MessageStatus::Queued, busy).await;
    let waiting = adapters.timed(timed, 60).await;

    assert_eq!(adapters.nodes.forget(&[idle, done, busy, timed, node()]).await.unwrap(), 3);
    for (node, stays) in [(idle, false), (done, false), (busy, true), (timed, false), (other, true)] {
        assert_eq!(row(adapters, node).await.is_some(), stays);
    }
    // It is due then, whoever owned it.
    assert_eq!(adapters.taken(&take(other, 59)).await, []);
    assert_eq!(adapters.taken(&take(other, 60)).await, [waiting.id]);
}

/// Which times it anew when its clock is set.
async fn what_has_its_time_keeps_a_name_for_as_long_as_its_process_goes_on(adapters: &Adapters) {
    let (first, next) = adapters.renamed().await;
    adapters.timed(first, 60).await;
    assert_eq!(adapters.nodes.forget(&[first]).await.unwrap(), 0);
    assert!(row(adapters, first).await.is_some());
    assert!(adapters.nodes.leave(next, false, at(20)).await.unwrap());
    assert_eq!(adapters.nodes.forget(&[first, next]).await.unwrap(), 1);
    assert_eq!(adapters.nodes.forget(&[next]).await.unwrap(), 1);
    // Or both are gone.
    let (first, next) = adapters.renamed().await;
    adapters.timed(first, 60).await;
    assert_eq!(adapters.nodes.forget(&[first, next]).await.unwrap(), 2);
}

async fn the_dead_are_forgotten_and_those_that_left_are_not(adapters: &Adapters) {
    let (dead, leaver, mine) = (adapters.live_node().await, adapters.live_node().await, adapters.live_node().await);
    let orphan = adapters.open(MessageStatus::Queued, dead).await.id;
    adapters.open(MessageStatus::Queued, leaver).await;
    assert!(adapters.nodes.leave(leaver, true, at(3)).await.unwrap());
    adapters.nodes.forget_dead(mine).await.unwrap();
    let mut left: Vec<NodeId> = adapters.nodes.all().await.unwrap().iter().map(|row| row.id).collect();
    left.sort();
    let mut expected = [leaver, mine];
    expected.sort();
    assert_eq!(left, expected);
    // What waits in a broker since then is left where it is.
    assert_eq!(adapters.taken(&Take { departed: vec![leaver], ..take(mine, 5) }).await, [orphan]);
}
