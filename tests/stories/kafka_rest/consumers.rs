//! Consumers of version 2.

use reqwest::Method;
use serde_json::{Value, json};

use super::bridge::{Bridge, sorted};
use crate::support::answered::Answered;
use crate::support::eventually::{SOON, eventually};

/// An instance of a group, by its path.
struct Consumer<'a> {
    bridge: &'a Bridge,
    path: String,
    accepts: &'static str,
}

impl Consumer<'_> {
    async fn post(&self, what: &str, body: &Value) -> Answered {
        let request = self.bridge.request(Method::POST, &format!("{}/{what}", self.path));
        let request = request.header("content-type", "application/vnd.kafka.v2+json").body(body.to_string());
        self.bridge.call(request).await
    }

    async fn get(&self, what: &str) -> Answered {
        self.bridge.get(&format!("{}/{what}", self.path)).await
    }

    /// What a body on a GET names.
    async fn committed(&self, partitions: &Value) -> Answered {
        let request = self.bridge.request(Method::GET, &format!("{}/offsets", self.path));
        let request = request.header("content-type", "application/vnd.kafka.v2+json");
        self.bridge.call(request.body(json!({"partitions": partitions}).to_string())).await
    }

    async fn records(&self, query: &str) -> Answered {
        let request = self.bridge.request(Method::GET, &format!("{}/records{query}", self.path));
        self.bridge.call(request.header("accept", self.accepts)).await
    }

    /// Fetches until so many have come.
    async fn read(&self, count: usize) -> Vec<Value> {
        let mut read = Vec::new();
        eventually(SOON, "the records come", async || {
            let fetched = self.records("?timeout=500").await;
            assert_eq!(fetched.status, 200, "{}", fetched.json());
            read.extend(fetched.json().as_array().unwrap().clone());
            (read.len() >= count).then(|| read.clone())
        })
        .await
    }
}

async fn consumer<'a>(bridge: &'a Bridge, group: &str, settings: &Value) -> Consumer<'a> {
    let created = bridge.post(&format!("/consumers/{group}"), settings).await;
    assert_eq!(created.status, 200, "{}", created.json());
    let name = created.json()["instance_id"].as_str().unwrap().to_owned();
    let path = format!("/consumers/{group}/instances/{name}");
    assert_eq!(created.json()["base_uri"], json!(format!("http://{}{path}", bridge.address())));
    let accepts = if settings["format"] == "json" { "application/vnd.kafka.json.v2+json" } else { "*/*" };
    Consumer { bridge, path, accepts }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_subscribes_reads_commits_and_goes() {
    let Some(bridge) = Bridge::start().await else { return };
    let (topic, group) = (bridge.topic(1).await, format!("{}-group", bridge.name));
    bridge.put(&topic, &[(0, "{\"a\": 1}"), (0, "2")]).await;
    let settings =
        json!({"name": "one", "format": "json", "auto.offset.reset": "earliest", "auto.commit.enable": "false"});
    let one = consumer(&bridge, &group, &settings).await;

    let taken = bridge.post(&format!("/consumers/{group}"), &settings).await;
    assert_eq!((taken.status, taken.json()["error_code"].as_u64()), (409, Some(40902)));
    assert_eq!(one.records("").await.json(), json!([]), "it reads nothing yet");
    assert_eq!(one.post("subscription", &json!({"topics": [topic, topic]})).await.status, 204);
    assert_eq!(one.get("subscription").await.json(), json!({"topics": [topic]}));
    assert_eq!(one.post("positions", &json!({"offsets": []})).await.status, 204, "it goes nowhere");

    let read = one.read(2).await;
    let expected = [
        json!({"topic": topic, "key": null, "value": {"a": 1}, "partition": 0, "offset": 0}),
        json!({"topic": topic, "key": null, "value": 2, "partition": 0, "offset": 1}),
    ];
    assert_eq!(read, expected);

    let places = json!([{"topic": topic, "partition": 0}]);
    let nothing = one.committed(&places).await;
    assert_eq!((nothing.status, nothing.json()["error_code"].as_u64()), (404, Some(40402)));
    let processed = json!({"offsets": [{"topic": topic, "partition": 0, "offset": 0}]});
    assert_eq!(one.post("offsets", &processed).await.status, 200);
    let next = |offset: i64| json!({"offsets": [{"topic": topic, "partition": 0, "offset": offset, "metadata": ""}]});
    assert_eq!(one.committed(&places).await.json(), next(1), "one more than what was processed");
    let all = bridge.request(Method::POST, &format!("{}/offsets", one.path));
    assert_eq!(bridge.call(all).await.status, 200);
    assert_eq!(one.committed(&places).await.json(), next(2), "all that was fetched");

    let other = bridge.request(Method::GET, &format!("{}/records", one.path));
    let other = bridge.call(other.header("accept", "application/vnd.kafka.binary.v2+json")).await;
    assert_eq!((other.status, other.json()["error_code"].as_u64()), (406, Some(40601)));

    assert_eq!(bridge.delete(&one.path).await.status, 204);
    let gone = one.records("").await;
    assert_eq!(gone.json(), json!({"error_code": 40403, "message": "Consumer instance not found."}));
    assert_eq!(gone.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_commits_itself_goes_on_where_it_was() {
    let Some(bridge) = Bridge::start().await else { return };
    let (topic, group) = (bridge.topic(1).await, format!("{}-group", bridge.name));
    bridge.put(&topic, &[(0, "a"), (0, "b")]).await;
    let settings = json!({"auto.offset.reset": "earliest", "fetch.min.bytes": 1});
    let first = consumer(&bridge, &group, &settings).await;
    first.post("subscription", &json!({"topic_pattern": format!("{}.*", bridge.name)})).await;
    let read = first.read(2).await;
    assert_eq!((&read[0]["value"], &read[1]["value"]), (&json!("YQ=="), &json!("Yg==")), "in base64");
    assert_eq!(first.get("subscription").await.json(), json!({"topics": [topic]}));
    assert_eq!(bridge.delete(&first.path).await.status, 204);

    bridge.put(&topic, &[(0, "c")]).await;
    let second = consumer(&bridge, &group, &settings).await;
    second.post("subscription", &json!({"topics": [topic]})).await;
    let read = second.read(1).await;
    assert_eq!((read.len(), &read[0]["offset"]), (1, &json!(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_reads_the_partitions_that_it_was_assigned_and_goes_back() {
    let Some(bridge) = Bridge::start().await else { return };
    let (topic, group) = (bridge.topic(2).await, format!("{}-group", bridge.name));
    bridge.put(&topic, &[(0, "1"), (1, "2"), (1, "3")]).await;
    let settings = json!({"format": "json", "auto.offset.reset": "earliest", "auto.commit.enable": "false"});
    let one = consumer(&bridge, &group, &settings).await;
    let partition = json!({"topic": topic, "partition": 1});
    let assigned = json!({"partitions": [partition]});
    assert_eq!(one.post("assignments", &assigned).await.status, 204);
    assert_eq!(one.get("assignments").await.json(), assigned);
    assert_eq!(one.read(2).await.len(), 2);

    let subscribed = one.post("subscription", &json!({"topics": [topic]})).await;
    assert_eq!((subscribed.status, subscribed.json()["error_code"].as_u64()), (409, Some(40903)));

    assert_eq!(one.post("positions/beginning", &assigned).await.status, 204);
    let values = |read: &[Value]| sorted(read.iter().map(|record| record["value"].clone()).collect());
    assert_eq!(values(&one.read(2).await), [json!(2), json!(3)]);
    let at = json!({"offsets": [{"topic": topic, "partition": 1, "offset": 1}]});
    assert_eq!(one.post("positions", &at).await.status, 204);
    assert_eq!(values(&one.read(1).await), [json!(3)]);
    assert_eq!(one.post("positions/end", &assigned).await.status, 204);
    assert_eq!(one.records("?timeout=300").await.json(), json!([]));

    let away = json!({"partitions": [{"topic": topic, "partition": 0}]});
    let refused = one.post("positions/end", &away).await;
    assert_eq!((refused.status, refused.json()["error_code"].as_u64()), (409, Some(40903)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_a_consumer_are_checked() {
    let Some(bridge) = Bridge::start().await else { return };
    let path = format!("/consumers/{}-group", bridge.name);
    for (settings, code) in [
        (json!({"format": "xml"}), 422),
        (json!({"format": "avro"}), 422),
        (json!({"auto.offset.reset": "now"}), 40001),
        (json!({"auto.commit.enable": "perhaps"}), 40001),
        (json!({"fetch.min.bytes": -2}), 42204),
        (json!({"consumer.request.timeout.ms": 30_001}), 42204),
        (json!({"consumer.request.timeout.ms": "x"}), 42204),
        (json!([1]), 42204),
    ] {
        let refused = bridge.post(&path, &settings).await;
        assert_eq!(refused.json()["error_code"], code, "{settings}");
        assert_eq!(u32::from(refused.status), if code > 1000 { code / 100 } else { code });
    }
    let empty = bridge.call(bridge.request(Method::POST, &path)).await;
    assert_eq!(empty.status, 200, "an empty body will do");
    assert!(empty.json()["instance_id"].as_str().unwrap().starts_with("rest-consumer-"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_topic_or_partition_can_be_is_refused_at_every_door() {
    let Some(bridge) = Bridge::start().await else { return };
    let one = consumer(&bridge, &format!("{}-group", bridge.name), &json!({"auto.commit.enable": "false"})).await;
    let long = "a".repeat(600);
    for (topic, partition) in [(long.as_str(), 0), ("a\0b", 0), ("a b", 0), ("orders", -1)] {
        let place = json!({"topic": topic, "partition": partition});
        let offsets = json!({"offsets": [{"topic": topic, "partition": partition, "offset": 0}]});
        let times = json!([{"topic": topic, "partition": partition, "timestamp": "2026-01-18T00:00:00Z"}]);
        for (door, body) in [
            ("assignments", json!({"partitions": [place]})),
            ("positions/beginning", json!({"partitions": [place]})),
            ("positions/end", json!({"partitions": [place]})),
            ("positions", offsets.clone()),
            ("positions", json!({"timestamps": times})),
            ("offsets", offsets.clone()),
        ] {
            assert_eq!(one.post(door, &body).await.status, 422, "{door} {body}");
        }
        assert_eq!(one.committed(&json!([place])).await.status, 422, "{place}");
        if partition == 0 {
            assert_eq!(one.post("subscription", &json!({"topics": [topic]})).await.status, 422, "{topic:?}");
        }
        let made = bridge.post("/admin/topics", &json!({"topic": topic})).await;
        assert!(topic == "orders" || made.json()["error_code"] == 40002, "{topic:?}: {}", made.json());
    }
    for pattern in ["a\0b", "(", "a{5000}", "(a)\\1"] {
        let refused = one.post("subscription", &json!({"topic_pattern": pattern})).await;
        assert_eq!(refused.status, 422, "{pattern:?}: {}", refused.json());
    }
    assert_eq!(one.get("assignments").await.json(), json!({"partitions": []}), "it is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_member_has_read_on_is_not_taken_back() {
    let Some(bridge) = Bridge::start().await else { return };
    let (topic, group) = (bridge.topic(2).await, format!("{}-group", bridge.name));
    bridge.put(&topic, &[(0, "1"), (1, "2")]).await;
    let settings = json!({"format": "json", "auto.offset.reset": "earliest", "auto.commit.enable": "false"});
    let subscription = json!({"topics": [topic]});
    let one = consumer(&bridge, &group, &settings).await;
    one.post("subscription", &subscription).await;
    assert_eq!(one.read(2).await.len(), 2);
    let other = consumer(&bridge, &group, &settings).await;
    other.post("subscription", &subscription).await;
    let read = eventually(SOON, "the other has a partition", async || {
        let (_, fetched) = futures::join!(one.records("?timeout=300"), other.records("?timeout=300"));
        fetched.json().as_array().unwrap().first().cloned()
    })
    .await;
    let partition = read["partition"].as_i64().unwrap();
    bridge.put(&topic, &[(i32::try_from(partition).unwrap(), "3")]).await;
    assert_eq!(other.read(1).await.len(), 1);
    let commit = async |member: &Consumer<'_>| {
        let request = bridge.request(Method::POST, &format!("{}/offsets", member.path));
        bridge.call(request).await
    };
    assert_eq!((commit(&other).await.status, commit(&other).await.json()), (200, json!([])));
    assert_eq!(commit(&one).await.status, 200);
    let committed = one.committed(&json!([{"topic": topic, "partition": partition}])).await.json();
    assert_eq!(committed["offsets"][0]["offset"], 2, "{committed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_deleted_has_left_its_group_whatever_it_waits_for() {
    let Some(bridge) = Bridge::start().await else { return };
    let (topic, group) = (bridge.topic(1).await, format!("{}-group", bridge.name));
    bridge.put(&topic, &[(0, "1")]).await;
    let settings = json!({"format": "json", "auto.offset.reset": "earliest", "consumer.request.timeout.ms": 30_000, "fetch.min.bytes": 1});
    let one = consumer(&bridge, &group, &settings).await;
    one.post("subscription", &json!({"topics": [topic]})).await;
    assert_eq!(one.records("").await.json().as_array().unwrap().len(), 1);
    let begun = std::time::Instant::now();
    let delete = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        bridge.delete(&one.path).await.status
    };
    let (fetched, deleted) = futures::join!(one.records(""), delete);
    assert_eq!((fetched.status, fetched.json(), deleted), (200, json!([]), 204));
    assert!(begun.elapsed() < std::time::Duration::from_secs(20), "{:?}", begun.elapsed());
    let left = bridge.get(&format!("/admin/groups/{group}")).await.json();
    assert_eq!((&left["members"], &left["offsets"][0]["committedOffset"]), (&json!([]), &json!(1)), "{left}");
}
