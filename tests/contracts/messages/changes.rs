//! Every adapter moves a row as the domain moves a message, and leaves alone what the domain does not move.

use std::time::Duration;

use correio::application::ports::{Cancellation, Forgotten, Outcome, Replay, Stores, Take};
use correio::domain::message::deferral::Deferred;
use correio::domain::message::retry::NextStep;
use correio::domain::message::transition::{CHANGES, Change, ForbiddenMove};
use correio::domain::message::{Guard, Message, MessageStatus};
use correio::domain::node::NodeId;

use super::message_search::are_counted;
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{
    at, deferral, failed, instance, message_of, node, outcome, put_off, retry, sent, take, unanswered,
};

on_every_adapter![every_change_in_every_state_does_what_the_domain_says];

async fn every_change_in_every_state_does_what_the_domain_says(adapters: &Adapters) {
    // What receipts do is asked in `contracts/receipts`: a row has to have the name that they name.
    for change in CHANGES.into_iter().filter(|change| !change.name.starts_with("receipt")) {
        for status in MessageStatus::ALL {
            for step in [sent(), retry(60), unanswered(60, "3EB0"), failed(), put_off(60)] {
                let message = stored_in(adapters, status).await;
                let by = node();
                let mut expected = message.clone();
                let allowed = in_the_domain(change, &mut expected, by, &step);
                assert_eq!(allowed.is_ok(), change.from.contains(&status), "{} from {status}", change.name);
                let wrote = in_the_rows(adapters, change, &message, by, &step).await;
                assert_eq!(wrote, allowed.is_ok(), "{} from {status}", change.name);
                let now = adapters.now(&message).await;
                assert_eq!(format!("{now:?}"), format!("{expected:?}"), "{} from {status}", change.name);
            }
        }
        are_counted(adapters, "acme").await;
    }
}

/// What the step says of a try, for changes that are asked whether it was made.
fn is_spent(step: &NextStep) -> bool {
    !matches!(step, NextStep::PutOff { .. })
}

/// The first try of a live node's message, whatever has become of it.
async fn stored_in(adapters: &Adapters, status: MessageStatus) -> Message {
    let (owner, instance) = (adapters.live_node().await, instance("acme", &node().to_string()));
    adapters.instances.insert(&instance).await.unwrap();
    let message = message_of(&instance, MessageStatus::Pending, owner);
    adapters.stored(Message { status, ..message }).await
}

fn in_the_domain(change: &Change, it: &mut Message, by: NodeId, step: &NextStep) -> Result<(), ForbiddenMove> {
    let ending = outcome(it, step.clone()).ending();
    match change.name {
        "end" => it.end(ending),
        "claim and end" => it.claim_and_end(Some(by), at(9), ending),
        "claim" => it.claim(by, at(5)),
        "take" => it.take_over(by, at(5)),
        "give back" => it.give_back(is_spent(step), at(5)),
        "make due" => it.make_due(at(5)),
        "defer" => it.defer(&deferral(it.id, 7)),
        "replay" => it.replay(at(5)),
        "cancel" => it.cancel(at(5)),
        "fail" => it.fail("deleted", Some(at(5)), at(5)),
        other => panic!("{other} is not asked here"),
    }
}

/// Whether it says that it wrote.
async fn in_the_rows(adapters: &Adapters, change: &Change, it: &Message, by: NodeId, step: &NextStep) -> bool {
    let Stores { messages, due, failed, cancellations, deleted_instances, .. } = &adapters.stores;
    match change.name {
        "end" => messages.record(&outcome(it, step.clone())).await.unwrap(),
        "claim and end" => {
            let try_number = it.try_number + 1;
            let guard = Guard { id: it.id, status: MessageStatus::Processing, node: Some(by), try_number };
            messages.record(&Outcome { guard, ..outcome(it, step.clone()) }).await.unwrap()
        }
        "claim" => messages.claim(it.id, by, at(5)).await.unwrap().is_some(),
        "take" => {
            let taken = adapters.taken(&Take { gone: it.node.into_iter().collect(), ..take(by, 5) }).await;
            taken.contains(&it.id)
        }
        "give back" => {
            let forgotten = Forgotten { guard: it.guard(), is_spent: is_spent(step) };
            due.give_back(&[forgotten], at(5)).await.unwrap() == 1
        }
        "make due" => due.make_due(&[(it.id, it.node.unwrap())], at(5)).await.unwrap() == 1,
        "defer" => matches!(messages.defer(&deferral(it.id, 7)).await.unwrap(), Deferred::Until(_)),
        "replay" => failed.replay(&it.tenant, it.id, at(5)).await.unwrap() == Replay::Queued,
        "cancel" => {
            let cancellation = cancellations.cancel(&it.tenant, it.id, Duration::ZERO, at(5)).await.unwrap();
            let was_so = it.status == MessageStatus::Cancelled;
            (cancellation == Cancellation::Cancelled) && !was_so
        }
        "fail" => {
            let (instances, messages) = ([it.instance_id], [it.id]);
            deleted_instances.fail(&instances, &messages, "deleted", Some(at(5)), at(5)).await.unwrap() == 1
        }
        other => panic!("{other} is not asked here"),
    }
}
