use std::time::Duration;

use correio::application::ports::{MessageFilter, Purposes};
use correio::domain::Timestamp;
use correio::domain::instance::channel::ChannelName;
use correio::domain::message::{Direction, Message, MessageId, MessageStatus, Purpose};
use correio::domain::status_webhook::StatusSubscription;
use uuid::Uuid;

use crate::contracts::on_every_adapter;
use crate::support::databases::Adapters;
use crate::support::given::{AT_ONCE, LARGE, at, instance, large, message, message_of, node, outcome, sent, tenant};

on_every_adapter![
    a_foreign_message_is_like_none,
    pages_go_from_the_newest_to_the_oldest_without_a_gap,
    a_page_is_bounded_in_bytes_and_the_next_one_goes_on,
    every_filter_narrows,
    every_filter_finds_what_matches_in_every_week,
    what_waits_for_its_senders_time_is_listed_alone,
    counts_are_by_state_and_follow_the_filter,
    open_messages_are_counted_across_tenants,
    what_is_rolled_up_goes_on_being_counted,
];

async fn a_foreign_message_is_like_none(adapters: &Adapters) {
    let message = adapters.stored(message(MessageStatus::Queued, node())).await;
    assert!(adapters.search.find(&message.tenant, message.id).await.unwrap().is_some());
    assert!(adapters.search.find(&tenant("globex"), message.id).await.unwrap().is_none());
    assert!(
        adapters.search.list(&tenant("globex"), &MessageFilter::default(), None, 10).await.unwrap().messages.is_empty()
    );
    assert!(adapters.search.count(&tenant("globex"), &MessageFilter::default()).await.unwrap().is_empty());
}

async fn what_waits_for_its_senders_time_is_listed_alone(adapters: &Adapters) {
    let owner = adapters.live_node().await;
    let later = |seconds| {
        let time = Some(at(seconds));
        Message { send_at: time, next_attempt_at: time, ..message(MessageStatus::Queued, owner) }
    };
    let (near, far) = (adapters.stored(later(60)).await, adapters.stored(later(600)).await);
    adapters.stored(message(MessageStatus::Queued, owner)).await;
    // It has waited for its time, and waits for its next try now.
    let retried = adapters.stored(later(10)).await;
    assert_eq!(adapters.taken(&crate::support::given::take(owner, 10)).await, [retried.id]);
    let claimed = adapters.messages.claim(retried.id, owner, at(10)).await.unwrap().unwrap().message;
    let again = outcome(&claimed, crate::support::given::retry(30));
    assert!(adapters.messages.record(&again).await.unwrap());
    let scheduled =
        MessageFilter { is_scheduled: true, status: Some(MessageStatus::Queued), ..MessageFilter::default() };
    let ids = async |filter: &MessageFilter| -> Vec<MessageId> {
        let listed = adapters.search.list(&tenant("acme"), filter, None, 10).await.unwrap();
        listed.messages.iter().map(|message| message.id).collect()
    };
    assert_eq!(ids(&scheduled).await, [far.id, near.id]);
    let of_others = MessageFilter { recipient: Some("other".to_owned()), ..scheduled };
    assert_eq!(ids(&of_others).await, []);
}

async fn pages_go_from_the_newest_to_the_oldest_without_a_gap(adapters: &Adapters) {
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.insert(0, adapters.stored(message(MessageStatus::Queued, node())).await.id);
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = adapters.search.list(&tenant("acme"), &MessageFilter::default(), before, 3).await.unwrap();
        before = page.messages.last().map(|message| message.id);
        seen.extend(page.messages.iter().map(|message| message.id));
        assert_eq!(page.more, seen.len() < expected.len());
        if !page.more {
            break;
        }
    }
    assert_eq!(seen, expected);
}

async fn a_page_is_bounded_in_bytes_and_the_next_one_goes_on(adapters: &Adapters) {
    let mut newest_first = Vec::new();
    for mebibytes in LARGE.into_iter().rev() {
        newest_first.insert(0, adapters.stored(large(MessageStatus::Queued, node(), mebibytes)).await.id);
    }
    let (mut seen, mut before) = (Vec::new(), None);
    for count in AT_ONCE {
        let page = adapters.search.list(&tenant("acme"), &MessageFilter::default(), before, 100).await.unwrap();
        assert_eq!(page.messages.len(), count);
        before = page.messages.last().map(|message| message.id);
        seen.extend(page.messages.iter().map(|message| message.id));
        assert_eq!(page.more, seen.len() < LARGE.len());
    }
    assert_eq!(seen, newest_first);
}

async fn every_filter_narrows(adapters: &Adapters) {
    let accepted = |seconds: i64, channel: &str, name: &str, recipient: &str| {
        let mut instance = instance("acme", name);
        instance.channel = ChannelName::new(channel);
        let message = message_of(&instance, MessageStatus::Queued, node());
        // Of that time, too.
        let time = u128::from(at(seconds).timestamp_millis().cast_unsigned()) << 80;
        let id = MessageId(Uuid::from_u128(time | (message.id.0.as_u128() & ((1 << 80) - 1))));
        Message { id, recipient: recipient.to_owned(), created_at: at(seconds), ..message }
    };
    let one = adapters.stored(accepted(1, "webhook", "a", "x")).await.id;
    let two = adapters.stored(accepted(2, "webhook", "b", "y")).await.id;
    let three = adapters.stored(accepted(3, "sandbox", "b", "x")).await;
    let claimed = adapters.messages.claim(three.id, node(), at(4)).await.unwrap().unwrap().message;
    adapters.messages.record(&outcome(&claimed, sent())).await.unwrap();
    let three = three.id;

    let all = MessageFilter::default();
    let cases = [
        (MessageFilter { status: Some(MessageStatus::Queued), ..all.clone() }, vec![two, one]),
        (MessageFilter { channel: Some(ChannelName::new("sandbox")), ..all.clone() }, vec![three]),
        (MessageFilter { channel_instance_id: Some("b".to_owned()), ..all.clone() }, vec![three, two]),
        (MessageFilter { recipient: Some("x".to_owned()), ..all.clone() }, vec![three, one]),
        (MessageFilter { created_after: Some(at(2)), ..all.clone() }, vec![three, two]),
        (MessageFilter { created_before: Some(at(2)), ..all.clone() }, vec![one]),
        (MessageFilter { created_after: Some(at(1)), created_before: Some(at(3)), ..all.clone() }, vec![two, one]),
        (MessageFilter { recipient: Some("x' or 1=1 --".to_owned()), ..all.clone() }, vec![]),
        (all, vec![three, two, one]),
    ];
    for (filter, expected) in cases {
        let listed = adapters.search.list(&tenant("acme"), &filter, None, 10).await.unwrap();
        assert_eq!(listed.messages.iter().map(|message| message.id).collect::<Vec<_>>(), expected, "{filter:?}");
        let counted: u64 = adapters.search.count(&tenant("acme"), &filter).await.unwrap().values().sum();
        assert_eq!(counted, expected.len() as u64, "{filter:?}");
    }
}

/// Of many weeks, which are searched a few at a time, and of those that lie outside of all weeks.
async fn every_filter_finds_what_matches_in_every_week(adapters: &Adapters) {
    const WEEK: i64 = 7 * 24 * 60 * 60;
    for week in [0, 6, 12, 20] {
        adapters.storage.maintain(at(week * WEEK)).await.unwrap();
    }
    let (channels, names, recipients) = (["webhook", "sandbox"], ["a", "b", "c"], ["x", "y"]);
    let mut stored = Vec::new();
    for index in 0..96_usize {
        // Each number but the first is as good as independent of the others.
        let status = MessageStatus::ALL[index % 8];
        let mut instance = instance(["acme", "acme", "globex"][index / 5 % 3], names[index / 3 % 3]);
        instance.channel = ChannelName::new(channels[index / 7 % 2]);
        let time = at(i64::try_from(index).unwrap() * WEEK / 4);
        let message = message_of(&instance, status, node());
        let id = u128::from(time.timestamp_millis().cast_unsigned()) << 80 | message.id.0.as_u128() & ((1 << 80) - 1);
        let recipient = recipients[index / 11 % 2].to_owned();
        let id = MessageId(Uuid::from_u128(id));
        let is_received = status == MessageStatus::Delivered && index / 13 % 2 == 0;
        let direction = if is_received { Direction::Received } else { Direction::Sent };
        stored.push(adapters.stored(Message { id, recipient, direction, created_at: time, ..message }).await);
        if index % 4 == 1 && !matches!(status, MessageStatus::Delivered | MessageStatus::Read) {
            stored.push(adapters.stored(telling(stored.last().unwrap())).await);
        }
    }
    let options = |count: usize| std::iter::once(None).chain((0..count).map(Some));
    let mut filters = Vec::new();
    for status in options(8) {
        for (channel, name, recipient) in options(2)
            .flat_map(|channel| options(2).map(move |name| (channel, name)))
            .flat_map(|(channel, name)| options(1).map(move |recipient| (channel, name, recipient)))
        {
            filters.push(MessageFilter {
                purposes: [Purposes::Own, Purposes::Any, Purposes::Own, Purposes::Of(Purpose::Status)]
                    [filters.len() % 4],
                direction: [None, Some(Direction::Sent), Some(Direction::Received)][filters.len() % 3],
                status: status.map(|it| MessageStatus::ALL[it]),
                channel: channel.map(|it| ChannelName::new(channels[it])),
                channel_instance_id: name.map(|it| names[it].to_owned()),
                recipient: recipient.map(|it| recipients[it].to_owned()),
                stuck: None,
                created_after: (filters.len() % 4 == 1).then(|| at(5 * WEEK)),
                created_before: (filters.len() % 4 == 2).then(|| at(15 * WEEK)),
                is_scheduled: false,
            });
        }
    }
    for filter in filters {
        let matches = |message: &&Message| {
            message.tenant == tenant("acme")
                && filter.purposes.contain(message.purpose)
                && filter.direction.is_none_or(|direction| message.direction == direction)
                && filter.status.is_none_or(|status| message.status == status)
                && filter.channel.as_ref().is_none_or(|channel| message.channel == *channel)
                && filter.channel_instance_id.as_ref().is_none_or(|name| message.channel_instance_id == *name)
                && filter.recipient.as_ref().is_none_or(|recipient| message.recipient == *recipient)
                && filter.created_after.is_none_or(|after| message.created_at >= after)
                && filter.created_before.is_none_or(|before| message.created_at < before)
        };
        let expected: Vec<MessageId> = stored.iter().rev().filter(matches).map(|message| message.id).collect();
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let page = adapters.search.list(&tenant("acme"), &filter, before, 20).await.unwrap();
            seen.extend(page.messages.iter().map(|message| message.id));
            before = seen.last().copied();
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, expected, "{filter:?}");
        let counted: u64 = adapters.search.count(&tenant("acme"), &filter).await.unwrap().values().sum();
        assert_eq!(counted, expected.len() as u64, "{filter:?}");
    }
}

/// What tells a subscriber of this message.
fn telling(of: &Message) -> Message {
    Message {
        id: MessageId(Uuid::from_u128(of.id.0.as_u128() + 1)),
        purpose: Some(Purpose::Status),
        channel: ChannelName::new("webhook"),
        channel_instance_id: StatusSubscription::instance_name(of.instance_id),
        recipient: of.id.to_string(),
        direction: Direction::Sent,
        ..of.clone()
    }
}

async fn counts_are_by_state_and_follow_the_filter(adapters: &Adapters) {
    let owner = node();
    adapters.open(MessageStatus::Queued, owner).await;
    adapters.open(MessageStatus::Queued, owner).await;
    adapters.open(MessageStatus::Pending, owner).await;
    let counts = adapters.search.count(&tenant("acme"), &MessageFilter::sent()).await.unwrap();
    assert_eq!(counts.get(&MessageStatus::Queued), Some(&2));
    assert_eq!(counts.get(&MessageStatus::Pending), Some(&1));
    assert_eq!(counts.get(&MessageStatus::Sent).copied().unwrap_or_default(), 0);
    let filter = MessageFilter { status: Some(MessageStatus::Pending), ..MessageFilter::default() };
    let counts = adapters.search.count(&tenant("acme"), &filter).await.unwrap();
    assert_eq!(counts.values().sum::<u64>(), 1);
}

async fn open_messages_are_counted_across_tenants(adapters: &Adapters) {
    let owner = node();
    for status in MessageStatus::OPEN {
        adapters.open(status, owner).await;
    }
    adapters.timed(owner, 60).await;
    adapters.stored(message_of(&instance("globex", "hook"), MessageStatus::Queued, owner)).await;
    let done = adapters.open(MessageStatus::Processing, owner).await;
    adapters.messages.record(&outcome(&done, sent())).await.unwrap();
    let open = async || {
        let of = async |tenant| adapters.search.count_open(tenant).await.unwrap();
        [
            of(None).await,
            of(Some(&tenant("acme"))).await,
            of(Some(&tenant("globex"))).await,
            of(Some(&tenant("none"))).await,
        ]
    };
    assert_eq!(open().await, [5, 4, 1, 0]);
    let all = async || {
        let counts = adapters.search.count_all().await.unwrap();
        [MessageStatus::Pending, MessageStatus::Queued, MessageStatus::Processing, MessageStatus::Sent]
            .map(|status| counts.get(&status).copied().unwrap_or_default())
    };
    assert_eq!(all().await, [1, 3, 1, 1]);
    adapters.storage.roll_up().await.unwrap();
    assert_eq!(open().await, [5, 4, 1, 0]);
    assert_eq!(all().await, [1, 3, 1, 1]);
}

async fn what_is_rolled_up_goes_on_being_counted(adapters: &Adapters) {
    let owner = node();
    are_counted(adapters, "acme").await;
    for _ in 0..2 {
        for status in MessageStatus::ALL {
            adapters.stored(message_of(&instance("acme", "hook"), status, owner)).await;
            are_counted(adapters, "acme").await;
        }
        let done = adapters.open(MessageStatus::Processing, owner).await;
        adapters.storage.roll_up().await.unwrap();
        are_counted(adapters, "acme").await;
        adapters.messages.record(&outcome(&done, sent())).await.unwrap();
        are_counted(adapters, "acme").await;
    }
    adapters.storage.roll_up().await.unwrap();
    are_counted(adapters, "acme").await;
    let long_after = at(400 * 24 * 60 * 60);
    while adapters.storage.delete_history(Duration::from_secs(1), long_after).await.unwrap() {}
    are_counted(adapters, "acme").await;
}

/// What is counted is what is there, when it is read.
pub async fn are_counted(adapters: &Adapters, name: &str) {
    let all = MessageFilter { created_after: Some(Timestamp::UNIX_EPOCH), ..MessageFilter::default() };
    let read = adapters.search.count(&tenant(name), &all).await.unwrap();
    let counted = adapters.search.count(&tenant(name), &MessageFilter::sent()).await.unwrap();
    assert_eq!(counted, read);
}
