use correio::application::ports::{RepositoryError, SealedInstance};
use correio::domain::instance::channel::ChannelName;
use correio::domain::instance::credentials::SealedCredentials;
use correio::domain::instance::{ConnectionStatus, EventSecretChange, Instance, InstanceChange, InstanceId};
use correio::domain::message::MessageStatus;
use futures::future::join_all;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{at, id, instance, message_of, node, tenant};

on_every_adapter![
    an_instance_reads_back_as_it_was,
    a_name_is_taken_once_in_its_tenant_and_channel,
    a_foreign_instance_is_like_none,
    a_list_is_a_tenants_and_oldest_first,
    a_list_ends_where_it_is_too_much,
    sealed_credentials_are_paged_across_tenants_in_order_of_id,
    those_of_one_channel_are_paged_apart,
    instances_of_one_address_are_found_in_every_tenant,
    a_change_writes_what_it_names_and_nothing_else,
    an_instance_is_found_by_its_secret_however_many_have_its_name,
    all_instances_of_one_name_and_of_one_address_are_paged,
    of_changes_at_once_each_holds,
    a_deleted_instance_is_gone_its_name_is_free_and_its_messages_stay,
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
    assert!(adapters.instances.list(&me, None).await.unwrap().instances.is_empty());
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
    assert_eq!(names(adapters.instances.list(&tenant("acme"), None).await.unwrap().instances), ["early", "late"]);
    let webhooks = adapters.instances.list(&tenant("acme"), Some(&ChannelName::new("webhook"))).await.unwrap();
    assert_eq!(names(webhooks.instances), ["late"]);
}

async fn a_list_ends_where_it_is_too_much(adapters: &Adapters) {
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(5 << 20));
    for name in 0..5 {
        let metadata = Some(large.clone());
        let instance = Instance { metadata, created_at: at(name), ..instance("acme", &format!("hook-{name}")) };
        adapters.instances.insert(&instance).await.unwrap();
        let listed = adapters.instances.list(&tenant("acme"), None).await.unwrap();
        let names: Vec<String> = listed.instances.into_iter().map(|it| it.channel_instance_id).collect();
        let expected: Vec<String> = (0..=name.min(3)).map(|name| format!("hook-{name}")).collect();
        assert_eq!((names, listed.more), (expected, name > 3));
    }
    let of_others = adapters.instances.list(&tenant("acme"), Some(&ChannelName::new("sandbox"))).await.unwrap();
    assert!(of_others.instances.is_empty() && !of_others.more);
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

    assert_eq!(adapters.instances.sealed(None, None, 100).await.unwrap(), expected);
    let (mut paged, mut after) = (Vec::new(), None);
    for length in [2, 2, 1, 0] {
        let page = adapters.instances.sealed(None, after, 2).await.unwrap();
        assert_eq!(page.len(), length);
        after = page.last().map(|instance| instance.id).or(after);
        paged.extend(page);
    }
    assert_eq!(paged, expected);
}

async fn those_of_one_channel_are_paged_apart(adapters: &Adapters) {
    let sandbox = ChannelName::new("sandbox");
    let mut expected = Vec::new();
    for (number, tenant) in ["globex", "acme", "acme", "globex"].into_iter().enumerate() {
        stored(adapters, tenant, &format!("hook-{number}")).await;
        let channel = sandbox.clone();
        let instance = Instance { channel, ..instance(tenant, &format!("sandbox-{number}")) };
        adapters.instances.insert(&instance).await.unwrap();
        expected.push(instance.id);
    }
    let bare =
        Instance { credentials: SealedCredentials(vec![]), channel: sandbox.clone(), ..instance("acme", "bare") };
    adapters.instances.insert(&bare).await.unwrap();
    expected.sort();
    let (mut paged, mut after) = (Vec::new(), None);
    for length in [3, 1, 0] {
        let page = adapters.instances.sealed(Some(&sandbox), after, 3).await.unwrap();
        assert_eq!(page.len(), length);
        after = page.last().map(|instance| instance.id).or(after);
        paged.extend(page.into_iter().map(|instance| instance.id));
    }
    assert_eq!(paged, expected);
}

async fn instances_of_one_address_are_found_in_every_tenant(adapters: &Adapters) {
    let of = |tenant: &str, name: &str, channel: &str, address: &str| Instance {
        channel: ChannelName::new(channel),
        channel_phone_or_id: address.to_owned(),
        ..instance(tenant, name)
    };
    let (first, second) = (of("acme", "loja", "wide", "1065"), of("globex", "shop", "wide", "1065"));
    // Longer than what a tree of PostgreSQL's takes.
    let long = "á".repeat(2_048);
    let others = [
        of("acme", "a", "wide", "10650"),
        of("acme", "b", "wide", "106"),
        of("acme", "c", "sandbox", "1065"),
        of("acme", "d", "wide", &long),
    ];
    for instance in [&first, &second].into_iter().chain(&others) {
        adapters.instances.insert(instance).await.unwrap();
    }
    let found = async |address: &str| {
        let found = adapters.instances.addressed(&ChannelName::new("wide"), address, None).await.unwrap();
        found.instances.into_iter().map(|instance| instance.id).collect::<Vec<_>>()
    };
    let mut expected = vec![first.id, second.id];
    expected.sort();
    assert_eq!(found("1065").await, expected);
    assert_eq!(found(&long).await, [others[3].id]);
    assert!(found("1").await.is_empty());
    let change = InstanceChange { channel_phone_or_id: Some("9".to_owned()), ..InstanceChange::default() };
    adapters.instances.update(&first.tenant, first.id, &change, at(5)).await.unwrap().unwrap();
    assert_eq!((found("1065").await, found("9").await), (vec![second.id], vec![first.id]));
}

/// However many tenants there are: one whose instance is the youngest is found, too.
async fn all_instances_of_one_name_and_of_one_address_are_paged(adapters: &Adapters) {
    let wide = ChannelName::new("wide");
    let mut expected = Vec::new();
    for number in 0..230 {
        let channel = wide.clone();
        let channel_phone_or_id = "1065".to_owned();
        let instance = Instance { channel, channel_phone_or_id, ..instance(&format!("tenant{number}"), "loja") };
        adapters.instances.insert(&instance).await.unwrap();
        expected.push(instance.id);
    }
    stored(adapters, "acme", "other").await;
    expected.sort();
    for by_name in [true, false] {
        let (mut paged, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = match by_name {
                true => adapters.instances.named("loja", after).await.unwrap(),
                false => adapters.instances.addressed(&wide, "1065", after).await.unwrap(),
            };
            pages += 1;
            paged.extend(page.instances.into_iter().map(|instance| instance.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((paged, pages), (expected.clone(), 3));
    }
}

/// In the place of that one.
fn secret(number: u8, replaced: Option<u8>) -> EventSecretChange {
    let sealed = |number: u8| SealedCredentials(vec![number, 0, 9]);
    let replaces = replaced.map(sealed);
    EventSecretChange { sealed: sealed(number), digest: [number; 32], replaces, former_until: None }
}

async fn an_instance_is_found_by_its_secret_however_many_have_its_name(adapters: &Adapters) {
    let named: Vec<Instance> = {
        let mut named = Vec::new();
        for number in 0..120 {
            named.push(stored(adapters, &format!("tenant{number}"), "loja").await);
        }
        named
    };
    let last = &named[119];
    let give = async |change: EventSecretChange, now| {
        let change = InstanceChange { event_secret: Some(change), ..InstanceChange::default() };
        adapters.instances.update(&last.tenant, last.id, &change, at(now)).await.unwrap().unwrap();
    };
    let found = async |name: &str, number: u8, now| {
        let found = adapters.instances.by_event_secret(name, &[number; 32], at(now)).await.unwrap();
        found.map(|instance| instance.id)
    };
    assert_eq!(found("loja", 7, 1).await, None);
    give(secret(7, None), 1).await;
    assert_eq!(
        (found("loja", 7, 1).await, found("other", 7, 1).await, found("loja", 8, 1).await),
        (Some(last.id), None, None)
    );
    // The one before counts for a while.
    give(EventSecretChange { former_until: Some(at(10)), ..secret(8, Some(7)) }, 2).await;
    assert_eq!((found("loja", 8, 9).await, found("loja", 7, 9).await), (Some(last.id), Some(last.id)));
    assert_eq!((found("loja", 8, 10).await, found("loja", 7, 10).await), (Some(last.id), None));
    // In the place of another one than it has: too late.
    give(EventSecretChange { former_until: Some(at(90)), ..secret(9, Some(7)) }, 3).await;
    assert_eq!(
        (found("loja", 9, 9).await, found("loja", 8, 9).await, found("loja", 7, 11).await),
        (None, Some(last.id), None)
    );
    assert!(adapters.instances.delete(&last.tenant, last.id, at(4)).await.unwrap());
    assert_eq!(found("loja", 8, 9).await, None);
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
        InstanceChange { retry_unknown: Some(Some(false)), ..none() },
        InstanceChange { retry_unknown: Some(None), ..none() },
        InstanceChange { one_call_at_a_time: Some(true), ..none() },
        InstanceChange { one_call_at_a_time: Some(false), ..none() },
        InstanceChange { rate_limit_per_minute: Some(Some(20)), ..none() },
        InstanceChange { burst: Some(Some(1_000_000)), ..none() },
        InstanceChange { rate_limit_per_minute: Some(None), burst: Some(None), ..none() },
        InstanceChange { event_secret: Some(secret(7, None)), ..none() },
        // Of two that are made at once the first counts.
        InstanceChange { event_secret: Some(secret(8, None)), ..none() },
        InstanceChange { event_secret: Some(secret(9, Some(7))), ..none() },
        InstanceChange { metadata: Some(Some("{}".to_owned())), ..none() },
        InstanceChange { metadata: Some(None), ..none() },
        none(),
    ];
    for (change, now) in changes.into_iter().zip(50..) {
        let InstanceChange {
            channel_phone_or_id,
            name,
            status,
            credentials,
            max_tries,
            metadata,
            retry_unknown,
            event_secret,
            one_call_at_a_time,
            rate_limit_per_minute,
            burst,
        } = change.clone();
        expected = Instance {
            channel_phone_or_id: channel_phone_or_id.unwrap_or(expected.channel_phone_or_id),
            name: name.unwrap_or(expected.name),
            status: status.unwrap_or(expected.status),
            credentials: credentials.unwrap_or(expected.credentials),
            max_tries: max_tries.unwrap_or(expected.max_tries),
            retry_unknown: retry_unknown.unwrap_or(expected.retry_unknown),
            event_secret: match event_secret.filter(|secret| secret.replaces == expected.event_secret) {
                Some(secret) => Some(secret.sealed),
                None => expected.event_secret,
            },
            one_call_at_a_time: one_call_at_a_time.or(expected.one_call_at_a_time),
            rate_limit_per_minute: rate_limit_per_minute.unwrap_or(expected.rate_limit_per_minute),
            burst: burst.unwrap_or(expected.burst),
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

async fn a_deleted_instance_is_gone_its_name_is_free_and_its_messages_stay(adapters: &Adapters) {
    let doomed = stored(adapters, "acme", "hook").await;
    let message = adapters.stored(message_of(&doomed, MessageStatus::Queued, node())).await;
    assert!(adapters.instances.delete(&doomed.tenant, doomed.id, at(20)).await.unwrap());
    assert!(adapters.instances.find_any(doomed.id).await.unwrap().is_none());
    assert!(adapters.instances.list(&doomed.tenant, None).await.unwrap().instances.is_empty());
    assert_eq!(format!("{:?}", adapters.now(&message).await), format!("{message:?}"));
    assert!(!adapters.instances.delete(&doomed.tenant, doomed.id, at(30)).await.unwrap());
    stored(adapters, "acme", "hook").await;
}

async fn deleting_a_foreign_instance_touches_nothing(adapters: &Adapters) {
    let theirs = stored(adapters, "acme", "hook").await;
    let message = adapters.stored(message_of(&theirs, MessageStatus::Queued, node())).await;
    assert!(!adapters.instances.delete(&tenant("globex"), theirs.id, at(20)).await.unwrap());
    assert!(adapters.instances.find_any(theirs.id).await.unwrap().is_some());
    assert!(adapters.deleted_instances.list(10).await.unwrap().is_empty());
    assert_eq!(adapters.now(&message).await.status, MessageStatus::Queued);
}
