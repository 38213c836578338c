//! `correio topics` and `correio groups`.

use serde_json::Value;

use super::bridge::Bridge;
use crate::support::eventually::{SOON, eventually};
use crate::support::process::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_made_described_and_read_from_a_terminal() {
    let Some(bridge) = Bridge::start().await else { return };
    let topic = bridge.name.as_str();
    let create = ["topics", "create", "--topic", topic, "--partitions", "2", "--config", "retention.ms=100000"];
    assert_eq!(bridge.correio(&create).await, format!("Created topic {topic}."));
    let again = run(bridge.installation.directory.path(), &bridge.process.environment, &create).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("already exists"));
    eventually(SOON, "the topic is listed", async || {
        bridge.correio(&["topics", "list"]).await.lines().any(|line| line == topic).then_some(())
    })
    .await;

    let described = bridge.correio(&["topics", "describe", topic]).await;
    let tool = bridge.tool("org.apache.kafka.tools.TopicCommand", &["--describe", "--topic", topic]).await;
    if let Some(expected) = tool {
        // Newer brokers say of each partition what librdkafka does not ask for.
        let known: Vec<&str> = expected.lines().map(|line| line.split("\tElr").next().unwrap()).collect();
        assert_eq!(described.lines().collect::<Vec<_>>(), known);
    }

    bridge.put(topic, &[(0, "{\"a\":1}"), (0, "text")]).await;
    let tail = ["topics", "tail", topic, "--from-beginning", "--max-messages", "2"];
    let lines: Vec<Value> =
        bridge.correio(&tail).await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["value"]["a"], &lines[1]["value"]), (&1.into(), &"text".into()));
    assert_eq!((&lines[1]["offset"], &lines[1]["partition"], &lines[1]["key"]), (&1.into(), &0.into(), &Value::Null));
    let pretty = bridge.correio(&[&tail[..], &["--pretty"]].concat()).await;
    assert!(pretty.lines().count() > 10, "{pretty}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_described_and_reset_from_a_terminal() {
    let Some(bridge) = Bridge::start().await else { return };
    let (topic, group) = (bridge.topic(1).await, format!("{}-group", bridge.name));
    bridge.put(&topic, &[(0, "a"), (0, "b")]).await;
    let member = bridge.member(&group, &topic, "classic").await;
    let reset = ["groups", "reset", "--group", &group, "--topic", &topic, "--to-earliest"];
    let refused = run(bridge.installation.directory.path(), &bridge.process.environment, &reset).await;
    assert_eq!(refused.status.code(), Some(1));
    let expected =
        format!("Assignments can only be reset if the group '{group}' is inactive, but the current state is Stable.");
    assert!(String::from_utf8_lossy(&refused.stderr).contains(&expected));
    tokio::task::spawn_blocking(move || drop(member)).await.unwrap();
    eventually(SOON, "the member has left", async || {
        bridge.correio(&["groups", "describe", &group]).await.contains("has no active members").then_some(())
    })
    .await;

    let described = bridge.correio(&["groups", "describe", "--group", &group]).await;
    let tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
    if let Some(expected) = bridge.tool(tool, &["--describe", "--group", &group]).await {
        let lines = |text: &str| text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let table: Vec<String> = lines(&described).split_off(1);
        assert_eq!(table, lines(&expected), "{described}");
    }
    let state = bridge.correio(&["groups", "describe", "--group", &group, "--state"]).await;
    assert!(state.contains("Empty"), "{state}");

    let line = |shown: &str| shown.lines().last().unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let dry = bridge.correio(&reset).await;
    assert_eq!(line(&dry), [group.as_str(), &topic, "0", "0"]);
    let offset = async || line(&bridge.correio(&["groups", "describe", &group]).await)[3].clone();
    assert_eq!(offset().await, "1", "nothing was written");
    bridge.correio(&[&reset[..], &["--execute"]].concat()).await;
    assert_eq!(offset().await, "0");
    let shift = ["groups", "reset", "--group", &group, "--all-topics", "--shift-by", "2", "--execute"];
    assert_eq!(line(&bridge.correio(&shift).await)[3], "2");
    assert!(bridge.correio(&["groups", "list"]).await.lines().any(|known| known == group));
}
