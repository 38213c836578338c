use serde_json::json;
use uuid::Uuid;

use super::hand::Hand;
use crate::support::caller::to_sandbox;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    an_instance_is_deleted_whatever_its_messages_hold,
    an_instance_that_cannot_be_read_hides_no_other_and_gets_what_was_queued;
    only_on_sqlite:
    an_instance_without_a_readable_address_fails_its_messages;
);

/// What nobody takes up before it is deleted.
const LATER: &str = "next_attempt_at = '2099-01-01T00:00:00.000Z', status = 'queued'";

async fn an_instance_that_cannot_be_read_hides_no_other_and_gets_what_was_queued(installation: Installation) {
    let app = TestApp::start(installation).await;
    let time = if app.installation.is_sqlite() { "yesterday" } else { "infinity" };
    let id = queued_for_a_broken_instance(&app, &format!("updated_at = '{time}'")).await;
    let listed = app.get("/api/messaging/instances").await;
    let names: Vec<_> = listed.data().as_array().unwrap().iter().map(|one| one["channelInstanceId"].clone()).collect();
    assert_eq!((listed.status, names), (200, vec![json!("sandbox")]));
    // Where it goes can still be read.
    let sent = app.ended(&id).await;
    assert_eq!(sent["status"], "sent", "{sent}");
    app.sent(&to_sandbox("2")).await;
}

async fn an_instance_without_a_readable_address_fails_its_messages(installation: Installation) {
    let app = TestApp::start(installation).await;
    let id = queued_for_a_broken_instance(&app, "channel_phone_or_id = cast(x'ff' as text)").await;
    let failed = app.ended(&id).await;
    assert_eq!(failed["error"], "The instance's row cannot be read.", "{failed}");
    app.sent(&to_sandbox("2")).await;
}

/// The message's id.
async fn queued_for_a_broken_instance(app: &TestApp, breaking: &str) -> String {
    let broken = json!({ "channel": "sandbox", "channelInstanceId": "broken", "channelPhoneOrId": "x" });
    let broken = app.create_instance(&broken).await;
    let id = app.sent(&to_sandbox("1")).await["id"].as_str().unwrap().to_owned();
    let mut hand = Hand::on(&app.installation).await;
    hand.write(&format!("update messaging_instances set {breaking} where id = '{broken}'")).await.unwrap();
    let waiting =
        format!("update messaging_messages set status = 'queued', instance_id = '{broken}' where id = '{id}'");
    hand.write(&waiting).await.unwrap();
    id
}

async fn an_instance_is_deleted_whatever_its_messages_hold(installation: Installation) {
    let app = TestApp::start(installation).await;
    let to_this = json!({ "channel": "sandbox", "channelInstanceId": "this", "channelPhoneOrId": "x" });
    let instance = app.create_instance(&to_this).await;
    let mut hand = Hand::on(&app.installation).await;
    let mut edits: Vec<String> = ["-1", "2147483647", "-2147483648", "9223372036854775807"]
        .iter()
        .flat_map(|number| [format!("try = {number}"), format!("retries = {number}")])
        .collect();
    edits.extend(["''", "'infinity'", "cast(x'ff' as text)"].map(|time| format!("attempt_started_at = {time}")));
    edits.push("node_id = null, message = null".to_owned());
    let mut messages = Vec::new();
    for edit in &edits {
        let id = app.sent(&to_sandbox(&Uuid::new_v4().to_string())).await["id"].as_str().unwrap().to_owned();
        let ours = format!("update messaging_messages set {LATER}, instance_id = '{instance}' where id = '{id}'");
        hand.write(&ours).await.unwrap();
        // What this database refuses, it need not bear.
        let _refused = hand.write(&format!("update messaging_messages set {edit} where id = '{id}'")).await;
        messages.push(id);
    }

    let deleted = app.delete(&format!("/api/messaging/instances/{instance}")).await;
    assert!(matches!(deleted.status, 200 | 204), "{}: {}", deleted.status, String::from_utf8_lossy(&deleted.body));
    for (id, edit) in messages.iter().zip(edits) {
        let message = app.ended(id).await;
        assert_eq!(
            (&message["status"], &message["error"]),
            (&json!("failed"), &json!("The instance was deleted.")),
            "{edit}"
        );
    }
}
