//! Topics: listed, made, set, grown, deleted, in both versions.

use reqwest::Method;
use serde_json::{Value, json};

use super::bridge::Bridge;
use crate::support::eventually::{SOON, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_makes_a_topic_and_reads_it_in_version_2() {
    let Some(bridge) = Bridge::start().await else { return };
    let topic = bridge.topic(3).await;

    let again = bridge.post("/admin/topics", &json!({"topic": topic, "partitions": 3, "replicationFactor": 1})).await;
    assert_eq!(again.status, 409);
    assert_eq!(again.json(), json!({"error_code": 409, "message": format!("Topic '{topic}' already exists.")}));

    let too_many = json!({"topic": format!("{topic}-b"), "partitions": 1, "replicationFactor": 30});
    let refused = bridge.post("/admin/topics", &too_many).await;
    assert_eq!((refused.status, refused.json()["error_code"].as_u64()), (400, Some(40002)));
    // Kafka's own words.
    assert!(
        refused.json()["message"].as_str().unwrap().contains("replicate the partition 30 time"),
        "{}",
        refused.json()
    );

    let read = bridge.get(&format!("/topics/{topic}")).await.json();
    assert_eq!(read["name"], json!(topic));
    assert_eq!(read["configs"]["cleanup.policy"], "delete");
    let partitions = read["partitions"].as_array().unwrap();
    assert_eq!(partitions.len(), 3);
    assert_eq!(partitions[0]["partition"], 0);
    let leader = &partitions[0]["leader"];
    assert_eq!(partitions[0]["replicas"], json!([{"broker": leader, "leader": true, "in_sync": true}]));
    assert_eq!(bridge.get(&format!("/topics/{topic}/partitions")).await.json(), read["partitions"]);
    assert_eq!(bridge.get(&format!("/topics/{topic}/partitions/2")).await.json(), partitions[2]);

    bridge.put(&topic, &[(2, "a"), (2, "b")]).await;
    let offsets = bridge.get(&format!("/topics/{topic}/partitions/2/offsets")).await.json();
    assert_eq!(offsets, json!({"beginning_offset": 0, "end_offset": 2}));

    let unknown = bridge.get(&format!("/topics/{topic}/partitions/9/offsets")).await;
    assert_eq!((unknown.status, unknown.json()["error_code"].as_u64()), (404, Some(40402)));
    let unknown = bridge.get("/topics/there-is-none").await;
    assert_eq!((unknown.status, unknown.json()), (404, json!({"error_code": 40401, "message": "Topic not found."})));

    let brokers = bridge.get("/brokers").await.json();
    assert!(brokers["brokers"].as_array().unwrap().contains(leader), "{brokers}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cluster_and_its_brokers_have_the_shape_of_version_3() {
    let Some(bridge) = Bridge::start().await else { return };
    let clusters = bridge.get("/v3/clusters").await.json();
    assert_eq!(clusters["kind"], "KafkaClusterList");
    assert_eq!(clusters["metadata"]["next"], Value::Null);
    let cluster = &clusters["data"][0];
    let id = cluster["cluster_id"].as_str().unwrap();
    let own = format!("http://{}/v3/clusters/{id}", bridge.address());
    assert_eq!(cluster["metadata"], json!({"self": own, "resource_name": format!("crn:///kafka={id}")}));
    for (link, path) in [("topics", "topics"), ("consumer_groups", "consumer-groups"), ("brokers", "brokers")] {
        assert_eq!(cluster[link], json!({"related": format!("{own}/{path}")}));
    }
    assert_eq!(&bridge.get(&format!("/v3/clusters/{id}")).await.json(), cluster);

    let brokers = bridge.get(&format!("/v3/clusters/{id}/brokers")).await.json();
    let broker = &brokers["data"][0];
    assert_eq!((&broker["kind"], &broker["cluster_id"]), (&json!("KafkaBroker"), &json!(id)));
    assert_eq!(format!("{}:{}", broker["host"].as_str().unwrap(), broker["port"]), bridge.brokers);
    assert_eq!(&bridge.get(&format!("/v3/clusters/{id}/brokers/{}", broker["broker_id"])).await.json(), broker);

    let other = bridge.get("/v3/clusters/another/topics").await;
    assert_eq!(other.json(), json!({"error_code": 404, "message": "Cluster another cannot be found."}));
    assert_eq!(other.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_lives_in_version_3() {
    let Some(bridge) = Bridge::start().await else { return };
    let (cluster, topic) = (bridge.cluster().await, bridge.name.clone());
    let all = format!("{cluster}/topics");
    let path = format!("{all}/{topic}");

    let mut creation = json!({"topic_name": topic, "partitions_count": 2, "replication_factor": 1,
        "configs": [{"name": "cleanup.policy", "value": "compact"}], "validate_only": true});
    let validated = bridge.post(&all, &creation).await;
    assert_eq!(validated.status, 200, "{}", validated.json());
    assert_eq!(bridge.get(&path).await.status, 404);

    creation["validate_only"] = json!(false);
    let created = bridge.post(&all, &creation).await;
    assert_eq!(created.status, 201, "{}", created.json());
    let own = format!("http://{}{path}", bridge.address());
    assert_eq!(created.headers["location"], own);
    let read = eventually(SOON, "the topic is known", async || {
        let read = bridge.get(&path).await;
        (read.status == 200).then(|| read.json())
    })
    .await;
    assert_eq!(read["metadata"]["self"], json!(own));
    assert_eq!(read["kind"], "KafkaTopic");
    let counted = (&read["partitions_count"], &read["replication_factor"], &read["is_internal"]);
    assert_eq!(counted, (&json!(2), &json!(1), &json!(false)));
    assert_eq!(read["partitions"]["related"], json!(format!("{own}/partitions")));

    let again = bridge.post(&all, &creation).await;
    assert_eq!(again.status, 400);
    assert_eq!(again.json(), json!({"error_code": 40002, "message": format!("Topic '{topic}' already exists.")}));

    let listed = bridge.get(&all).await.json();
    assert!(listed["data"].as_array().unwrap().contains(&read), "{listed}");

    let grown = bridge.patch(&path, &json!({"partitions_count": 4})).await;
    assert_eq!((grown.status, &grown.json()["partitions_count"]), (200, &json!(4)));
    let shrunk = bridge.patch(&path, &json!({"partitions_count": 1})).await;
    assert_eq!((shrunk.status, shrunk.json()["error_code"].as_u64()), (400, Some(40002)));

    assert_eq!(bridge.delete(&path).await.status, 204);
    let gone = eventually(SOON, "the topic is gone", async || {
        let gone = bridge.delete(&path).await;
        (gone.status == 404).then(|| gone.json())
    })
    .await;
    let expected = json!({"error_code": 40403, "message": "This server does not host this topic-partition."});
    assert_eq!(gone, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_and_replicas_are_read_in_version_3() {
    let Some(bridge) = Bridge::start().await else { return };
    let topic = bridge.topic(2).await;
    bridge.put(&topic, &[(1, "a"), (1, "b"), (1, "c")]).await;
    let base = format!("{}/topics/{topic}/partitions", bridge.cluster().await);

    let listed = bridge.get(&base).await.json();
    assert_eq!((listed["kind"].as_str(), listed["data"].as_array().unwrap().len()), (Some("KafkaPartitionList"), 2));
    let partition = bridge.get(&format!("{base}/1")).await.json();
    assert_eq!(partition, listed["data"][1]);
    assert_eq!(partition["partition_id"], 1);

    let offset = async |query: &str| bridge.get(&format!("{base}/1/offset{query}")).await.json();
    let both = offset("").await;
    assert_eq!(
        (&both["kind"], &both["earliest_offset"], &both["latest_offset"]),
        (&json!("KafkaPartitionWithOffsets"), &json!(0), &json!(3))
    );
    let earliest = offset("?offset_type=earliest").await;
    assert_eq!((&earliest["earliest_offset"], &earliest["latest_offset"]), (&json!(0), &Value::Null));
    let latest = offset("?offset_type=LATEST").await;
    assert_eq!((&latest["earliest_offset"], &latest["latest_offset"]), (&Value::Null, &json!(3)));
    assert_eq!(bridge.get(&format!("{base}/1/offset?offset_type=x")).await.status, 400);

    let replicas = bridge.get(&format!("{base}/1/replicas")).await.json();
    let replica = &replicas["data"][0];
    assert_eq!((&replica["is_leader"], &replica["is_in_sync"]), (&json!(true), &json!(true)));
    assert_eq!(&bridge.get(&format!("{base}/1/replicas/{}", replica["broker_id"])).await.json(), replica);
    let away = bridge.get(&format!("{base}/7")).await;
    assert_eq!((away.status, away.json()["error_code"].as_u64()), (404, Some(40403)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_a_topic_are_set_and_given_back() {
    let Some(bridge) = Bridge::start().await else { return };
    let topic = bridge.topic(1).await;
    let base = format!("{}/topics/{topic}", bridge.cluster().await);
    let retention = async || bridge.get(&format!("{base}/configs/retention.ms")).await.json();

    let default = retention().await;
    assert_eq!((&default["kind"], &default["is_default"]), (&json!("KafkaTopicConfig"), &json!(true)), "{default}");

    let put = bridge.request(Method::PUT, &format!("{base}/configs/retention.ms")).json(&json!({"value": "100000"}));
    assert_eq!(bridge.call(put).await.status, 204);
    let own = eventually(SOON, "the setting is set", async || {
        let own = retention().await;
        (own["value"] == "100000").then_some(own)
    })
    .await;
    assert_eq!((&own["is_default"], &own["source"]), (&json!(false), &json!("DYNAMIC_TOPIC_CONFIG")));
    assert_eq!(
        own["synonyms"][0],
        json!({"name": "retention.ms", "value": "100000", "source": "DYNAMIC_TOPIC_CONFIG"})
    );

    let alter = json!({"data": [{"name": "retention.ms", "operation": "DELETE"}, {"name": "max.message.bytes", "value": 2000}]});
    assert_eq!(bridge.post(&format!("{base}/configs:alter"), &alter).await.status, 204);
    eventually(SOON, "the settings are changed", async || {
        let all = bridge.get(&format!("{base}/configs")).await.json();
        let value =
            |name: &str| all["data"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap()["value"].clone();
        (value("retention.ms") != "100000" && value("max.message.bytes") == "2000").then_some(())
    })
    .await;
    let nothing = bridge.request(Method::PUT, &format!("{base}/configs/max.message.bytes")).json(&json!({}));
    assert_eq!(bridge.call(nothing).await.status, 422, "it is not given back to the broker's default");
    assert_eq!(bridge.delete(&format!("{base}/configs/max.message.bytes")).await.status, 204);

    let bad = json!({"data": [{"name": "retention.ms", "value": "soon"}]});
    let refused = bridge.post(&format!("{base}/configs:alter"), &bad).await;
    assert_eq!((refused.status, refused.json()["error_code"].as_u64()), (400, Some(40002)), "{}", refused.json());
    assert_eq!(bridge.get(&format!("{base}/configs/no.such")).await.status, 404);
    let all = bridge.get(&format!("{}/topics/-/configs", bridge.cluster().await)).await;
    assert_eq!((all.status, all.json()["kind"].as_str()), (200, Some("KafkaTopicConfigList")));
}
