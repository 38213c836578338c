use correio::application::ports::{RepositoryError, SealedInstance};
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::credentials::SealedCredentials;
use correio::domain::instance::{ConnectionStatus, Instance, InstanceChange, InstanceId};
use correio::domain::message::MessageStatus;
use correio::domain::message::attempt::AttemptOutcome;
use correio::domain::message::delivery::FailureKind;
use futures::future::join_all;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, instance, message_of, node, outcome, retry, sent, tenant};

on_every_adapter![
    an_instance_reads_back_as_it_was,
    a_name_is_taken_once_in_its_tenant_and_channel,
    a_foreign_instance_is_like_none,
    a_list_is_a_tenants_and_oldest_first,
    sealed_credentials_are_paged_across_tenants_in_order_of_id,
    a_change_writes_what_it_names_and_nothing_else,
    of_changes_at_once_each_holds,
    a_deleted_instance_fails_its_open_messages,
    a_late_outcome_of_a_deleted_instances_message_loses,
    what_a_deleted_instance_fails_owes_its_record_unless_told_otherwise,
    deleting_a_foreign_instance_touches_nothing,
];

async fn stored(adapters: &Adapters, tenant: &str, name: &str) -> Instance {
    let instance = instance(tenant, name);
    adapters.instances.insert(&instance).await.unwrap();
    instance
}

async fn an_instance_reads_back_as_it_was(adapters: &Adapters) {
    let full = stored(adapters, "acme", "full").await;
    let bare = Instance { name: None, max_tries: None, metadata: None, ..instance("acme", "bare") };
    adapters.instances.insert(&bare).await.unwrap();
    for instance in [full, bare] {
        let found = adapters.instances.find(&instance.tenant, instance.id).await.unwrap().unwrap();
        assert_eq!(format!("{found:?}"), format!("{instance:?}"));
        assert_eq!(found.credentials, instance.credentials);
        let by_name =
            adapters.instances.find_by_name(&instance.tenant, &instance.channel, &instance.channel_instance_id);
        assert_eq!(by_name.await.unwrap().unwrap().id, instance.id);
        assert_eq!(adapters.instances.find_any(instance.id).await.unwrap().unwrap().id, instance.id);
    }
}

async fn a_name_is_taken_once_in_its_tenant_and_channel(adapters: &Adapters) {
    stored(adapters, "acme", "hook").await;
    let again = adapters.instances.insert(&instance("acme", "hook")).await;
    assert!(matches!(again, Err(RepositoryError::Conflict)));
    stored(adapters, "globex", "hook").await;
    let other_channel = Instance { channel: ChannelName::new("sandbox"), ..instance("acme", "hook") };
    adapters.instances.insert(&other_channel).await.unwrap();
}

async fn a_foreign_instance_is_like_none(adapters: &Adapters) {
    let theirs = stored(adapters, "acme", "hook").await;
    let me = tenant("globex");
    assert!(adapters.instances.find(&me, theirs.id).await.unwrap().is_none());
    assert!(adapters.instances.find_by_name(&me, &theirs.channel, "hook").await.unwrap().is_none());
    assert!(adapters.instances.list(&me, None).await.unwrap().is_empty());
    let change = InstanceChange { name: Some(None), ..InstanceChange::default() };
    assert!(adapters.instances.update(&me, theirs.id, &change, at(5)).await.unwrap().is_none());
    let now = adapters.instances.find_any(theirs.id).await.unwrap().unwrap();
    assert_eq!(format!("{now:?}"), format!("{theirs:?}"));
    assert!(adapters.instances.find_any(InstanceId(id())).await.unwrap().is_none());
}

async fn a_list_is_a_tenants_and_oldest_first(adapters: &Adapters) {
    let late = Instance { created_at: at(9), ..instance("acme", "late") };
    let early = Instance { created_at: at(1), channel: ChannelName::new("sandbox"), ..instance("acme", "early") };
    for instance in [&late, &early] {
        adapters.instances.insert(instance).await.unwrap();
    }
    stored(adapters, "globex", "theirs").await;
    let names = |list: Vec<Instance>| list.into_iter().map(|it| it.channel_instance_id).collect::<Vec<_>>();
    assert_eq!(names(adapters.instances.list(&tenant("acme"), None).await.unwrap()), ["early", "late"]);
    let webhooks = adapters.instances.list(&tenant("acme"), Some(&ChannelName::new("webhook"))).await.unwrap();
    assert_eq!(names(webhooks), ["late"]);
}

async fn sealed_credentials_are_paged_across_tenants_in_order_of_id(adapters: &Adapters) {
    let mut expected = Vec::new();
    for (number, tenant) in ["globex", "acme", "acme", "globex", "initech"].into_iter().enumerate() {
        let instance = stored(adapters, tenant, &format!("hook-{number}")).await;
        expected.push(SealedInstance {
            id: instance.id,
            channel_instance_id: instance.channel_instance_id,
            credentials: instance.credentials,
        });
    }
    let bare = Instance { credentials: SealedCredentials(vec![]), ..instance("acme", "bare") };
    adapters.instances.insert(&bare).await.unwrap();
    expected.sort_by_key(|instance| instance.id);

    assert_eq!(adapters.instances.sealed(None, 100).await.unwrap(), expected);
    let (mut paged, mut after) = (Vec::new(), None);
    for length in [2, 2, 1, 0] {
        let page = adapters.instances.sealed(after, 2).await.unwrap();
        assert_eq!(page.len(), length);
        after = page.last().map(|instance| instance.id).or(after);
        paged.extend(page);
    }
    assert_eq!(paged, expected);
}

async fn a_change_writes_what_it_names_and_nothing_else(adapters: &Adapters) {
    let mut expected = stored(adapters, "acme", "hook").await;
    let none = InstanceChange::default;
    let changes = [
        InstanceChange { name: Some(Some("Matriz".to_owned())), ..none() },
        InstanceChange { name: Some(None), ..none() },
        InstanceChange { channel_phone_or_id: Some("https://example.org/other".to_owned()), ..none() },
        InstanceChange { status: Some(ConnectionStatus::Error), ..none() },
        InstanceChange { credentials: Some(SealedCredentials(vec![9])), ..none() },
        InstanceChange { max_tries: Some(Some(7)), ..none() },
        InstanceChange { max_tries: Some(None), ..none() },
        InstanceChange { metadata: Some(Some("{}".to_owned())), ..none() },
        InstanceChange { metadata: Some(None), ..none() },
        none(),
    ];
    for (change, now) in changes.into_iter().zip(50..) {
        let InstanceChange { channel_phone_or_id, name, status, credentials, max_tries, metadata } = change.clone();
        expected = Instance {
            channel_phone_or_id: channel_phone_or_id.unwrap_or(expected.channel_phone_or_id),
            name: name.unwrap_or(expected.name),
            status: status.unwrap_or(expected.status),
            credentials: credentials.unwrap_or(expected.credentials),
            max_tries: max_tries.unwrap_or(expected.max_tries),
            metadata: metadata.unwrap_or(expected.metadata),
            updated_at: at(now),
            ..expected
        };
        let updated = adapters.instances.update(&expected.tenant, expected.id, &change, at(now)).await.unwrap();
        let found = adapters.instances.find_any(expected.id).await.unwrap();
        for instance in [updated.unwrap(), found.unwrap()] {
            assert_eq!(format!("{instance:?}"), format!("{expected:?}"), "{change:?}");
            assert_eq!(instance.credentials, expected.credentials);
        }
    }
    let earlier = adapters.instances.update(&expected.tenant, expected.id, &none(), at(1)).await.unwrap().unwrap();
    assert_eq!(earlier.updated_at, expected.updated_at, "a clock went back");
}

async fn of_changes_at_once_each_holds(adapters: &Adapters) {
    let before = stored(adapters, "acme", "hook").await;
    let none = InstanceChange::default;
    let changes = [
        InstanceChange { name: Some(Some("Matriz".to_owned())), ..none() },
        InstanceChange { channel_phone_or_id: Some("https://example.org/other".to_owned()), ..none() },
        InstanceChange { credentials: Some(SealedCredentials(vec![9])), ..none() },
        InstanceChange { max_tries: Some(Some(7)), ..none() },
        InstanceChange { metadata: Some(Some("{}".to_owned())), ..none() },
    ];
    let update = |change| adapters.instances.update(&before.tenant, before.id, change, at(5));
    join_all(changes.iter().map(update)).await.into_iter().for_each(|updated| assert!(updated.unwrap().is_some()));
    let now = adapters.instances.find_any(before.id).await.unwrap().unwrap();
    assert_eq!((now.name.as_deref(), now.max_tries, now.metadata.as_deref()), (Some("Matriz"), Some(7), Some("{}")));
    assert_eq!(now.channel_phone_or_id, "https://example.org/other");
    assert_eq!(now.credentials, SealedCredentials(vec![9]));
}

async fn a_deleted_instance_fails_its_open_messages(adapters: &Adapters) {
    let (doomed, other, owner) = (stored(adapters, "acme", "a").await, stored(adapters, "acme", "b").await, node());
    let queued = adapters.stored(message_of(&doomed, MessageStatus::Queued, owner)).await;
    let pending = adapters.stored(message_of(&doomed, MessageStatus::Pending, owner)).await;
    let processing = adapters.stored(message_of(&doomed, MessageStatus::Queued, owner)).await;
    adapters.messages.claim(processing.id, owner, at(1)).await.unwrap().unwrap();
    let timed = adapters.stored(message_of(&doomed, MessageStatus::Queued, owner)).await;
    let claimed = adapters.messages.claim(timed.id, owner, at(1)).await.unwrap().unwrap().message;
    adapters.messages.record(&outcome(&claimed, retry(60))).await.unwrap();
    let done = adapters.stored(message_of(&doomed, MessageStatus::Pending, owner)).await;
    adapters.messages.record(&outcome(&done, sent())).await.unwrap();
    let others = adapters.stored(message_of(&other, MessageStatus::Queued, owner)).await;

    assert!(
        adapters
            .instances
            .delete(&doomed.tenant, doomed.id, "its instance was deleted", Some(at(15)), at(20))
            .await
            .unwrap()
    );

    assert!(adapters.instances.find_any(doomed.id).await.unwrap().is_none());
    for (message, tries) in [(queued, 1), (pending, 1), (processing, 1), (timed, 2)] {
        let (now, attempts) = adapters.search.find(&message.tenant, message.id).await.unwrap().unwrap();
        assert_eq!((now.status, now.failure), (MessageStatus::Failed, Some(FailureKind::Channel)));
        assert_eq!((now.try_number, now.tries), (tries, tries));
        assert_eq!((now.dead_lettered_at, now.next_attempt_at, now.updated_at), (Some(at(15)), None, at(20)));
        assert_eq!(now.error.as_deref(), Some("its instance was deleted"));
        let last = attempts.last().unwrap();
        assert_eq!((last.number, last.outcome), (tries, Some(AttemptOutcome::Permanent)));
        assert_eq!((last.error.as_deref(), last.finished_at), (Some("its instance was deleted"), Some(at(20))));
    }
    assert_eq!(adapters.now(&done).await.status, MessageStatus::Sent);
    assert_eq!(adapters.now(&others).await.status, MessageStatus::Queued);
    assert!(!adapters.instances.delete(&doomed.tenant, doomed.id, "again", None, at(30)).await.unwrap());
}

async fn a_late_outcome_of_a_deleted_instances_message_loses(adapters: &Adapters) {
    let (doomed, owner) = (stored(adapters, "acme", "a").await, node());
    let pending = adapters.stored(message_of(&doomed, MessageStatus::Pending, owner)).await;
    let queued = adapters.stored(message_of(&doomed, MessageStatus::Queued, owner)).await;
    let claimed = adapters.messages.claim(queued.id, owner, at(1)).await.unwrap().unwrap().message;
    adapters.instances.delete(&doomed.tenant, doomed.id, "deleted", None, at(20)).await.unwrap();
    for late in [pending, claimed] {
        assert!(!adapters.messages.take_along(&late.guard(), node(), at(25)).await.unwrap());
        assert!(!adapters.messages.record(&outcome(&late, sent())).await.unwrap());
        assert_eq!(adapters.now(&late).await.status, MessageStatus::Failed);
    }
}

async fn what_a_deleted_instance_fails_owes_its_record_unless_told_otherwise(adapters: &Adapters) {
    let owner = node();
    let mut owing = Vec::new();
    for (name, dead_lettered_at) in [("a", None), ("b", Some(at(20)))] {
        let doomed = stored(adapters, "acme", name).await;
        for status in [MessageStatus::Pending, MessageStatus::Queued] {
            let message = adapters.stored(message_of(&doomed, status, owner)).await;
            owing.extend(dead_lettered_at.is_none().then_some(message.id));
        }
        adapters.instances.delete(&doomed.tenant, doomed.id, "deleted", dead_lettered_at, at(20)).await.unwrap();
    }
    let owed = adapters.owed_dead_letters.owed(owner, None, &[], 10).await.unwrap();
    assert_eq!(owed.iter().map(|message| message.id).collect::<Vec<_>>(), owing);
}

async fn deleting_a_foreign_instance_touches_nothing(adapters: &Adapters) {
    let theirs = stored(adapters, "acme", "hook").await;
    let message = adapters.stored(message_of(&theirs, MessageStatus::Queued, node())).await;
    assert!(!adapters.instances.delete(&tenant("globex"), theirs.id, "deleted", None, at(20)).await.unwrap());
    assert!(adapters.instances.find_any(theirs.id).await.unwrap().is_some());
    assert_eq!(adapters.now(&message).await.status, MessageStatus::Queued);
}
