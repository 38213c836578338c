use correio::application::ports::RepositoryError;
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::credentials::SealedCredentials;
use correio::domain::instance::{ConnectionStatus, Instance, InstanceId};
use correio::domain::message::MessageStatus;
use correio::domain::message::attempt::AttemptOutcome;
use correio::domain::message::delivery::FailureKind;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, instance, message_of, node, outcome, retry, sent, tenant};

on_every_adapter![
    an_instance_reads_back_as_it_was,
    a_name_is_taken_once_in_its_tenant_and_channel,
    a_foreign_instance_is_like_none,
    a_list_is_a_tenants_and_oldest_first,
    an_update_writes_what_can_change_and_nothing_else,
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
    let mine = Instance { tenant: me, ..theirs };
    assert!(!adapters.instances.update(&mine).await.unwrap());
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

async fn an_update_writes_what_can_change_and_nothing_else(adapters: &Adapters) {
    let before = stored(adapters, "acme", "hook").await;
    let changed = Instance {
        name: None,
        channel_phone_or_id: "https://example.org/other".to_owned(),
        status: ConnectionStatus::Error,
        credentials: SealedCredentials(vec![9]),
        max_tries: None,
        metadata: Some("{}".to_owned()),
        updated_at: at(5),
        ..before.clone()
    };
    let forged = Instance { created_at: at(99), user_id: "other".to_owned(), ..changed.clone() };
    assert!(adapters.instances.update(&forged).await.unwrap());
    let now = adapters.instances.find_any(before.id).await.unwrap().unwrap();
    assert_eq!(format!("{now:?}"), format!("{changed:?}"));
    assert_eq!(now.credentials, changed.credentials);
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
        assert!(!adapters.messages.still_holds(&late.guard()).await.unwrap());
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
