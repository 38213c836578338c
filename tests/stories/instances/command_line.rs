//! Instances from a terminal.

use serde_json::json;

use crate::support::eventually::{SOON, eventually};
use crate::support::evolution::{FakeEvolution, GLOBAL_KEY};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::process::run;
use crate::support::test_app::TestApp;

stories!(
    on_both_databases:
    an_instance_is_connected_from_a_terminal;
);

async fn an_instance_is_connected_from_a_terminal(installation: Installation) {
    let (app, evolution) = (TestApp::start(installation).await, FakeEvolution::start().await);
    evolution.is_unlicensed(true);
    let created = app
        .post(
            "/api/messaging/instances",
            &json!({"channel": "whatsapp_evolution", "channelInstanceId": "loja", "channelPhoneOrId": "5585988888888",
                    "credentials": {"baseUrl": evolution.base_url, "apiKey": GLOBAL_KEY}}),
        )
        .await;
    assert_eq!(created.status, 201, "{}", created.json());
    evolution.is_unlicensed(false);
    let listed = app.correio(&["instances", "list", "--channel", "whatsapp_evolution"]).await;
    let row = listed.lines().nth(1).unwrap();
    assert!(row.ends_with("Z") && row.contains("\twhatsapp_evolution\tloja\t5585988888888\terror\t"), "{listed}");

    let scan = async {
        eventually(SOON, "a code is asked for", async || evolution.is("loja", "connecting").then_some(())).await;
        evolution.becomes("loja", "open");
    };
    let (shown, ()) = tokio::join!(app.correio(&["instances", "connect", "loja"]), scan);
    assert!(shown.contains('█') && shown.ends_with("loja is connected"), "{shown}");
    let instance = format!("/api/messaging/instances/{}", created.data()["instanceId"].as_str().unwrap());
    eventually(SOON, "the server says so", async || {
        (app.get(&instance).await.data()["status"] == "connected").then_some(())
    })
    .await;
    assert_eq!(app.correio(&["instances", "qr", "loja"]).await, "loja is connected");

    let environment = &app.process.environment;
    let directory = app.installation.directory.path();
    for (arguments, status, said) in [
        (&["instances", "qr", "other"][..], 1, "has no instance other of channel whatsapp_evolution"),
        (&["instances", "qr", "sandbox", "--channel", "sandbox"], 2, "need no connecting"),
    ] {
        let output = run(directory, environment, arguments).await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{text}");
        assert!(text.contains(said), "{text}");
    }
    evolution.becomes("loja", "close");
    let output = run(directory, environment, &["instances", "qr", "loja", "--wait", "1s"]).await;
    assert!(String::from_utf8_lossy(&output.stderr).contains("was not connected within 1s"));
}
