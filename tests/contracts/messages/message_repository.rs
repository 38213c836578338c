use std::sync::Arc;
use std::time::Duration;

use correio::application::ports::{Accepted, Outcome};
use correio::domain::access::idempotency::{IdempotentRequest, KEPT};
use correio::domain::instance::channel::ChannelName;
use correio::domain::message::attempt::AttemptOutcome;
use correio::domain::message::delivery::{DeliveryError, FailureKind};
use correio::domain::message::retry::NextStep;
use correio::domain::message::{
    Content, Direction, Guard, Media, MediaType, MediaUrl, Message, MessageStatus, Priority,
};
use futures::future::join_all;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given;
use crate::support::given::{
    at, failed, id, instance, message, message_of, node, outcome, put_off, request, retry, sent, tenant,
};

on_every_adapter![
    what_was_accepted_reads_back_as_it_was,
    messages_that_are_accepted_at_once_keep_what_is_their_own,
    a_payload_and_a_template_survive_byte_for_byte,
    of_many_that_bring_one_key_at_once_one_is_stored,
    a_taken_key_tells_what_it_was_used_for_and_stores_nothing,
    a_key_is_its_tenants_own,
    an_expired_key_is_free_again,
    a_key_is_taken_for_as_long_as_its_request_says,
    a_key_is_freed_once_its_message_has_failed_or_was_cancelled,
    an_id_is_stored_once,
    what_is_being_delivered_is_taken_along_until_somebody_else_has_it,
    a_first_try_that_succeeded_has_no_attempt_row,
    a_later_try_that_succeeded_has_one,
    a_retry_waits_for_its_time_and_keeps_the_error,
    a_failure_is_told_with_its_kind_and_its_dead_letter,
    a_direct_message_fails_at_once,
    an_outcome_of_another_node_loses,
    an_outcome_of_another_try_loses,
    an_outcome_of_another_state_loses,
    an_outcome_counts_once,
    an_outcome_makes_good_a_claim_that_was_lost,
    a_claim_that_was_never_made_is_not_made_good,
    what_is_asked_at_the_same_time_is_answered_one_by_one,
    words_that_cannot_be_stored_do_not_lose_the_outcome,
];

async fn what_was_accepted_reads_back_as_it_was(adapters: &Adapters) {
    let mut message = message(MessageStatus::Pending, node());
    let media = Media { url: MediaUrl::parse("https://example.org/a.png").unwrap(), media_type: MediaType::Image };
    message.content = Content { text: Some("Olá 👋".to_owned()), media: Some(media), ..Content::default() };
    adapters.stored(message.clone()).await;
    assert_eq!(format!("{:?}", adapters.now(&message).await), format!("{message:?}"));
}

/// Alike in what one statement may say once for all of them, and in all of that but one thing.
async fn messages_that_are_accepted_at_once_keep_what_is_their_own(adapters: &Adapters) {
    let (owner, hook) = (node(), instance("acme", "hook"));
    let media = |media_type| Some(Media { url: MediaUrl::parse("https://example.org/a.png").unwrap(), media_type });
    let elsewhere = Media { url: MediaUrl::parse("https://example.org/b.png").unwrap(), media_type: MediaType::Image };
    let json = |json: &str| Some(json.to_owned());
    let content = || Content {
        text: None,
        media: media(MediaType::Image),
        payload: json("[1]"),
        template: json("{}"),
        record: json("{}"),
    };
    let alike = || {
        let mut message = message_of(&hook, MessageStatus::Pending, owner);
        message.content = content();
        message
    };
    let changes: [fn(&mut Message); 16] = [
        |_| {},
        |message| message.status = MessageStatus::Queued,
        |message| message.attempt_started_at = None,
        |message| message.direction = Direction::Received,
        |message| message.tries = 3,
        |message| message.try_number = 3,
        |message| message.next_attempt_at = Some(at(60)),
        |message| message.node = Some(node()),
        |message| message.priority = Priority::try_from(9).ok(),
        |message| message.send_at = Some(at(60)),
        |message| message.tenant = tenant("globex"),
        |message| message.user_id = "bia".to_owned(),
        |message| message.instance_id.0 = id(),
        |message| message.channel = ChannelName::new("sandbox"),
        |message| message.channel_instance_id = "other".to_owned(),
        |message| message.max_tries = 9,
    ];
    let contents = [
        Content { text: Some("Olá".to_owned()), ..content() },
        Content { media: media(MediaType::Video), ..content() },
        Content { media: Some(elsewhere), ..content() },
        Content { media: None, ..content() },
        Content { payload: json("[1.0]"), ..content() },
        Content { payload: None, ..content() },
        Content { template: json("{\"a\":1.0}"), ..content() },
        Content { template: None, ..content() },
        Content { record: json("{\"key\":\"a\"}"), ..content() },
        Content { record: None, ..content() },
    ];
    let mut bursts = Vec::new();
    for change in changes {
        let mut burst: Vec<_> = (0..40).map(|_| alike()).collect();
        change(&mut burst[39]);
        bursts.push(burst);
    }
    for content in contents {
        let mut burst: Vec<_> = (0..40).map(|_| alike()).collect();
        burst[20].content = content;
        bursts.push(burst);
    }
    for burst in bursts {
        join_all(burst.iter().map(async |message| adapters.messages.accept(message, None).await.unwrap())).await;
        for message in &burst {
            assert_eq!(format!("{:?}", adapters.now(message).await), format!("{message:?}"));
        }
    }
}

async fn a_payload_and_a_template_survive_byte_for_byte(adapters: &Adapters) {
    for json in [r#"{"b":1.00,"a":"é"}"#, r#"{"a":1,"a":2}"#, "1e400", r#""\u00e9""#, "null"] {
        let mut message = message(MessageStatus::Queued, node());
        let json = Some(json.to_owned());
        message.content =
            Content { payload: json.clone(), template: json.clone(), record: json.clone(), ..Content::default() };
        adapters.stored(message.clone()).await;
        let content = adapters.now(&message).await.content;
        assert_eq!((content.payload, content.template, content.record), (json.clone(), json.clone(), json));
    }
}

async fn of_many_that_bring_one_key_at_once_one_is_stored(adapters: &Adapters) {
    let messages: Vec<_> = (0..50).map(|_| message(MessageStatus::Queued, node())).collect();
    let request = request("order-1", 7);
    let accepts = messages.iter().map(|message| {
        let (repository, message, request) = (Arc::clone(&adapters.messages), message.clone(), request.clone());
        tokio::spawn(async move { repository.accept(&message, Some(&request)).await.unwrap() })
    });
    let answers: Vec<_> = join_all(accepts).await.into_iter().map(Result::unwrap).collect();

    let mut stored = Vec::new();
    for message in &messages {
        stored.extend(adapters.messages.find(message.id).await.unwrap());
    }
    assert_eq!(stored.len(), 1);
    assert_eq!(answers.iter().filter(|answer| matches!(answer, Accepted::Stored)).count(), 1);
    for answer in answers {
        if let Accepted::KeyTaken(kept) = answer {
            assert_eq!(kept.message.id, stored[0].id);
        }
    }
}

async fn a_taken_key_tells_what_it_was_used_for_and_stores_nothing(adapters: &Adapters) {
    let first = message(MessageStatus::Pending, node());
    adapters.messages.accept(&first, Some(&request("k", 1))).await.unwrap();
    adapters.messages.record(&outcome(&first, sent())).await.unwrap();

    let second = message(MessageStatus::Queued, node());
    let answer = adapters.messages.accept(&second, Some(&request("k", 2))).await.unwrap();

    let Accepted::KeyTaken(kept) = answer else { panic!("stored twice") };
    assert_eq!((kept.fingerprint, kept.accepted_as), ([1; 32], MessageStatus::Pending));
    assert_eq!((kept.message.id, kept.message.status), (first.id, MessageStatus::Sent));
    assert!(adapters.messages.find(second.id).await.unwrap().is_none());
}

async fn a_key_is_its_tenants_own(adapters: &Adapters) {
    for name in ["acme", "globex"] {
        let message = message_of(&given::instance(name, "hook"), MessageStatus::Queued, node());
        let answer = adapters.messages.accept(&message, Some(&request("k", 1))).await.unwrap();
        assert!(matches!(answer, Accepted::Stored));
        let kept = adapters.messages.kept_request(&tenant(name), &request("k", 1).key, at(0)).await.unwrap();
        assert_eq!(kept.unwrap().message.id, message.id);
    }
    let other = adapters.messages.kept_request(&tenant("initech"), &request("k", 1).key, at(0)).await.unwrap();
    assert!(other.is_none());
}

async fn an_expired_key_is_free_again(adapters: &Adapters) {
    let key = request("k", 1);
    let first = message(MessageStatus::Queued, node());
    adapters.messages.accept(&first, Some(&key)).await.unwrap();
    let last_moment = first.created_at + KEPT - chrono::Duration::milliseconds(1);
    assert!(adapters.messages.kept_request(&first.tenant, &key.key, last_moment).await.unwrap().is_some());
    assert!(adapters.messages.kept_request(&first.tenant, &key.key, first.created_at + KEPT).await.unwrap().is_none());

    let mut early = message(MessageStatus::Queued, node());
    early.created_at = last_moment;
    assert!(matches!(adapters.messages.accept(&early, Some(&key)).await.unwrap(), Accepted::KeyTaken(_)));

    let mut later = message(MessageStatus::Queued, node());
    later.created_at = first.created_at + KEPT;
    assert!(matches!(adapters.messages.accept(&later, Some(&request("k", 2))).await.unwrap(), Accepted::Stored));
    let kept = adapters.messages.kept_request(&first.tenant, &key.key, later.created_at).await.unwrap().unwrap();
    assert_eq!((kept.message.id, kept.fingerprint), (later.id, [2; 32]));
}

async fn a_key_is_taken_for_as_long_as_its_request_says(adapters: &Adapters) {
    let key = IdempotentRequest { kept_for: Duration::from_secs(60), ..request("k", 1) };
    let first = message(MessageStatus::Queued, node());
    adapters.messages.accept(&first, Some(&key)).await.unwrap();
    for (seconds, is_taken) in [(59, true), (60, false), (100, true), (119, true), (120, false)] {
        let mut again = message(MessageStatus::Queued, node());
        again.created_at = first.created_at + Duration::from_secs(seconds);
        let accepted = adapters.messages.accept(&again, Some(&key)).await.unwrap();
        assert_eq!(matches!(accepted, Accepted::KeyTaken(_)), is_taken, "after {seconds} s");
    }
}

async fn a_key_is_freed_once_its_message_has_failed_or_was_cancelled(adapters: &Adapters) {
    use MessageStatus::{Cancelled, Delivered, Failed, Pending, Processing, Queued, Read, Sent};
    for status in [Pending, Queued, Processing, Sent, Delivered, Read, Failed, Cancelled] {
        let key = request(&format!("key-{status}"), 1);
        let first = message(status, node());
        adapters.messages.accept(&first, Some(&key)).await.unwrap();
        adapters.messages.free_key(&tenant("another"), &key.key).await.unwrap();
        let is_kept = async || adapters.messages.kept_request(&first.tenant, &key.key, at(0)).await.unwrap().is_some();
        assert!(is_kept().await, "{status}");
        adapters.messages.free_key(&first.tenant, &key.key).await.unwrap();
        assert_eq!(is_kept().await, !matches!(status, Failed | Cancelled), "{status}");
    }
}

async fn an_id_is_stored_once(adapters: &Adapters) {
    let message = adapters.stored(message(MessageStatus::Queued, node())).await;
    for key in [None, Some(request("k", 1))] {
        let again = adapters.messages.accept(&message, key.as_ref()).await;
        assert!(matches!(again, Err(correio::application::ports::RepositoryError::Conflict)));
    }
    // The key went with its transaction.
    assert!(adapters.messages.kept_request(&message.tenant, &request("k", 1).key, at(0)).await.unwrap().is_none());
}

async fn what_is_being_delivered_is_taken_along_until_somebody_else_has_it(adapters: &Adapters) {
    for status in [MessageStatus::Pending, MessageStatus::Processing] {
        let (former, current) = (node(), node());
        let mut mine = adapters.open(status, former).await;
        let was = mine.guard();
        for wrong in wrong_guards(was).into_iter().filter(|wrong| *wrong != was) {
            assert!(!adapters.messages.take_along(&wrong, current, at(20)).await.unwrap());
        }
        assert_eq!(format!("{:?}", adapters.now(&mine).await), format!("{mine:?}"), "nothing is written in vain");
        // The second time, as after an answer that was lost.
        for _ in 0..2 {
            assert!(adapters.messages.take_along(&was, current, at(20)).await.unwrap());
        }
        mine.take_along(current, at(20));
        assert_eq!(format!("{:?}", adapters.now(&mine).await), format!("{mine:?}"));
        assert!(!adapters.messages.take_along(&was, node(), at(21)).await.unwrap(), "it has another name by now");
        let late = Outcome { guard: was, ..outcome(&mine, sent()) };
        assert!(!adapters.messages.record(&late).await.unwrap(), "the old name says nothing any more");
        assert!(adapters.messages.record(&outcome(&mine, sent())).await.unwrap());
        assert!(!adapters.messages.take_along(&mine.guard(), current, at(22)).await.unwrap());
    }
    let waiting = adapters.open(MessageStatus::Queued, node()).await;
    assert!(!adapters.messages.take_along(&waiting.guard(), node(), at(20)).await.unwrap());
}

fn wrong_guards(guard: correio::domain::message::Guard) -> Vec<correio::domain::message::Guard> {
    vec![
        correio::domain::message::Guard { node: Some(node()), ..guard },
        correio::domain::message::Guard { node: None, ..guard },
        correio::domain::message::Guard { try_number: guard.try_number + 1, ..guard },
        correio::domain::message::Guard { status: MessageStatus::Pending, ..guard },
    ]
}

async fn a_first_try_that_succeeded_has_no_attempt_row(adapters: &Adapters) {
    for status in [MessageStatus::Pending, MessageStatus::Processing] {
        let message = adapters.open(status, node()).await;
        assert!(adapters.messages.record(&outcome(&message, sent())).await.unwrap());
        let (now, attempts) = adapters.search.find(&message.tenant, message.id).await.unwrap().unwrap();
        assert!(attempts.is_empty());
        assert_eq!((now.status, now.sent_at, now.updated_at), (MessageStatus::Sent, Some(at(10)), at(10)));
        assert_eq!((now.channel_message_id.as_deref(), now.attempt_http_status), (Some("wamid.1"), Some(201)));
        assert_eq!((now.error, now.failure, now.next_attempt_at, now.dead_lettered_at), (None, None, None, None));
    }
}

async fn a_later_try_that_succeeded_has_one(adapters: &Adapters) {
    let owner = node();
    let timed = adapters.timed(owner, 20).await;
    assert_eq!(adapters.taken(&given::take(owner, 20)).await, [timed.id]);
    let claimed = adapters.messages.claim(timed.id, owner, at(21)).await.unwrap().unwrap().message;
    assert_eq!((claimed.error.as_deref(), claimed.attempt_http_status), (Some("away"), None));
    assert!(adapters.messages.record(&outcome(&claimed, sent())).await.unwrap());

    let (now, attempts) = adapters.search.find(&timed.tenant, timed.id).await.unwrap().unwrap();
    assert_eq!((now.error, now.tries, now.try_number), (None, 2, 2));
    let told: Vec<_> = attempts.iter().map(|it| (it.number, it.outcome.unwrap(), it.http_status)).collect();
    assert_eq!(told, [(1, AttemptOutcome::Transient, Some(503)), (2, AttemptOutcome::Sent, Some(201))]);
}

async fn a_retry_waits_for_its_time_and_keeps_the_error(adapters: &Adapters) {
    let owner = node();
    let now = adapters.timed(owner, 60).await;
    assert_eq!((now.status, now.node, now.next_attempt_at), (MessageStatus::Queued, Some(owner), Some(at(60))));
    assert_eq!((now.error.as_deref(), now.failure, now.dead_lettered_at), (Some("away"), None, None));
    let (_, attempts) = adapters.search.find(&now.tenant, now.id).await.unwrap().unwrap();
    assert_eq!((attempts[0].started_at, attempts[0].finished_at), (Some(at(9)), Some(at(10))));
    assert_eq!(attempts[0].error.as_deref(), Some("away"));
}

async fn a_failure_is_told_with_its_kind_and_its_dead_letter(adapters: &Adapters) {
    let claimed = adapters.open(MessageStatus::Processing, node()).await;
    let error = DeliveryError::refused("no such number").with_http_status(400);
    let next = NextStep::Failed { failure: FailureKind::Recipient, error };
    assert!(adapters.messages.record(&outcome(&claimed, next.clone())).await.unwrap());
    let (now, attempts) = adapters.search.find(&claimed.tenant, claimed.id).await.unwrap().unwrap();
    assert_eq!((now.status, now.failure), (MessageStatus::Failed, Some(FailureKind::Recipient)));
    assert_eq!((now.error.as_deref(), now.dead_lettered_at), (Some("no such number"), Some(at(10))));
    assert_eq!(attempts[0].outcome, Some(AttemptOutcome::Permanent));

    let owes = adapters.open(MessageStatus::Processing, node()).await;
    let owed = correio::application::ports::Outcome { dead_lettered_at: None, ..outcome(&owes, next) };
    assert!(adapters.messages.record(&owed).await.unwrap());
    assert_eq!(adapters.now(&owes).await.dead_lettered_at, None);
}

async fn a_direct_message_fails_at_once(adapters: &Adapters) {
    let pending = adapters.open(MessageStatus::Pending, node()).await;
    let next = NextStep::Failed { failure: FailureKind::Channel, error: DeliveryError::unknown("timeout") };
    assert!(adapters.messages.record(&outcome(&pending, next)).await.unwrap());
    let (now, attempts) = adapters.search.find(&pending.tenant, pending.id).await.unwrap().unwrap();
    assert_eq!((now.status, now.try_number, now.tries), (MessageStatus::Failed, 1, 1));
    assert_eq!((attempts[0].number, attempts[0].outcome), (1, Some(AttemptOutcome::Unknown)));
}

async fn an_outcome_of_another_node_loses(adapters: &Adapters) {
    lose(adapters, |guard| guard.node = Some(node())).await;
    lose(adapters, |guard| guard.node = None).await;
}

async fn an_outcome_of_another_try_loses(adapters: &Adapters) {
    lose(adapters, |guard| guard.try_number += 1).await;
    lose(adapters, |guard| guard.try_number -= 1).await;
}

async fn an_outcome_of_another_state_loses(adapters: &Adapters) {
    lose(adapters, |guard| guard.status = MessageStatus::Pending).await;
    // A try cannot end in a state in which none is under way, though the guard names it.
    let queued = adapters.open(MessageStatus::Queued, node()).await;
    assert!(!adapters.messages.record(&outcome(&queued, sent())).await.unwrap());
    assert_eq!(adapters.now(&queued).await.status, MessageStatus::Queued);
}

async fn lose(adapters: &Adapters, change: impl Fn(&mut correio::domain::message::Guard)) {
    let claimed = adapters.open(MessageStatus::Processing, node()).await;
    for next in [sent(), retry(60)] {
        let mut late = outcome(&claimed, next);
        change(&mut late.guard);
        assert!(!adapters.messages.record(&late).await.unwrap());
    }
    let (now, attempts) = adapters.search.find(&claimed.tenant, claimed.id).await.unwrap().unwrap();
    assert_eq!(format!("{now:?}"), format!("{claimed:?}"));
    assert!(attempts.is_empty());
}

async fn an_outcome_counts_once(adapters: &Adapters) {
    let claimed = adapters.open(MessageStatus::Processing, node()).await;
    assert!(adapters.messages.record(&outcome(&claimed, retry(60))).await.unwrap());
    assert!(!adapters.messages.record(&outcome(&claimed, sent())).await.unwrap());
    assert_eq!(adapters.now(&claimed).await.status, MessageStatus::Queued);

    let done = adapters.open(MessageStatus::Processing, node()).await;
    assert!(adapters.messages.record(&outcome(&done, sent())).await.unwrap());
    assert!(!adapters.messages.record(&outcome(&adapters.now(&done).await, retry(60))).await.unwrap());
    assert_eq!(adapters.now(&done).await.status, MessageStatus::Sent);
}

/// A claim need not be on disk when its message is delivered: a crash may take it back.
async fn an_outcome_makes_good_a_claim_that_was_lost(adapters: &Adapters) {
    let owner = node();
    for next in [sent(), retry(60), failed(), put_off(60)] {
        let queued = adapters.open(MessageStatus::Queued, owner).await;
        let guard = Guard { status: MessageStatus::Processing, node: Some(node()), try_number: 1, id: queued.id };
        let outcome = correio::application::ports::Outcome { guard, ..outcome(&queued, next.clone()) };
        assert!(adapters.messages.record(&outcome).await.unwrap());
        assert!(!adapters.messages.record(&outcome).await.unwrap());

        let (now, attempts) = adapters.search.find(&queued.tenant, queued.id).await.unwrap().unwrap();
        let status = match next {
            NextStep::Sent(_) => MessageStatus::Sent,
            NextStep::Retry { .. } | NextStep::PutOff { .. } => MessageStatus::Queued,
            NextStep::Failed { .. } => MessageStatus::Failed,
        };
        let spent = u32::from(!matches!(next, NextStep::PutOff { .. }));
        assert_eq!((now.status, now.node, now.try_number, now.tries), (status, guard.node, 1, spent));
        assert_eq!((now.attempt_started_at, now.updated_at), (Some(at(9)), at(10)));
        assert_eq!(attempts.len(), usize::from(status != MessageStatus::Sent));
    }
}

async fn a_claim_that_was_never_made_is_not_made_good(adapters: &Adapters) {
    let owner = node();
    let of_try = |message: &Message, status, try_number| {
        let guard = Guard { status, node: Some(owner), try_number, id: message.id };
        correio::application::ports::Outcome { guard, ..outcome(message, sent()) }
    };
    // A later try, one that ended, and none at all.
    let queued = adapters.open(MessageStatus::Queued, owner).await;
    assert!(!adapters.messages.record(&of_try(&queued, MessageStatus::Processing, 2)).await.unwrap());
    assert!(!adapters.messages.record(&of_try(&queued, MessageStatus::Processing, 0)).await.unwrap());
    assert!(!adapters.messages.record(&of_try(&queued, MessageStatus::Pending, 1)).await.unwrap());
    assert_eq!(adapters.now(&queued).await.status, MessageStatus::Queued);

    // One that waits for its time could not have been claimed.
    let timed = adapters.timed(owner, 60).await;
    assert!(!adapters.messages.record(&of_try(&timed, MessageStatus::Processing, 2)).await.unwrap());
    assert_eq!(adapters.now(&timed).await.status, MessageStatus::Queued);
}

async fn what_is_asked_at_the_same_time_is_answered_one_by_one(adapters: &Adapters) {
    // Stored together, although one of them is there already.
    let owner = node();
    let there = adapters.open(MessageStatus::Queued, owner).await;
    let mut messages: Vec<_> = (0..30).map(|_| message(MessageStatus::Queued, owner)).collect();
    messages.insert(11, there.clone());
    let accepted = join_all(messages.iter().map(|message| adapters.messages.accept(message, None))).await;
    let refused: Vec<_> = accepted.iter().map(Result::is_err).enumerate().filter(|(_, it)| *it).collect();
    assert_eq!(refused, [(11, true)]);

    // Claimed together, although one of them is not there.
    messages.insert(5, message(MessageStatus::Queued, owner));
    let claimed = join_all(messages.iter().map(|message| adapters.messages.claim(message.id, owner, at(1)))).await;
    let claimed: Vec<_> = claimed.into_iter().map(|claim| claim.unwrap().map(|claimed| claimed.message)).collect();
    for (index, (asked, claimed)) in messages.iter().zip(&claimed).enumerate() {
        assert_eq!(claimed.as_ref().map(|claimed| claimed.id), (index != 5).then_some(asked.id));
    }

    // Ended together, although one has lost its guard and one cannot be told as it is.
    let outcomes = claimed.iter().flatten().enumerate().map(|(index, claimed)| match index {
        3 => {
            let mut late = outcome(claimed, sent());
            late.guard.try_number += 1;
            late
        }
        7 => outcome(claimed, NextStep::Retry { at: at(60), error: DeliveryError::transient("a\0b") }),
        8 => outcome(claimed, failed()),
        _ => outcome(claimed, sent()),
    });
    let outcomes: Vec<_> = outcomes.collect();
    let recorded = join_all(outcomes.iter().map(|outcome| adapters.messages.record(outcome))).await;
    for (index, (outcome, recorded)) in outcomes.iter().zip(recorded).enumerate() {
        assert_eq!(recorded.unwrap(), index != 3);
        let now = adapters.messages.find(outcome.guard.id).await.unwrap().unwrap();
        let expected = match index {
            3 => MessageStatus::Processing,
            7 => MessageStatus::Queued,
            8 => MessageStatus::Failed,
            _ => MessageStatus::Sent,
        };
        assert_eq!(now.status, expected);
    }
}

async fn words_that_cannot_be_stored_do_not_lose_the_outcome(adapters: &Adapters) {
    let claimed = adapters.open(MessageStatus::Processing, node()).await;
    let next = NextStep::Retry { at: at(60), error: DeliveryError::transient("a\0b") };
    assert!(adapters.messages.record(&outcome(&claimed, next)).await.unwrap());
    let now = adapters.now(&claimed).await;
    assert_eq!((now.status, now.next_attempt_at), (MessageStatus::Queued, Some(at(60))));
    assert!(now.error.is_some());

    let claimed = adapters.open(MessageStatus::Processing, node()).await;
    let acceptance =
        correio::domain::message::delivery::Acceptance { channel_message_id: Some("\0".to_owned()), http_status: None };
    assert!(adapters.messages.record(&outcome(&claimed, NextStep::Sent(acceptance))).await.unwrap());
    assert_eq!(adapters.now(&claimed).await.status, MessageStatus::Sent);
}
