use serde_json::{Value, json};

use crate::support::caller::to_sandbox;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    what_cannot_be_looked_for_is_refused_with_its_path;
    on_both_databases:
    messages_are_listed_newest_first_a_page_at_a_time,
    messages_are_found_by_what_they_are_filtered_by,
    operators_queries_work_as_they_stand;
    on_every_queue:
    every_state_is_counted_also_those_without_messages;
);

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|message| message["id"].as_str().unwrap().to_owned()).collect()
}

async fn messages_are_listed_newest_first_a_page_at_a_time(installation: Installation) {
    let app = TestApp::start(installation).await;
    let mut sent = Vec::new();
    for number in 0..7 {
        sent.push(app.send(&to_sandbox(&format!("{number}"))).await.message_id());
    }
    sent.reverse();

    let whole = app.get("/api/messaging/messages").await.json();
    assert_eq!((ids(&whole["data"]), &whole["nextCursor"]), (sent.clone(), &json!(null)));
    assert!(whole["data"][0].get("attempts").is_none(), "a list has no attempts");

    let mut pages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("/api/messaging/messages?limit=3{cursor}")).await.json();
        pages.push(ids(&page["data"]));
        let Some(next) = page["nextCursor"].as_str() else { break };
        assert!(next.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{next} is URL-safe");
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages, [&sent[0..3], &sent[3..6], &sent[6..7]]);

    // A page that ends with the last row is the last page.
    let page = app.get("/api/messaging/messages?limit=7").await.json();
    assert_eq!((ids(&page["data"]), &page["nextCursor"]), (sent, &json!(null)));
}

async fn messages_are_found_by_what_they_are_filtered_by(installation: Installation) {
    let app = TestApp::start(installation).await;
    app.create_instance(&json!({ "channel": "sandbox", "channelInstanceId": "other", "channelPhoneOrId": "x" })).await;
    let first = app.bring_to_its_end(&to_sandbox("5585999999999")).await;
    let failed = app.bring_to_its_end(&to_sandbox("fail-permanent")).await;
    let mut to_other = to_sandbox("5585999999999");
    to_other["channelInstanceId"] = "other".into();
    let other = app.bring_to_its_end(&to_other).await;
    let created = app.message(&failed).await["createdAt"].as_str().unwrap().to_owned();

    let all = [other.as_str(), failed.as_str(), first.as_str()];
    let cases: [(&str, &[&str]); 10] = [
        ("status=sent", &[&other, &first]),
        ("status=failed", &[&failed]),
        ("status=queued", &[]),
        ("channel=sandbox", &all),
        ("channel=sandbox&channelInstanceId=other", &[&other]),
        ("remoteJid=fail-permanent", &[&failed]),
        ("remoteJid=5585999999999&channelInstanceId=sandbox", &[&first]),
        ("createdAfter=2020-01-01T00:00:00Z", &all),
        ("createdBefore=2020-01-01T00:00:00Z", &[]),
        (&format!("createdAfter={created}&createdBefore={created}"), &[]),
    ];
    for (filter, expected) in cases {
        let list = app.get(&format!("/api/messaging/messages?{filter}")).await;
        assert_eq!(list.status, 200, "{filter}: {}", list.json());
        assert_eq!(ids(&list.data()), expected, "{filter}");
        let stats = app.get(&format!("/api/messaging/messages/stats?{filter}")).await.data();
        assert_eq!(stats["total"], expected.len(), "{filter}");
    }
    let since = app.get(&format!("/api/messaging/messages?createdAfter={created}")).await.data();
    assert!(ids(&since).contains(&failed), "the moment itself is within");
    let until = app.get(&format!("/api/messaging/messages?createdBefore={created}")).await.data();
    assert!(!ids(&until).contains(&failed), "the moment itself is not before");
}

async fn what_cannot_be_looked_for_is_refused_with_its_path(installation: Installation) {
    let app = TestApp::start(installation).await;
    let cases: [(&str, &[&str]); 12] = [
        ("limit=0", &["/limit"]),
        ("limit=251", &["/limit"]),
        ("limit=-1", &["/limit"]),
        ("limit=three", &["/limit"]),
        ("cursor=!", &["/cursor"]),
        ("status=lost", &["/status"]),
        ("status=&limit=", &["/limit", "/status"]),
        ("createdAfter=yesterday", &["/createdAfter"]),
        ("channel=sandbox&channel=webhook", &["/channel"]),
        ("remoteJid=%00", &["/remoteJid"]),
        ("limt=3", &["/limt"]),
        ("limit=0&status=lost&limt=3", &["/limit", "/limt", "/status"]),
    ];
    for (query, paths) in cases {
        assert_eq!(app.get(&format!("/api/messaging/messages?{query}")).await.paths(), paths, "{query}");
    }
    for limit in [1, 250] {
        assert_eq!(app.get(&format!("/api/messaging/messages?limit={limit}")).await.status, 200);
    }
    assert_eq!(app.get("/api/messaging/messages/stats?limit=3").await.paths(), ["/limit"]);
    assert_eq!(app.get("/api/messaging/instances?limit=3").await.paths(), ["/limit"]);
}

async fn every_state_is_counted_also_those_without_messages(installation: Installation) {
    let app = TestApp::start(installation).await;
    let empty = json!({
        "pending": 0, "queued": 0, "processing": 0, "sent": 0, "delivered": 0, "read": 0, "failed": 0, "cancelled": 0,
        "open": 0, "total": 0,
    });
    assert_eq!(app.get("/api/messaging/messages/stats").await.data(), empty);

    for recipient in ["5585999999999", "5585999999999", "fail-transient"] {
        app.bring_to_its_end(&to_sandbox(recipient)).await;
    }
    let mut expected = empty;
    (expected["sent"], expected["failed"], expected["total"]) = (json!(2), json!(1), json!(3));
    assert_eq!(app.get("/api/messaging/messages/stats").await.data(), expected);
}

async fn operators_queries_work_as_they_stand(installation: Installation) {
    let app = TestApp::start(installation).await;
    app.bring_to_its_end(&to_sandbox("5585999999999")).await;
    let failed = app.bring_to_its_end(&to_sandbox("fail-permanent")).await;
    for (status, expected) in [("queued", 0), ("processing", 0), ("failed", 1)] {
        let rows = app.sql(&format!("SELECT * FROM messaging_messages WHERE status = '{status}';")).await;
        assert_eq!(rows.len(), expected, "{status}");
    }
    let known = "id, user_id, instance_id, channel, remote_jid, message, channel_message_id, direction, status, \
                 media_url, media_type, error, retries, max_retries, sent_at, delivered_at, read_at, created_at, \
                 updated_at, tenant, payload, template, node_id, try, next_attempt_at, dead_lettered_at";
    let rows = app.sql(&format!("SELECT {known} FROM messaging_messages WHERE status = 'failed'")).await;
    assert_eq!(rows[0]["id"], failed);
    assert_eq!(rows[0]["max_retries"], 3);

    let counts = app.sql("SELECT * FROM messaging_status_counts ORDER BY status").await;
    assert_eq!(
        counts,
        [
            json!({ "tenant": "default", "status": "failed", "count": 1 }),
            json!({ "tenant": "default", "status": "sent", "count": 1 }),
        ]
    );
    assert_eq!(app.sql("SELECT * FROM messaging_instances").await[0]["channel_instance_id"], "sandbox");
}
