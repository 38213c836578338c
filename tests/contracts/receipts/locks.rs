//! All that writes receipts, messages and their names, at once: none waits for another that waits for it.

use std::time::Duration;

use correio::application::ports::{Outcome, RepositoryError};
use correio::domain::message::delivery::{Acceptance, DeliveryError};
use correio::domain::message::retry::NextStep;
use correio::domain::message::{Message, MessageStatus};
use correio::domain::receipt::{Receipt, ReceiptStatus};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};

use super::{named, receipt};
use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, instance, message_of, node, outcome};

on_every_adapter![all_writers_at_once_end];

const MESSAGES: usize = 60;
const ROUNDS: usize = 6;

async fn all_writers_at_once_end(adapters: &Adapters) {
    let kept = instance("acme", "hook");
    for round in 0..ROUNDS {
        let mut claimed = Vec::new();
        for _ in 0..MESSAGES {
            let stored = adapters.stored(message_of(&kept, MessageStatus::Queued, node())).await;
            claimed.push(adapters.messages.claim(stored.id, node(), at(1)).await.unwrap().unwrap().message);
        }
        let writers =
            claimed.iter().enumerate().flat_map(|(number, message)| writers(adapters, number, round, message));
        let ended = tokio::time::timeout(Duration::from_secs(30), join_all(writers)).await;
        for written in ended.expect("they wait for each other") {
            // What waited too long for a lock is done again; who waits for each other is told otherwise.
            let is_deadlock = written.as_ref().is_err_and(|error| error.to_string().contains("deadlock"));
            assert!(!is_deadlock, "{written:?}");
        }
        for message in &claimed {
            while adapters.messages.record(&ended_of(message, round)).await.is_err() {}
        }
        adapters.receipts.sweep(None, at(0), Some(at(50)), at(50)).await.unwrap();
        for message in &claimed {
            let now = adapters.now(message).await;
            assert!([MessageStatus::Read, MessageStatus::Failed].contains(&now.status), "{}", now.status);
        }
    }
}

fn name(message: &Message, round: usize) -> String {
    format!("{round}.{}", message.id)
}

/// Half of them were sent.
fn ended_of(message: &Message, round: usize) -> Outcome {
    let name = name(message, round);
    let is_even = message.id.0.as_u128().is_multiple_of(2);
    outcome(
        message,
        if is_even {
            NextStep::Sent(Acceptance { channel_message_id: Some(name), http_status: Some(200) })
        } else {
            let error = DeliveryError::unknown("lost").known_as(&message.id.to_string());
            NextStep::Failed { failure: correio::domain::message::delivery::FailureKind::Unknown, error }
        },
    )
}

/// In an order that is another for each.
fn writers<'a>(
    adapters: &'a Adapters,
    number: usize,
    round: usize,
    message: &'a Message,
) -> Vec<BoxFuture<'a, Result<(), RepositoryError>>> {
    let of = named(message, &name(message, round));
    let stores = adapters.of_process(number);
    let others = adapters.of_process(number + 1);
    let mut all: Vec<BoxFuture<'a, Result<(), RepositoryError>>> = Vec::new();
    for said in [ReceiptStatus::Read, ReceiptStatus::Sent, ReceiptStatus::Delivered] {
        let receipt = Receipt { message: Some(message.id), ..receipt(&of, said, 20) };
        let of = of.clone();
        all.push(
            async move {
                stores.receipts.store(&receipt, at(20)).await?;
                others.receipts.apply(&of, None, at(20)).await
            }
            .boxed(),
        );
    }
    all.push(
        async move {
            others.messages.record(&ended_of(message, round)).await?;
            stores.receipts.apply_to(message.id, None, at(21)).await
        }
        .boxed(),
    );
    if number.is_multiple_of(10) {
        all.push(async move { stores.receipts.sweep(None, at(0), None, at(22)).await.map(|_| ()) }.boxed());
        let (instances, messages) = ([message.instance_id], [message.id]);
        all.push(
            async move {
                let failed =
                    others.deleted_instances.fail(&instances, &messages, "deleted.", Some(at(23)), at(23)).await;
                failed.map(|_| ())
            }
            .boxed(),
        );
        let retention = Duration::from_secs(3_600 * 24 * 365);
        all.push(async move { stores.storage.delete_history(retention, at(24)).await.map(|_| ()) }.boxed());
    }
    if number.is_multiple_of(2) {
        all.reverse();
    }
    all
}
