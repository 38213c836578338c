//! Consumer groups, of either protocol.

use rdkafka::bindings as sys;
use sys::rd_kafka_admin_op_t::{
    RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
    RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS,
};
use sys::rd_kafka_consumer_group_state_t as State;
use sys::rd_kafka_consumer_group_type_t as Type;

use super::call::{NativeClient, Question};
use super::owned::{Element, Owned, Partitions, c_text, elements, listed, refusal};
use super::refused::{Refused, text};
use super::topics::{broker, node_id};
use crate::application::ports::{CommittedOffset, Group, GroupState, ListedGroup, Member, Protocol, TopicPartition};

pub fn list_groups(client: &NativeClient) -> Result<Vec<ListedGroup>, Refused> {
    client.call(
        Question::of(RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS),
        // SAFETY: all three are there.
        |asking| unsafe { sys::rd_kafka_ListConsumerGroups(asking.client, asking.options, asking.queue) },
        // SAFETY: the event answers this question, and all that is read of it lives as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_ListConsumerGroups_result(event);
            let errors = listed(|count| sys::rd_kafka_ListConsumerGroups_result_errors(result, count));
            // A broker that does not answer has groups, too: a list without them would be taken for all.
            if let Some(refused) = errors.into_iter().find_map(|error| refusal(error)) {
                return Err(refused);
            }
            let groups = listed(|count| sys::rd_kafka_ListConsumerGroups_result_valid(result, count));
            Ok(groups.into_iter().map(|group| listing(group)).collect())
        },
    )
}

/// # Safety
/// `group` is one that lives for the call.
unsafe fn listing(group: *const sys::rd_kafka_ConsumerGroupListing_t) -> ListedGroup {
    // SAFETY: promised.
    unsafe {
        ListedGroup {
            id: text(sys::rd_kafka_ConsumerGroupListing_group_id(group)).unwrap_or_default(),
            is_simple: sys::rd_kafka_ConsumerGroupListing_is_simple_consumer_group(group) != 0,
            state: state(sys::rd_kafka_ConsumerGroupListing_state(group)),
            protocol: protocol(sys::rd_kafka_ConsumerGroupListing_type(group)),
        }
    }
}

fn state(state: State) -> GroupState {
    match state {
        State::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE => GroupState::PreparingRebalance,
        State::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE => GroupState::CompletingRebalance,
        State::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE => GroupState::Stable,
        State::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD => GroupState::Dead,
        State::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY => GroupState::Empty,
        State::RD_KAFKA_CONSUMER_GROUP_STATE_UNKNOWN | State::RD_KAFKA_CONSUMER_GROUP_STATE__CNT => GroupState::Unknown,
    }
}

fn protocol(group_type: Type) -> Protocol {
    match group_type {
        Type::RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER => Protocol::Consumer,
        Type::RD_KAFKA_CONSUMER_GROUP_TYPE_CLASSIC => Protocol::Classic,
        Type::RD_KAFKA_CONSUMER_GROUP_TYPE_UNKNOWN | Type::RD_KAFKA_CONSUMER_GROUP_TYPE__CNT => Protocol::Unknown,
    }
}

pub fn describe_group(client: &NativeClient, group: &str) -> Result<Group, Refused> {
    let group = c_text(group)?;
    let mut groups = [group.as_ptr()];
    client.call(
        Question::of(RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS),
        // SAFETY: all is there, and the names are copied.
        |asking| unsafe {
            let groups = groups.as_mut_ptr();
            sys::rd_kafka_DescribeConsumerGroups(asking.client, groups, 1, asking.options, asking.queue);
        },
        // SAFETY: the event answers this question, and all that is read of it lives as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_DescribeConsumerGroups_result(event);
            let groups = listed(|count| sys::rd_kafka_DescribeConsumerGroups_result_groups(result, count));
            let first = groups.first().ok_or_else(|| Refused::invalid("no group was described".to_owned()))?;
            described(*first)
        },
    )
}

/// # Safety
/// `group` is one that lives for the call.
unsafe fn described(group: *const sys::rd_kafka_ConsumerGroupDescription_t) -> Result<Group, Refused> {
    // SAFETY: promised.
    unsafe {
        if let Some(refused) = refusal(sys::rd_kafka_ConsumerGroupDescription_error(group)) {
            return Err(refused);
        }
        let coordinator = sys::rd_kafka_ConsumerGroupDescription_coordinator(group);
        let address = node_id(coordinator).map(|_| broker(coordinator));
        let count = sys::rd_kafka_ConsumerGroupDescription_member_count(group);
        let members = (0..count).map(|place| member(sys::rd_kafka_ConsumerGroupDescription_member(group, place)));
        Ok(Group {
            id: text(sys::rd_kafka_ConsumerGroupDescription_group_id(group)).unwrap_or_default(),
            is_simple: sys::rd_kafka_ConsumerGroupDescription_is_simple_consumer_group(group) != 0,
            state: state(sys::rd_kafka_ConsumerGroupDescription_state(group)),
            protocol: protocol(sys::rd_kafka_ConsumerGroupDescription_type(group)),
            assignor: text(sys::rd_kafka_ConsumerGroupDescription_partition_assignor(group)).unwrap_or_default(),
            coordinator: node_id(coordinator),
            coordinator_address: address.map_or_else(String::new, |node| format!("{}:{}", node.host, node.port)),
            members: members.collect(),
        })
    }
}

/// # Safety
/// `member` is one that lives for the call.
unsafe fn member(member: *const sys::rd_kafka_MemberDescription_t) -> Member {
    // SAFETY: promised.
    unsafe {
        let assignment = sys::rd_kafka_MemberDescription_assignment(member);
        let assigned = match assignment.is_null() {
            true => Vec::new(),
            false => elements(sys::rd_kafka_MemberAssignment_partitions(assignment)),
        };
        Member {
            id: text(sys::rd_kafka_MemberDescription_consumer_id(member)).unwrap_or_default(),
            instance_id: text(sys::rd_kafka_MemberDescription_group_instance_id(member)),
            client_id: text(sys::rd_kafka_MemberDescription_client_id(member)).unwrap_or_default(),
            host: text(sys::rd_kafka_MemberDescription_host(member)).unwrap_or_default(),
            assigned: assigned.into_iter().map(Element::place).collect(),
        }
    }
}

impl Element {
    fn place(self) -> TopicPartition {
        TopicPartition { topic: self.topic, partition: self.partition }
    }
}

pub fn committed_offsets(client: &NativeClient, group: &str) -> Result<Vec<CommittedOffset>, Refused> {
    let group = c_text(group)?;
    // SAFETY: the name is copied, no list means all partitions, and the new object is ours.
    let request = unsafe {
        Owned::new(
            sys::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), std::ptr::null()),
            sys::rd_kafka_ListConsumerGroupOffsets_destroy,
        )
    };
    let Some(request) = request else { return Err(Refused::invalid("not a group".to_owned())) };
    let mut requests = [request.as_ptr()];
    let found = client.call(
        Question::of(RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS),
        // SAFETY: all is there, and the request is copied.
        |asking| unsafe {
            let requests = requests.as_mut_ptr();
            sys::rd_kafka_ListConsumerGroupOffsets(asking.client, requests, 1, asking.options, asking.queue);
        },
        // SAFETY: the event answers this question, and all that is read of it lives as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_ListConsumerGroupOffsets_result(event);
            of_groups(listed(|count| sys::rd_kafka_ListConsumerGroupOffsets_result_groups(result, count)))
        },
    )?;
    let committed = found.into_iter().filter(|element| element.offset >= 0);
    Ok(committed.map(|element| CommittedOffset { offset: element.offset, place: element.place() }).collect())
}

pub fn alter_offsets(client: &NativeClient, group: &str, offsets: &[CommittedOffset]) -> Result<(), Refused> {
    let group = c_text(group)?;
    let offsets = offsets.iter().map(|each| (each.place.topic.as_str(), each.place.partition, each.offset));
    let offsets = Partitions::of(offsets)?;
    // SAFETY: name and list are copied, and the new object is ours.
    let request = unsafe {
        Owned::new(
            sys::rd_kafka_AlterConsumerGroupOffsets_new(group.as_ptr(), offsets.as_ptr()),
            sys::rd_kafka_AlterConsumerGroupOffsets_destroy,
        )
    };
    let Some(request) = request else { return Err(Refused::invalid("not a group".to_owned())) };
    let mut requests = [request.as_ptr()];
    let altered = client.call(
        Question::of(RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS),
        // SAFETY: all is there, and the request is copied.
        |asking| unsafe {
            let requests = requests.as_mut_ptr();
            sys::rd_kafka_AlterConsumerGroupOffsets(asking.client, requests, 1, asking.options, asking.queue);
        },
        // SAFETY: the event answers this question, and all that is read of it lives as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_AlterConsumerGroupOffsets_result(event);
            of_groups(listed(|count| sys::rd_kafka_AlterConsumerGroupOffsets_result_groups(result, count)))
        },
    )?;
    altered.into_iter().find_map(|element| element.refused).map_or(Ok(()), Err)
}

/// # Safety
/// The results live for the call.
unsafe fn of_groups(groups: Vec<*const sys::rd_kafka_group_result_t>) -> Result<Vec<Element>, Refused> {
    let mut found = Vec::new();
    for group in groups {
        // SAFETY: promised.
        unsafe {
            if let Some(refused) = refusal(sys::rd_kafka_group_result_error(group)) {
                return Err(refused);
            }
            found.extend(elements(sys::rd_kafka_group_result_partitions(group)));
        }
    }
    Ok(found)
}
