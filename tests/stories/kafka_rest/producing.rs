//! Records, as clients of the REST Proxy publish them: stored first, then in the topic.

use reqwest::Method;
use serde_json::{Value, json};

use super::bridge::Bridge;
use crate::support::answered::Answered;
use crate::support::kafka_topic::KafkaTopic;

impl Bridge {
    async fn produce(&self, path: &str, format: &str, body: &Value) -> Answered {
        let kind = format!("application/vnd.kafka.{format}.v2+json");
        let request = self.request(Method::POST, path).header("content-type", kind);
        self.call(request.body(body.to_string())).await
    }

    /// The objects of a streamed answer, in their order.
    async fn stream(&self, topic: &str, body: impl Into<String>) -> Vec<Value> {
        let answer = self.post_text(&format!("{}/topics/{topic}/records", self.cluster().await), body).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert_eq!(answer.headers["content-type"], "application/json");
        let text = String::from_utf8(answer.body).unwrap();
        assert!(text.ends_with("\r\n"), "{text:?}");
        text.split_terminator("\r\n").map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn topic_of(&self, name: &str) -> KafkaTopic {
        KafkaTopic::new(&self.brokers, name.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_2_publishes_json_and_binary_records_and_keeps_a_row_of_each() {
    let Some(bridge) = Bridge::start().await else { return };
    let topic = bridge.topic(2).await;
    let path = format!("/topics/{topic}");
    let body = json!({"records": [{"key": "a", "value": {"b": 1}, "partition": 1}, {"value": null, "partition": 1}]});
    let answer = bridge.produce(&path, "json", &body).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.headers["content-type"], "application/vnd.kafka.v2+json");
    let placed = |offset: i64| json!({"partition": 1, "offset": offset, "error_code": null, "error": null});
    let expected = json!({"offsets": [placed(0), placed(1)], "key_schema_id": null, "value_schema_id": null});
    assert_eq!(answer.json(), expected);
    let record = bridge.topic_of(&topic).record(|record| !record.value.is_empty()).await;
    assert_eq!(
        (record.key.as_slice(), record.text()),
        (&b"\"a\""[..], "{\"b\":1}".to_owned()),
        "a text key is three bytes"
    );

    let binary =
        bridge.produce(&format!("{path}/partitions/0"), "binary", &json!({"records": [{"value": "aGk="}]})).await;
    assert_eq!((binary.status, &binary.json()["offsets"][0]["partition"]), (200, &json!(0)));
    let rows = bridge.installation.sql("select status from messaging_messages").await;
    assert_eq!(rows.len(), 3, "each has a row: {rows:?}");

    for (format, body, status) in [
        ("binary", json!({"records": [{"value": "é"}]}), 422),
        ("json", json!({"records": []}), 422),
        ("avro", json!({"records": [{"value": 1}]}), 415),
    ] {
        let refused = bridge.produce(&path, format, &body).await;
        assert_eq!(refused.status, status, "{format} {body}: {}", String::from_utf8_lossy(&refused.body));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_2_hides_no_failure_in_a_200() {
    let Some(bridge) = Bridge::start().await else { return };
    let topic = bridge.topic(1).await;
    let set =
        bridge.request(Method::PUT, &format!("{}/topics/{topic}/configs/max.message.bytes", bridge.cluster().await));
    assert_eq!(bridge.call(set.json(&json!({"value": "2000"}))).await.status, 204);
    let path = format!("/topics/{topic}");
    let large = json!({"value": (0..4_000).map(|number| number * 7_919 % 1_000).collect::<Vec<_>>()});
    let some = bridge.produce(&path, "json", &json!({"records": [large, {"value": 1}]})).await;
    assert_eq!(some.status, 207, "{}", some.json());
    let offsets = &some.json()["offsets"];
    assert_eq!((&offsets[0]["offset"], offsets[0]["error_code"].as_u64()), (&Value::Null, Some(413)));
    assert_eq!((&offsets[1]["offset"], &offsets[1]["error_code"]), (&json!(0), &Value::Null));
    let all = bridge.produce(&path, "json", &json!({"records": [large]})).await;
    assert_eq!(all.status, 413, "{}", all.json());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn version_3_streams_records_and_answers_in_their_order() {
    let Some(bridge) = Bridge::start().await else { return };
    let topic = bridge.topic(1).await;
    let cluster = bridge.cluster().await.rsplit('/').next().unwrap().to_owned();
    let body = r#"{"key": {"type": "STRING", "data": "k"}, "value": {"type": "JSON", "data": {"a": 1}},
            "headers": [{"name": "h", "value": "aGk="}], "timestamp": "2026-01-01T00:00:00Z"}
        {"value": {"type": "BINARY", "data": 1}}{}
        {"partition_id": 0, "value": {"type": "STRING", "data": "text"}} nonsense {}"#;
    let answers = bridge.stream(&topic, body).await;
    assert_eq!(answers.len(), 5, "what follows nonsense is not read: {answers:#?}");
    let first = json!({"error_code": 200, "cluster_id": cluster, "topic_name": topic, "partition_id": 0, "offset": 0,
        "timestamp": "2026-01-01T00:00:00Z", "key": {"type": "STRING", "size": 1}, "value": {"type": "JSON", "size": 7}});
    assert_eq!(answers[0], first);
    assert_eq!(answers[1], json!({"error_code": 400, "message": "Bad Request: data=1 is not a base64 string."}));
    assert_eq!((&answers[2]["offset"], answers[2].get("key"), answers[2].get("value")), (&json!(1), None, None));
    assert_eq!((&answers[3]["offset"], &answers[3]["value"]["size"]), (&json!(2), &json!(4)));
    assert_eq!(answers[4]["error_code"], 400);
    assert!(answers[4]["message"].as_str().unwrap().starts_with("Bad Request: Error processing message: "));
    let record = bridge.topic_of(&topic).record(|record| record.key == b"k").await;
    assert_eq!((record.text(), record.header("h")), ("{\"a\":1}".to_owned(), Some("hi")));
    assert_eq!(record.headers.len(), 1, "a client's record has its own headers alone");

    let many: String =
        (0..2_000).map(|number| format!("{{\"value\":{{\"type\":\"JSON\",\"data\":{number}}}}}")).collect();
    let answers = bridge.stream(&topic, many).await;
    let offsets: Vec<i64> = answers.iter().map(|answer| answer["offset"].as_i64().unwrap()).collect();
    assert_eq!(offsets, (3..2_003).collect::<Vec<_>>(), "in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_precedes_the_first_record_decides_the_status() {
    let Some(bridge) = Bridge::start().await else { return };
    let topic = bridge.topic(1).await;
    let path = format!("{}/topics/{topic}/records", bridge.cluster().await);
    let empty = bridge.post_text(&path, " \n").await;
    let expected = json!({"error_code": 42206, "message": "Payload error. Request body is empty. Data is required."});
    assert_eq!((empty.status, empty.json()), (422, expected));
    let other = bridge.call(bridge.request(Method::POST, &path).header("content-type", "text/plain").body("{}")).await;
    let expected = json!({"error_code": 415, "message": "HTTP 415 Unsupported Media Type"});
    assert_eq!((other.status, other.json()), (415, expected));
    assert_eq!(bridge.post_text(&format!("/v3/clusters/x/topics/{topic}/records"), "{}").await.status, 404);
    let bad = bridge.post_text(&format!("{}/topics/a%20b/records", bridge.cluster().await), "{}").await;
    assert_eq!(bad.status, 400);
    assert_eq!(bridge.nobody().post_text(&path, "{}").await.status, 401);
    let reader = bridge.with_token(&bridge.correio(&["token", "--sub", "a", "--scope", "topics:read"]).await);
    assert_eq!(reader.post_text(&path, "{}").await.status, 403);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_in_another_encoding_is_told_so() {
    let Some(bridge) = Bridge::start().await else { return };
    let (topic, cluster) = (bridge.topic(1).await, bridge.cluster().await);
    let body = r#"{"records": [{"value": 1}]}"#;
    let utf_16: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf_32: Vec<u8> = body.chars().flat_map(|character| u32::from(character).to_be_bytes()).collect();
    let of_version_2 = (format!("/topics/{topic}"), "application/vnd.kafka.json.v2+json");
    let of_version_3 = ["/records", "/records:batch"].map(|end| format!("{cluster}/topics/{topic}{end}"));
    let of_version_3 = of_version_3.map(|path| (path, "application/json"));
    for (path, content_type) in
        of_version_3.into_iter().chain([of_version_2, ("/admin/topics".to_owned(), "application/json")])
    {
        for (encoding, bytes) in [("UTF-16", &utf_16), ("UTF-32", &utf_32)] {
            let request = bridge.request(Method::POST, &path).header("content-type", content_type);
            let answer = bridge.call(request.body(bytes.clone())).await;
            assert_eq!((answer.status, answer.json()["error_code"].as_u64()), (415, Some(415)), "{path}");
            assert!(answer.json()["message"].as_str().unwrap().contains(encoding), "{path}: {}", answer.json());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_says_what_became_of_each() {
    let Some(bridge) = Bridge::start().await else { return };
    let topic = bridge.topic(1).await;
    let path = format!("{}/topics/{topic}/records:batch", bridge.cluster().await);
    let entries = json!({"entries": [
        {"id": "one", "value": {"type": "JSON", "data": 1}},
        {"id": "two", "value": {"type": "BINARY", "data": "é"}},
    ]});
    let answer = bridge.post(&path, &entries).await;
    assert_eq!(answer.status, 207, "{}", answer.json());
    let body = answer.json();
    let success = &body["successes"][0];
    assert_eq!((&success["id"], &success["offset"], success.get("error_code")), (&json!("one"), &json!(0), None));
    assert_eq!(
        body["failures"],
        json!([{"id": "two", "error_code": 400, "message": "Bad Request: data=é is not a base64 string."}])
    );
    let empty = bridge.post(&path, &json!({"entries": []})).await;
    assert_eq!((empty.status, empty.json()), (422, json!({"error_code": 42208, "message": "Empty batch."})));
}
