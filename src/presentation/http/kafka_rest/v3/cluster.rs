//! The cluster and its brokers.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::error::{Refusals, RestError};
use super::super::request::{Named, RestCaller, TO_READ};
use super::shape::{self, Address, Place};
use crate::application::ports::BrokerNode;
use crate::presentation::http::wire::state::SharedState;

/// List clusters
///
/// There is one: the Kafka of `KAFKA_BROKERS`.
#[utoipa::path(get, path = "/v3/clusters", operation_id = "listClusters", tag = "kafka",
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaClusterList"), Refusals))]
pub async fn list(
    caller: RestCaller,
    State(state): State<SharedState>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::only(&state, address).await?;
    Ok(Json(shape::list("KafkaClusterList", &place.all_url(), vec![cluster(&place)])))
}

/// Read a cluster
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}", operation_id = "readCluster", tag = "kafka",
    params(("cluster_id" = String, Path, description = "Its id")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaCluster"), Refusals))]
pub async fn read(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(id): Named<String>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::find(&state, address, &id).await?;
    Ok(Json(cluster(&place)))
}

fn cluster(place: &Place) -> Value {
    let controller = place.cluster.controller.map(|id| place.related(&["brokers", &id.to_string()]));
    let members = json!({
        "controller": controller,
        "acls": place.related(&["acls"]),
        "brokers": place.related(&["brokers"]),
        "broker_configs": place.related(&["broker-configs"]),
        "consumer_groups": place.related(&["consumer-groups"]),
        "topics": place.related(&["topics"]),
        "partition_reassignments": place.related(&["topics", "-", "partitions", "-", "reassignment"]),
    });
    place.object("KafkaCluster", &[], "", members)
}

/// List brokers
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/brokers", operation_id = "listBrokers", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaBrokerList"), Refusals))]
pub async fn brokers(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named(id): Named<String>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::find(&state, address, &id).await?;
    let mut brokers: Vec<&BrokerNode> = place.cluster.brokers.iter().collect();
    brokers.sort_unstable_by_key(|broker| broker.id);
    let data = brokers.into_iter().map(|node| of_broker(&place, node)).collect();
    Ok(Json(place.list("KafkaBrokerList", &["brokers"], data)))
}

/// Read a broker
#[utoipa::path(get, path = "/v3/clusters/{cluster_id}/brokers/{broker_id}", operation_id = "readBroker", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("broker_id" = i32, Path, description = "Its id")),
    responses((status = 200, content_type = "application/json", body = Object, description = "KafkaBroker"), Refusals))]
pub async fn broker(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((id, wanted)): Named<(String, i32)>,
    address: Address,
) -> Result<Json<Value>, RestError> {
    caller.must(TO_READ)?;
    let place = Place::find(&state, address, &id).await?;
    let found = place.cluster.brokers.iter().find(|broker| broker.id == wanted);
    let found = found.ok_or_else(|| RestError::not_found(format!("Broker {wanted} cannot be found.")))?;
    Ok(Json(of_broker(&place, found)))
}

fn of_broker(place: &Place, broker: &BrokerNode) -> Value {
    let id = broker.id.to_string();
    let path = ["brokers", id.as_str()];
    let below = |last: &'static str| place.related(&["brokers", id.as_str(), last]);
    let members = json!({
        "broker_id": broker.id,
        "host": broker.host,
        "port": broker.port,
        "rack": broker.rack,
        "configs": below("configs"),
        "partition_replicas": below("partition-replicas"),
    });
    place.object("KafkaBroker", &path, &format!("/broker={id}"), members)
}
