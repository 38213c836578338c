//! The shape that everything of version 3 has: kind, metadata, members, links.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde_json::{Value, json};

use super::super::error::RestError;
use super::super::request::{kafka, own_address, segment};
use crate::application::kafka_rest::KafkaRest;
use crate::application::ports::Cluster;
use crate::presentation::http::wire::state::SharedState;

/// Where the client reaches this process.
pub struct Address(String);

impl FromRequestParts<SharedState> for Address {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, _: &SharedState) -> Result<Self, RestError> {
        Ok(Self(own_address(&parts.headers)))
    }
}

/// The cluster that a path names, which is the one there is.
pub struct Place<'a> {
    pub kafka: &'a KafkaRest,
    pub cluster: Cluster,
    address: String,
}

impl<'a> Place<'a> {
    /// # Errors
    /// 404 when it is another.
    pub async fn find(state: &'a SharedState, address: Address, cluster: &str) -> Result<Self, RestError> {
        let place = Self::only(state, address).await?;
        match place.cluster.id == cluster {
            true => Ok(place),
            false => Err(unknown(cluster)),
        }
    }

    /// The name of the cluster that a path names, for records: those are kept while Kafka is away.
    ///
    /// # Errors
    /// As above.
    pub async fn id(state: &SharedState, cluster: &str) -> Result<String, RestError> {
        let kafka = kafka(state)?;
        match kafka.topics.last_known_id() {
            Some(known) if known == cluster => Ok(known),
            // It may have another name meanwhile.
            _ => match kafka.topics.cluster().await.map_err(RestError::v3)?.id {
                id if id == cluster => Ok(id),
                _ => Err(unknown(cluster)),
            },
        }
    }

    pub async fn only(state: &'a SharedState, Address(address): Address) -> Result<Self, RestError> {
        let kafka = kafka(state)?;
        let cluster = kafka.topics.cluster().await.map_err(RestError::v3)?;
        Ok(Self { kafka, cluster, address })
    }

    /// The URL of what these segments name below the cluster.
    pub fn url(&self, segments: &[&str]) -> String {
        let mut url = format!("{}/v3/clusters/{}", self.address, segment(&self.cluster.id));
        for part in segments {
            url.push('/');
            url.push_str(&segment(part));
        }
        url
    }

    pub fn all_url(&self) -> String {
        format!("{}/v3/clusters", self.address)
    }

    pub fn related(&self, segments: &[&str]) -> Value {
        json!({"related": self.url(segments)})
    }

    /// An object: `name` is the rest of its resource's name, `members` its members and links.
    pub fn object(&self, kind: &str, segments: &[&str], name: &str, members: Value) -> Value {
        let resource = format!("crn:///kafka={}{name}", self.cluster.id);
        let mut object = json!({"kind": kind, "metadata": {"self": self.url(segments), "resource_name": resource}});
        object["cluster_id"] = json!(self.cluster.id);
        if let (Some(object), Value::Object(members)) = (object.as_object_mut(), members) {
            object.extend(members);
        }
        object
    }

    pub fn list(&self, kind: &str, segments: &[&str], data: Vec<Value>) -> Value {
        list(kind, &self.url(segments), data)
    }
}

fn unknown(cluster: &str) -> RestError {
    RestError::not_found(format!("Cluster {cluster} cannot be found."))
}

/// There is no paging: all is on the one page.
pub fn list(kind: &str, url: &str, data: Vec<Value>) -> Value {
    json!({"kind": kind, "metadata": {"self": url, "next": null}, "data": data})
}
