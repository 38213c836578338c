//! Where partitions begin and end.

use std::collections::HashMap;

use rdkafka::bindings as sys;
use sys::rd_kafka_OffsetSpec_t::{RD_KAFKA_OFFSET_SPEC_EARLIEST, RD_KAFKA_OFFSET_SPEC_LATEST};
use sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS;

use super::call::{NativeClient, Question};
use super::owned::{Partitions, element, listed};
use super::refused::Refused;
use crate::application::ports::{Place, TopicPartition};

/// The offset of each; -1 where there is no record of that time or later.
pub fn list_offsets(client: &NativeClient, partitions: &[TopicPartition], place: Place) -> Result<Vec<i64>, Refused> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = match place {
        Place::Beginning => RD_KAFKA_OFFSET_SPEC_EARLIEST as i64,
        Place::End => RD_KAFKA_OFFSET_SPEC_LATEST as i64,
        Place::Time(millis) => millis.max(0),
    };
    let asked = partitions.iter().map(|each| (each.topic.as_str(), each.partition, wanted));
    let asked = Partitions::of(asked)?;
    let found = client.call(
        Question::of(RD_KAFKA_ADMIN_OP_LISTOFFSETS),
        // SAFETY: all is there, and the list is copied.
        |asking| unsafe {
            sys::rd_kafka_ListOffsets(asking.client, asked.as_ptr(), asking.options, asking.queue);
        },
        // SAFETY: the event answers this question, and all that is read of it lives as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_ListOffsets_result(event);
            let infos = listed(|count| sys::rd_kafka_ListOffsets_result_infos(result, count));
            let elements =
                infos.into_iter().map(|info| element(sys::rd_kafka_ListOffsetsResultInfo_topic_partition(info)));
            Ok(elements.collect::<Vec<_>>())
        },
    )?;
    let mut offsets = HashMap::new();
    for element in found {
        if let Some(refused) = element.refused {
            return Err(refused);
        }
        offsets.insert((element.topic, element.partition), element.offset);
    }
    let of = |each: &TopicPartition| offsets.get(&(each.topic.clone(), each.partition)).copied().unwrap_or(-1);
    Ok(partitions.iter().map(of).collect())
}
