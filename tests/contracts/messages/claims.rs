//! What every `MessageRepository` promises of a claim.

use std::sync::Arc;

use correio::application::ports::Accepted;
use correio::domain::instance::InstanceChange;
use correio::domain::instance::credentials::SealedCredentials;
use correio::domain::message::MessageStatus;
use futures::future::join_all;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, instance, message, message_of, node, outcome, request, sent};

on_every_adapter![
    a_thousand_at_once_are_each_accepted_claimed_and_ended,
    a_claim_raises_the_tries_and_names_the_node,
    a_claim_says_where_the_message_goes_by_then,
    a_claim_whose_instance_is_gone_says_so,
    claims_at_once_say_each_where_its_message_goes,
    of_many_claims_one_gets_the_message,
    only_a_queued_message_that_waits_for_nothing_can_be_claimed,
];

/// More than one statement holds: the largest there is, and what is left for the next.
async fn a_thousand_at_once_are_each_accepted_claimed_and_ended(adapters: &Adapters) {
    let (owner, messages) = (node(), &adapters.messages);
    let given: Vec<_> = (0..1_000).map(|_| message(MessageStatus::Queued, owner)).collect();
    let half_with_keys = given.iter().enumerate().map(async |(number, message)| {
        let request = (number % 2 == 0).then(|| request(&format!("pedido-{number}"), 1));
        messages.accept(message, request.as_ref()).await.unwrap()
    });
    assert!(join_all(half_with_keys).await.iter().all(|accepted| matches!(accepted, Accepted::Stored)));
    let claims = given.iter().map(async |message| messages.claim(message.id, owner, at(5)).await.unwrap());
    let claimed: Vec<_> = join_all(claims).await.into_iter().map(|claim| claim.unwrap().message).collect();
    assert!(claimed.iter().zip(&given).all(|(claimed, given)| claimed.id == given.id));
    let outcomes: Vec<_> = claimed.iter().map(|message| outcome(message, sent())).collect();
    let recorded = join_all(outcomes.iter().map(async |outcome| messages.record(outcome).await.unwrap())).await;
    assert!(recorded.into_iter().all(|held| held));
    assert_eq!(adapters.now(&given[999]).await.status, MessageStatus::Sent);
}

async fn a_claim_raises_the_tries_and_names_the_node(adapters: &Adapters) {
    let message = adapters.stored(message(MessageStatus::Queued, node())).await;
    let claimer = node();
    let claimed = adapters.messages.claim(message.id, claimer, at(5)).await.unwrap().unwrap().message;
    assert_eq!((claimed.status, claimed.node), (MessageStatus::Processing, Some(claimer)));
    assert_eq!((claimed.tries, claimed.try_number), (1, 1));
    assert_eq!((claimed.attempt_started_at, claimed.updated_at), (Some(at(5)), at(5)));
    assert_eq!(format!("{claimed:?}"), format!("{:?}", adapters.now(&message).await));
}

async fn of_many_claims_one_gets_the_message(adapters: &Adapters) {
    let message = adapters.stored(message(MessageStatus::Queued, node())).await;
    let claims = (0..20).map(|_| {
        let repository = Arc::clone(&adapters.messages);
        tokio::spawn(async move { repository.claim(message.id, node(), at(1)).await.unwrap().is_some() })
    });
    let got = join_all(claims).await.into_iter().filter(|claim| *claim.as_ref().unwrap()).count();
    assert_eq!(got, 1);
    assert_eq!(adapters.now(&message).await.try_number, 1);
}

async fn only_a_queued_message_that_waits_for_nothing_can_be_claimed(adapters: &Adapters) {
    let owner = node();
    let pending = adapters.open(MessageStatus::Pending, owner).await;
    let processing = adapters.open(MessageStatus::Processing, owner).await;
    let timed = adapters.timed(owner, 60).await;
    let sent_one = adapters.open(MessageStatus::Processing, owner).await;
    adapters.messages.record(&outcome(&sent_one, sent())).await.unwrap();
    for message in [pending, processing, timed, sent_one] {
        assert!(adapters.messages.claim(message.id, owner, at(100)).await.unwrap().is_none());
    }
    assert!(adapters.messages.claim(message(MessageStatus::Queued, owner).id, owner, at(1)).await.unwrap().is_none());
}

async fn a_claim_says_where_the_message_goes_by_then(adapters: &Adapters) {
    let instance = instance("acme", "loja");
    adapters.instances.insert(&instance).await.unwrap();
    let message = adapters.stored(message_of(&instance, MessageStatus::Queued, node())).await;
    // Replaced after it was accepted: what was before is never used.
    let change = InstanceChange {
        channel_phone_or_id: Some("https://example.org/de-agora-em-diante".to_owned()),
        credentials: Some(SealedCredentials(b"new".to_vec())),
        ..InstanceChange::default()
    };
    let instance = adapters.instances.update(&instance.tenant, instance.id, &change, at(4)).await.unwrap().unwrap();
    let claimed = adapters.messages.claim(message.id, node(), at(5)).await.unwrap().unwrap();
    let destination = claimed.destination.unwrap().unwrap();
    assert_eq!(destination.address, instance.channel_phone_or_id);
    assert_eq!(destination.credentials, instance.credentials);
}

async fn a_claim_whose_instance_is_gone_says_so(adapters: &Adapters) {
    let message = adapters.stored(message(MessageStatus::Queued, node())).await;
    let claimed = adapters.messages.claim(message.id, node(), at(5)).await.unwrap().unwrap();
    assert!(claimed.destination.unwrap().is_none());
    assert_eq!(claimed.message.status, MessageStatus::Processing);
}

async fn claims_at_once_say_each_where_its_message_goes(adapters: &Adapters) {
    let mut messages = Vec::new();
    for number in 0..40 {
        let mut instance = instance("acme", &format!("loja-{number}"));
        instance.channel_phone_or_id = format!("55859{number:08}");
        if number % 4 > 0 {
            adapters.instances.insert(&instance).await.unwrap();
        }
        messages.push(adapters.stored(message_of(&instance, MessageStatus::Queued, node())).await);
    }
    let claimer = node();
    let claims = join_all(messages.iter().map(|message| adapters.messages.claim(message.id, claimer, at(5)))).await;
    for (number, claimed) in claims.into_iter().enumerate() {
        let address = claimed.unwrap().unwrap().destination.unwrap().map(|destination| destination.address);
        assert_eq!(address, (number % 4 > 0).then(|| format!("55859{number:08}")));
    }
}
