//! The settings of topics.

use rdkafka::bindings as sys;
use sys::rd_kafka_AlterConfigOpType_t::{RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE, RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET};
use sys::rd_kafka_ConfigSource_t as Source;
use sys::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
use sys::rd_kafka_admin_op_t::{RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS};

use super::call::{NativeClient, Question};
use super::owned::{Owned, c_text, listed, refusal};
use super::refused::{Refused, text};
use crate::application::ports::{SettingChange, SettingSynonym, TopicSetting};

type Resource = Owned<sys::rd_kafka_ConfigResource_t>;

pub fn describe_settings(client: &NativeClient, topics: &[String]) -> Result<Vec<Vec<TopicSetting>>, Refused> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let resources = topics.iter().map(|topic| resource(topic)).collect::<Result<Vec<_>, _>>()?;
    let mut pointers: Vec<_> = resources.iter().map(Owned::as_ptr).collect();
    let count = pointers.len();
    let found = client.call(
        Question::of(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS),
        // SAFETY: all is there, and the resources are copied.
        |asking| unsafe {
            sys::rd_kafka_DescribeConfigs(asking.client, pointers.as_mut_ptr(), count, asking.options, asking.queue);
        },
        // SAFETY: the event answers this question, and all that is read of it lives as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_DescribeConfigs_result(event);
            let resources = listed(|count| sys::rd_kafka_DescribeConfigs_result_resources(result, count));
            resources.into_iter().map(|resource| described(resource)).collect::<Result<Vec<_>, _>>()
        },
    )?;
    // Brokers answer in an order of their own.
    let mut found: std::collections::HashMap<String, Vec<TopicSetting>> = found.into_iter().collect();
    Ok(topics.iter().map(|topic| found.remove(topic).unwrap_or_default()).collect())
}

/// # Safety
/// `resource` is one that lives for the call.
unsafe fn described(resource: *const sys::rd_kafka_ConfigResource_t) -> Result<(String, Vec<TopicSetting>), Refused> {
    // SAFETY: promised.
    unsafe {
        refused(resource)?;
        let entries = listed(|count| sys::rd_kafka_ConfigResource_configs(resource, count));
        let mut settings: Vec<_> = entries.into_iter().map(|entry| setting(entry)).collect();
        settings.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok((text(sys::rd_kafka_ConfigResource_name(resource)).unwrap_or_default(), settings))
    }
}

/// # Safety
/// `resource` is one that lives for the call.
unsafe fn refused(resource: *const sys::rd_kafka_ConfigResource_t) -> Result<(), Refused> {
    // SAFETY: promised.
    let refused = unsafe {
        let reason = text(sys::rd_kafka_ConfigResource_error_string(resource));
        Refused::unless_none(sys::rd_kafka_ConfigResource_error(resource), reason)
    };
    refused.map_or(Ok(()), Err)
}

/// # Safety
/// `entry` is one that lives for the call.
unsafe fn setting(entry: *const sys::rd_kafka_ConfigEntry_t) -> TopicSetting {
    // SAFETY: promised.
    unsafe {
        let synonyms = listed(|count| sys::rd_kafka_ConfigEntry_synonyms(entry, count));
        let source = sys::rd_kafka_ConfigEntry_source(entry);
        TopicSetting {
            name: text(sys::rd_kafka_ConfigEntry_name(entry)).unwrap_or_default(),
            value: text(sys::rd_kafka_ConfigEntry_value(entry)),
            is_default: source == Source::RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG,
            is_read_only: sys::rd_kafka_ConfigEntry_is_read_only(entry) == 1,
            is_sensitive: sys::rd_kafka_ConfigEntry_is_sensitive(entry) == 1,
            source: source_name(source),
            synonyms: synonyms.into_iter().map(|synonym| a_synonym(synonym)).collect(),
        }
    }
}

/// # Safety
/// `entry` is one that lives for the call.
unsafe fn a_synonym(entry: *const sys::rd_kafka_ConfigEntry_t) -> SettingSynonym {
    // SAFETY: promised.
    unsafe {
        SettingSynonym {
            name: text(sys::rd_kafka_ConfigEntry_name(entry)).unwrap_or_default(),
            value: text(sys::rd_kafka_ConfigEntry_value(entry)),
            source: source_name(sys::rd_kafka_ConfigEntry_source(entry)),
        }
    }
}

fn source_name(source: Source) -> &'static str {
    match source {
        Source::RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG => "DYNAMIC_TOPIC_CONFIG",
        Source::RD_KAFKA_CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG => "DYNAMIC_BROKER_CONFIG",
        Source::RD_KAFKA_CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        Source::RD_KAFKA_CONFIG_SOURCE_STATIC_BROKER_CONFIG => "STATIC_BROKER_CONFIG",
        Source::RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG => "DEFAULT_CONFIG",
        Source::RD_KAFKA_CONFIG_SOURCE_GROUP_CONFIG => "GROUP_CONFIG",
        Source::RD_KAFKA_CONFIG_SOURCE_UNKNOWN_CONFIG | Source::RD_KAFKA_CONFIG_SOURCE__CNT => "UNKNOWN",
    }
}

/// Changes these settings, and leaves the others.
pub fn alter_settings(
    client: &NativeClient,
    topic: &str,
    changes: &[SettingChange],
    validate_only: bool,
) -> Result<(), Refused> {
    let resource = resource(topic)?;
    for change in changes {
        let operation = match change.value {
            Some(_) => RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET,
            None => RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE,
        };
        let (name, value) = (c_text(&change.name)?, c_text(change.value.as_deref().unwrap_or_default())?);
        let value = change.value.as_ref().map_or(std::ptr::null(), |_| value.as_ptr());
        // SAFETY: both are copied, and the error is ours.
        let refused = unsafe {
            let error =
                sys::rd_kafka_ConfigResource_add_incremental_config(resource.as_ptr(), name.as_ptr(), operation, value);
            let error = Owned::new(error, sys::rd_kafka_error_destroy);
            error.and_then(|error| refusal(error.as_ptr()))
        };
        if let Some(refused) = refused {
            return Err(refused);
        }
    }
    let mut resources = [resource.as_ptr()];
    client.call(
        Question { operation: RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS, validate_only },
        // SAFETY: all is there, and the resource is copied.
        |asking| unsafe {
            let resources = resources.as_mut_ptr();
            sys::rd_kafka_IncrementalAlterConfigs(asking.client, resources, 1, asking.options, asking.queue);
        },
        // SAFETY: the event answers this question, and all that is read of it lives as long.
        |event| unsafe {
            let result = sys::rd_kafka_event_IncrementalAlterConfigs_result(event);
            let resources = listed(|count| sys::rd_kafka_IncrementalAlterConfigs_result_resources(result, count));
            resources.into_iter().try_for_each(|resource| refused(resource))
        },
    )
}

fn resource(topic: &str) -> Result<Resource, Refused> {
    let topic = c_text(topic)?;
    // SAFETY: the name is copied, and the new object is ours.
    let resource = unsafe {
        let resource = sys::rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.as_ptr());
        Owned::new(resource, sys::rd_kafka_ConfigResource_destroy)
    };
    resource.ok_or_else(|| Refused::invalid("not a topic".to_owned()))
}
