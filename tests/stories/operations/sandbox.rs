use serde_json::json;

use crate::support::caller::to_sandbox;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    a_sandbox_that_is_switched_off_takes_nothing_and_says_so_of_what_waits;
);

async fn a_sandbox_that_is_switched_off_takes_nothing_and_says_so_of_what_waits(installation: Installation) {
    let mut app = TestApp::start(installation).await;
    let mut later = to_sandbox("5585999999999");
    later["sendAt"] = json!((chrono::Utc::now() + chrono::Duration::seconds(3)).to_rfc3339());
    let waiting = app.send(&later).await.message_id();
    app.terminate();
    assert_eq!(app.exited().await.code(), Some(0));
    app.set("SANDBOX_ENABLED", "false");
    app.restart().await;

    let failed = app.ended(&waiting).await;
    let error = "The sandbox is switched off (SANDBOX_ENABLED).";
    assert_eq!((&failed["status"], &failed["error"]), (&json!("failed"), &json!(error)), "{failed}");
    let sent = app.send(&to_sandbox("5585999999999")).await;
    assert_eq!((sent.status, sent.paths()), (422, vec!["/channel".to_owned()]));
    let instance = json!({ "channel": "sandbox", "channelInstanceId": "outra", "channelPhoneOrId": "x" });
    let made = app.post("/api/messaging/instances", &instance).await;
    assert_eq!((made.status, made.paths()), (422, vec!["/channel".to_owned()]));
}
