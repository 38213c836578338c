//! Topics and the cluster.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rdkafka::bindings as sys;
use rdkafka::consumer::Consumer;
use sys::rd_kafka_admin_op_t::{
    RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, RD_KAFKA_ADMIN_OP_CREATETOPICS, RD_KAFKA_ADMIN_OP_DELETETOPICS,
    RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
};

use super::call::{NativeClient, Question, TIMEOUT};
use super::owned::{Complaint, Owned, c_text, listed, refusal};
use super::refused::{Refused, text};
use crate::application::ports::{BrokerNode, Cluster, NewTopic, Topic, TopicPartitionState};

pub fn topic_names(client: &NativeClient) -> Result<Vec<String>, Refused> {
    let metadata = client.consumer().fetch_metadata(None, TIMEOUT)?;
    let mut names: Vec<String> = metadata.topics().iter().map(|topic| topic.name().to_owned()).collect();
    names.sort_unstable();
    Ok(names)
}

pub fn describe_cluster(client: &NativeClient) -> Result<Cluster, Refused> {
    client.call(
        Question::of(RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER),
        // SAFETY: all three are there.
        |asking| unsafe { sys::rd_kafka_DescribeCluster(asking.client, asking.options, asking.queue) },
        // SAFETY: the event answers this question, and all that is read of it lives as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_DescribeCluster_result(event);
            let nodes = listed(|count| sys::rd_kafka_DescribeCluster_result_nodes(result, count));
            let controller = sys::rd_kafka_DescribeCluster_result_controller(result);
            Ok(Cluster {
                id: text(sys::rd_kafka_DescribeCluster_result_cluster_id(result)).unwrap_or_default(),
                controller: node_id(controller),
                brokers: nodes.into_iter().map(|node| broker(node)).collect(),
            })
        },
    )
}

/// # Safety
/// `node` is null, or one that lives for the call.
pub(super) unsafe fn node_id(node: *const sys::rd_kafka_Node_t) -> Option<i32> {
    // SAFETY: promised.
    (!node.is_null()).then(|| unsafe { sys::rd_kafka_Node_id(node) }).filter(|id| *id >= 0)
}

/// # Safety
/// `node` is one that lives for the call.
pub(super) unsafe fn broker(node: *const sys::rd_kafka_Node_t) -> BrokerNode {
    // SAFETY: promised.
    unsafe {
        BrokerNode {
            id: sys::rd_kafka_Node_id(node),
            host: text(sys::rd_kafka_Node_host(node)).unwrap_or_default(),
            port: sys::rd_kafka_Node_port(node),
            rack: text(sys::rd_kafka_Node_rack(node)),
        }
    }
}

/// Each of them, or why it is not known.
pub fn describe_topics(client: &NativeClient, names: &[String]) -> Result<Vec<Result<Topic, Refused>>, Refused> {
    let names = names.iter().map(|name| c_text(name)).collect::<Result<Vec<_>, _>>()?;
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    // SAFETY: the collection copies the names, and is ours.
    let topics = unsafe {
        Owned::new(
            sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len()),
            sys::rd_kafka_TopicCollection_destroy,
        )
    };
    let Some(topics) = topics else { return Ok(Vec::new()) };
    client.call(
        Question::of(RD_KAFKA_ADMIN_OP_DESCRIBETOPICS),
        // SAFETY: all four are there.
        |asking| unsafe { sys::rd_kafka_DescribeTopics(asking.client, topics.as_ptr(), asking.options, asking.queue) },
        // SAFETY: the event answers this question, and all that is read of it lives as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_DescribeTopics_result(event);
            let topics = listed(|count| sys::rd_kafka_DescribeTopics_result_topics(result, count));
            Ok(topics.into_iter().map(|description| topic(description)).collect())
        },
    )
}

/// # Safety
/// `topic` is a description that lives for the call.
unsafe fn topic(topic: *const sys::rd_kafka_TopicDescription_t) -> Result<Topic, Refused> {
    // SAFETY: promised.
    unsafe {
        if let Some(refused) = refusal(sys::rd_kafka_TopicDescription_error(topic)) {
            return Err(refused);
        }
        let partitions = listed(|count| sys::rd_kafka_TopicDescription_partitions(topic, count));
        let mut partitions: Vec<_> = partitions.into_iter().map(|each| partition(each)).collect();
        partitions.sort_unstable_by_key(|partition| partition.id);
        Ok(Topic {
            name: text(sys::rd_kafka_TopicDescription_name(topic)).unwrap_or_default(),
            id: uuid(sys::rd_kafka_TopicDescription_topic_id(topic)),
            is_internal: sys::rd_kafka_TopicDescription_is_internal(topic) != 0,
            partitions,
        })
    }
}

/// # Safety
/// `uuid` is null, or one that lives for the call.
unsafe fn uuid(uuid: *const sys::rd_kafka_Uuid_t) -> String {
    if uuid.is_null() {
        return String::new();
    }
    // SAFETY: promised.
    let halves =
        unsafe { [sys::rd_kafka_Uuid_most_significant_bits(uuid), sys::rd_kafka_Uuid_least_significant_bits(uuid)] };
    let bytes: Vec<u8> = halves.into_iter().flat_map(i64::to_be_bytes).collect();
    if halves == [0, 0] { String::new() } else { BASE64_URL_SAFE_NO_PAD.encode(bytes) }
}

/// # Safety
/// `partition` is one of a description that lives for the call.
unsafe fn partition(partition: *const sys::rd_kafka_TopicPartitionInfo_t) -> TopicPartitionState {
    // SAFETY: promised.
    unsafe {
        let ids =
            |nodes: Vec<*const sys::rd_kafka_Node_t>| nodes.into_iter().filter_map(|node| node_id(node)).collect();
        TopicPartitionState {
            id: sys::rd_kafka_TopicPartitionInfo_partition(partition),
            leader: node_id(sys::rd_kafka_TopicPartitionInfo_leader(partition)),
            replicas: ids(listed(|count| sys::rd_kafka_TopicPartitionInfo_replicas(partition, count))),
            in_sync: ids(listed(|count| sys::rd_kafka_TopicPartitionInfo_isr(partition, count))),
        }
    }
}

pub fn create_topic(client: &NativeClient, new: &NewTopic, validate_only: bool) -> Result<(), Refused> {
    let topic = new_topic(new)?;
    let mut topics = [topic.as_ptr()];
    client.call(
        Question { operation: RD_KAFKA_ADMIN_OP_CREATETOPICS, validate_only },
        // SAFETY: all is there, and the topic is copied.
        |asking| unsafe {
            sys::rd_kafka_CreateTopics(asking.client, topics.as_mut_ptr(), 1, asking.options, asking.queue);
        },
        // SAFETY: the event answers this question, and all that is read of it lives as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_CreateTopics_result(event);
            done(listed(|count| sys::rd_kafka_CreateTopics_result_topics(result, count)))
        },
    )
}

fn new_topic(new: &NewTopic) -> Result<Owned<sys::rd_kafka_NewTopic_t>, Refused> {
    let name = c_text(&new.name)?;
    let mut complaint = Complaint::new();
    let (partitions, replicas) = match new.assignments.len() {
        0 => (new.partitions.unwrap_or(-1), new.replication_factor.unwrap_or(-1)),
        count => (i32::try_from(count).unwrap_or(i32::MAX), -1),
    };
    let size = complaint.size();
    // SAFETY: the name is copied, and the new object is ours.
    let topic = unsafe {
        let topic = sys::rd_kafka_NewTopic_new(name.as_ptr(), partitions, replicas, complaint.as_mut_ptr(), size);
        Owned::new(topic, sys::rd_kafka_NewTopic_destroy)
    };
    let topic = topic.ok_or_else(|| complaint.refused())?;
    for (number, brokers) in (0..).zip(&new.assignments) {
        let mut brokers = brokers.clone();
        // SAFETY: the brokers are copied.
        let code = unsafe {
            let (text, count) = (complaint.as_mut_ptr(), brokers.len());
            sys::rd_kafka_NewTopic_set_replica_assignment(
                topic.as_ptr(),
                number,
                brokers.as_mut_ptr(),
                count,
                text,
                size,
            )
        };
        if Refused::unless_none(code, None).is_some() {
            return Err(complaint.refused());
        }
    }
    for (name, value) in &new.settings {
        let (name, value) = (c_text(name)?, c_text(value)?);
        // SAFETY: both are copied.
        let code = unsafe { sys::rd_kafka_NewTopic_set_config(topic.as_ptr(), name.as_ptr(), value.as_ptr()) };
        if let Some(refused) = Refused::unless_none(code, None) {
            return Err(refused);
        }
    }
    Ok(topic)
}

pub fn delete_topic(client: &NativeClient, name: &str) -> Result<(), Refused> {
    let name = c_text(name)?;
    // SAFETY: the name is copied, and the new object is ours.
    let topic = unsafe { Owned::new(sys::rd_kafka_DeleteTopic_new(name.as_ptr()), sys::rd_kafka_DeleteTopic_destroy) };
    let Some(topic) = topic else { return Err(Refused::invalid("not a topic".to_owned())) };
    let mut topics = [topic.as_ptr()];
    client.call(
        Question::of(RD_KAFKA_ADMIN_OP_DELETETOPICS),
        // SAFETY: all is there, and the topic is copied.
        |asking| unsafe {
            sys::rd_kafka_DeleteTopics(asking.client, topics.as_mut_ptr(), 1, asking.options, asking.queue);
        },
        // SAFETY: the event answers this question, and all that is read of it lives as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_DeleteTopics_result(event);
            done(listed(|count| sys::rd_kafka_DeleteTopics_result_topics(result, count)))
        },
    )
}

pub fn set_partitions(client: &NativeClient, name: &str, count: usize) -> Result<(), Refused> {
    let name = c_text(name)?;
    let mut complaint = Complaint::new();
    let size = complaint.size();
    // SAFETY: the name is copied, and the new object is ours.
    let more = unsafe {
        let more = sys::rd_kafka_NewPartitions_new(name.as_ptr(), count, complaint.as_mut_ptr(), size);
        Owned::new(more, sys::rd_kafka_NewPartitions_destroy)
    };
    let more = more.ok_or_else(|| complaint.refused())?;
    let mut all = [more.as_ptr()];
    client.call(
        Question::of(RD_KAFKA_ADMIN_OP_CREATEPARTITIONS),
        // SAFETY: all is there, and the request is copied.
        |asking| unsafe {
            sys::rd_kafka_CreatePartitions(asking.client, all.as_mut_ptr(), 1, asking.options, asking.queue);
        },
        // SAFETY: the event answers this question, and all that is read of it lives as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_CreatePartitions_result(event);
            done(listed(|count| sys::rd_kafka_CreatePartitions_result_topics(result, count)))
        },
    )
}

/// # Safety
/// The results live for the call.
unsafe fn done(results: Vec<*const sys::rd_kafka_topic_result_t>) -> Result<(), Refused> {
    for result in results {
        // SAFETY: promised.
        let refused = unsafe {
            let reason = text(sys::rd_kafka_topic_result_error_string(result));
            Refused::unless_none(sys::rd_kafka_topic_result_error(result), reason)
        };
        if let Some(refused) = refused {
            return Err(refused);
        }
    }
    Ok(())
}
