//! Consumer groups: listed, described with their lag, moved.

use rdkafka::consumer::BaseConsumer;
use serde_json::{Value, json};

use super::bridge::Bridge;
use crate::support::eventually::{SOON, eventually};

const TOOL: &str = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";

/// Leaving waits for the broker.
async fn leave(member: BaseConsumer) {
    tokio::task::spawn_blocking(move || drop(member)).await.unwrap();
}

/// The group as `/admin` shows it, once it is as wanted.
async fn described(bridge: &Bridge, group: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(SOON, "the group is as wanted", async || {
        let answer = bridge.get(&format!("/admin/groups/{group}")).await;
        Some(answer.json()).filter(|found| answer.status == 200 && is_wanted(found))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_classic_group_is_described_and_reset() {
    a_group_is_described_and_reset("classic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_the_broker_leads_is_described_and_reset() {
    a_group_is_described_and_reset("consumer").await;
}

async fn a_group_is_described_and_reset(protocol: &str) {
    let Some(bridge) = Bridge::start().await else { return };
    let (topic, group) = (bridge.topic(2).await, format!("{}-group", bridge.name));
    bridge.put(&topic, &[(0, "a"), (0, "b"), (0, "c")]).await;
    let member = bridge.member(&group, &topic, protocol).await;

    let active = described(&bridge, &group, |found| found["state"] == "Stable").await;
    assert_eq!(active["type"], protocol);
    assert_eq!(active["members"].as_array().unwrap().len(), 1);
    assert_eq!(active["members"][0]["clientId"], "a-member");
    // A record was read and committed; the other partition has neither, and counts from its beginning.
    let lags: Vec<(i64, Option<i64>, i64)> = lines(&active);
    assert_eq!(lags, [(0, Some(1), 2), (1, None, 0)]);
    assert_eq!(active["totalLag"], 2);
    in_version_3(&bridge, &group, &topic, protocol).await;

    let reset = format!("/admin/groups/{group}/offsets:reset");
    let refused = bridge.post(&reset, &json!({"to": "earliest", "dryRun": true})).await;
    assert_eq!((refused.status, refused.json()["error_code"].as_u64()), (409, Some(409)), "{}", refused.json());

    leave(member).await;
    let empty = described(&bridge, &group, |found| found["state"] == "Empty").await;
    assert_eq!(lines(&empty), [(0, Some(1), 2), (1, None, 0)], "a stopped group keeps its lines");

    let dry = bridge.post(&reset, &json!({"topic": topic, "to": "latest", "dryRun": true})).await.json();
    assert_eq!(dry["dryRun"], true);
    let moved = |found: &Value| {
        found["offsets"].as_array().unwrap().iter().map(|it| it["newOffset"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(moved(&dry), [3, 0]);
    assert_eq!(lines(&described(&bridge, &group, |_| true).await)[0], (0, Some(1), 2), "nothing was written");

    for (to, expected) in
        [("latest", 3), ("earliest", 0), ("2", 2), ("99", 3), ("2000-01-01T00:00:00Z", 0), ("2100-01-01T00:00:00Z", 3)]
    {
        let done = bridge.post(&reset, &json!({"to": to})).await;
        assert_eq!(done.status, 200, "{}", done.json());
        assert_eq!(moved(&done.json())[0], expected, "{to}");
        let now = described(&bridge, &group, |_| true).await;
        assert_eq!(lines(&now)[0], (0, Some(expected), 3 - expected), "{to}");
    }
    // Kafka's own tool sees the same.
    if let Some(shown) = bridge.tool(TOOL, &["--describe", "--group", &group]).await {
        let line =
            shown.lines().find(|line| line.split_whitespace().nth(2) == Some("0")).unwrap_or_else(|| panic!("{shown}"));
        let columns: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(columns[..6], [group.as_str(), &topic, "0", "3", "3", "0"], "{shown}");
    }
}

/// Partition, committed offset and lag.
fn lines(group: &Value) -> Vec<(i64, Option<i64>, i64)> {
    let offsets = group["offsets"].as_array().unwrap().iter();
    offsets
        .map(|line| {
            (line["partition"].as_i64().unwrap(), line["committedOffset"].as_i64(), line["lag"].as_i64().unwrap())
        })
        .collect()
}

async fn in_version_3(bridge: &Bridge, group: &str, topic: &str, protocol: &str) {
    let all = format!("{}/consumer-groups", bridge.cluster().await);
    let base = format!("{all}/{group}");
    let read = bridge.get(&base).await.json();
    assert_eq!((&read["kind"], &read["consumer_group_id"]), (&json!("KafkaConsumerGroup"), &json!(group)));
    assert_eq!((&read["state"], &read["type"]), (&json!("STABLE"), &json!(protocol.to_uppercase())));
    assert_eq!((&read["is_simple"], &read["is_mixed_consumer_group"]), (&json!(false), &json!(false)));
    let listed = bridge.get(&all).await.json();
    assert!(listed["data"].as_array().unwrap().iter().any(|other| other["consumer_group_id"] == group), "{listed}");

    let consumers = bridge.get(&format!("{base}/consumers")).await.json();
    let consumer = &consumers["data"][0];
    assert_eq!((&consumer["client_id"], &consumer["instance_id"]), (&json!("a-member"), &Value::Null));
    let id = consumer["consumer_id"].as_str().unwrap();
    // The ids of KIP-848 are base64.
    let segment = id.replace('/', "%2F").replace('+', "%2B");
    assert_eq!(&bridge.get(&format!("{base}/consumers/{segment}")).await.json(), consumer);
    let assignments = bridge.get(&format!("{base}/consumers/{segment}/assignments")).await.json();
    assert_eq!(assignments["data"].as_array().unwrap().len(), 2, "{assignments}");

    let lag = bridge.get(&format!("{base}/lags/{topic}/partitions/0")).await.json();
    let counted = (&lag["current_offset"], &lag["log_end_offset"], &lag["lag"], &lag["consumer_id"]);
    assert_eq!(counted, (&json!(1), &json!(3), &json!(2), &json!(id)));
    assert_eq!(bridge.get(&format!("{base}/lags")).await.json()["data"][0], lag);
    let summary = bridge.get(&format!("{base}/lag-summary")).await.json();
    let counted =
        (&summary["max_lag"], &summary["total_lag"], &summary["max_lag_partition_id"], &summary["max_lag_client_id"]);
    assert_eq!(counted, (&json!(2), &json!(2), &json!(0), &json!("a-member")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_there_is_not_is_made_by_a_reset_that_names_a_topic() {
    let Some(bridge) = Bridge::start().await else { return };
    let (topic, group) = (bridge.topic(1).await, format!("{}-new", bridge.name));
    bridge.put(&topic, &[(0, "a")]).await;
    let reset = format!("/admin/groups/{group}/offsets:reset");

    assert_eq!(bridge.get(&format!("/admin/groups/{group}")).await.status, 404);
    let unknown = bridge.post(&reset, &json!({"to": "earliest"})).await;
    assert_eq!((unknown.status, unknown.json()["error_code"].as_u64()), (404, Some(40405)));
    let away = bridge.post(&reset, &json!({"to": "earliest", "topic": "there-is-none"})).await;
    assert_eq!((away.status, away.json()["error_code"].as_u64()), (404, Some(40403)));
    for body in [json!({"to": "soon"}), json!({}), json!({"to": "earliest", "dryrun": true}), json!([1])] {
        assert_eq!(bridge.post(&reset, &body).await.status, 422, "{body}");
    }

    let made = bridge.post(&reset, &json!({"to": "latest", "topic": topic})).await;
    let expected = json!([{"topic": topic, "partition": 0, "previousOffset": null, "newOffset": 1}]);
    assert_eq!((made.status, &made.json()["offsets"]), (200, &expected));
    described(&bridge, &group, |found| found["offsets"][0]["committedOffset"] == 1).await;
    let listed = bridge.get("/admin/groups").await.json();
    assert!(listed["groups"].as_array().unwrap().iter().any(|other| other["group"] == json!(group)), "{listed}");
}
