//! Where tenants' URLs may lead.

use serde_json::{Value, json};

use crate::support::caller::Caller;
use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::{Answer, HttpReceiver};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    an_instance_of_another_tenants_token_is_a_second_tenant,
    an_operator_permits_what_his_tenants_share;
    on_both_databases:
    with_a_second_tenant_only_public_addresses_are_called;
    on_every_queue:
    a_message_to_what_is_not_public_says_so_and_no_more;
    in_kafka_mode:
    what_a_second_tenant_holds_up_is_sent_when_its_operator_permits_it;
);

const INSTANCES: &str = "/api/messaging/instances";
const UNSET: (&str, &str) = ("CHANNELS_BLOCK_PRIVATE", "");

fn hook(url: &str) -> Value {
    json!({ "channel": "webhook", "channelInstanceId": "hook", "channelPhoneOrId": url })
}

fn evolution(base: &str) -> Value {
    let credentials = json!({ "baseUrl": base, "apiKey": "a-key" });
    json!({ "channel": "whatsapp_evolution", "channelInstanceId": "loja", "channelPhoneOrId": "5585900000000", "credentials": credentials })
}

/// Its line comes through a thread and a pipe of its own.
async fn hears_of_several(app: &TestApp) {
    eventually(SOON, "the log says that there are several", async || says_several(app).then_some(())).await;
}

fn message(channel: &str, instance: &str) -> Value {
    json!({ "channel": channel, "channelInstanceId": instance, "remoteJid": "5511999999999", "message": "Olá" })
}

fn says_several(app: &TestApp) -> bool {
    app.log().iter().any(|line| line.contains("several tenants") && line.contains("CHANNELS_ALLOW"))
}

async fn refused_paths(caller: &Caller, instance: &Value) -> Vec<String> {
    let answer = caller.post(INSTANCES, instance).await;
    assert_eq!((answer.status, answer.problem().as_str()), (422, "invalid-field"), "{}", answer.json());
    answer.paths()
}

async fn with_a_second_tenant_only_public_addresses_are_called(installation: Installation) {
    let receiver = HttpReceiver::start().await;
    let mut app = TestApp::start_with(installation, &[UNSET]).await;
    app.create_instance(&hook(&receiver.url("/hook"))).await;
    assert_eq!(app.send(&message("webhook", "hook")).await.status, 200, "alone, any address is called");
    assert!(!says_several(&app));

    // Made by another process: this one looks.
    app.correio(&["keys", "create", "--tenant", "acme", "--name", "first"]).await;
    hears_of_several(&app).await;
    let refused = app.send(&message("webhook", "hook")).await;
    assert_eq!((refused.status, receiver.how_many()), (502, 1), "{}", refused.json());
    assert_eq!(refused_paths(&app, &hook("http://169.254.169.254/latest")).await, ["/channelPhoneOrId"]);
    assert_eq!(refused_paths(&app, &evolution("http://[::1]:8080")).await, ["/credentials/baseUrl"]);

    app.terminate();
    app.exited().await;
    app.restart().await;
    // A start says it, too.
    hears_of_several(&app).await;
    app.set("CHANNELS_BLOCK_PRIVATE", "false");
    app.terminate();
    app.exited().await;
    app.restart().await;
    assert!(!says_several(&app));
    assert_eq!(app.send(&message("webhook", "hook")).await.status, 200, "the operator has the last word");
}

async fn an_instance_of_another_tenants_token_is_a_second_tenant(installation: Installation) {
    let receiver = HttpReceiver::start().await;
    let app = TestApp::start_with(installation, &[UNSET]).await;
    app.create_instance(&hook(&receiver.url("/hook"))).await;
    let token = app.correio(&["token", "--tenant", "acme", "--sub", "ana"]).await;
    assert!(!says_several(&app));
    let acme = app.caller().with_token(&token);
    assert_eq!(acme.get(INSTANCES).await.status, 200);
    assert!(!says_several(&app), "a look changes nothing: no other process would know of it");
    assert_eq!(refused_paths(&acme, &hook(&receiver.url("/hook"))).await, ["/channelPhoneOrId"]);
    hears_of_several(&app).await;
    let named = hook(&format!("http://localhost:{}/hook", receiver.port()));
    assert_eq!(acme.post(INSTANCES, &named).await.status, 201, "names are looked up when they are called");
    assert_eq!(acme.send(&message("webhook", "hook")).await.status, 502);
    assert_eq!(app.send(&message("webhook", "hook")).await.status, 502, "and so for all");
    assert_eq!(receiver.how_many(), 0);
}

async fn what_a_second_tenant_holds_up_is_sent_when_its_operator_permits_it(installation: Installation) {
    let receiver = HttpReceiver::start().await;
    let mut app = TestApp::start_with(installation, &[UNSET]).await;
    app.create_instance(&hook(&receiver.url("/hook"))).await;
    app.correio(&["keys", "create", "--tenant", "acme", "--name", "first"]).await;
    hears_of_several(&app).await;
    let id = app.send(&message("webhook", "hook")).await.message_id();
    let reason = async || app.sql_message(&id).await["error"].as_str().map(str::to_owned);
    let reason = eventually(SOON, "it is put off", reason).await;
    assert!(reason.contains("CHANNELS_BLOCK_PRIVATE"), "{reason}");
    assert_ne!(app.sql_status(&id).await, "failed");

    app.set("CHANNELS_BLOCK_PRIVATE", "false");
    app.terminate();
    app.exited().await;
    app.restart().await;
    assert_eq!(app.ended(&id).await["status"], "sent");
    assert_eq!(receiver.how_many(), 1);
}

async fn an_operator_permits_what_his_tenants_share(installation: Installation) {
    let receiver = HttpReceiver::start().await;
    let settings = [("CHANNELS_BLOCK_PRIVATE", "true"), ("CHANNELS_ALLOW", "localhost")];
    let app = TestApp::start_with(installation, &settings).await;
    assert_eq!(refused_paths(&app, &hook(&receiver.url("/hook"))).await, ["/channelPhoneOrId"]);
    app.create_instance(&hook(&format!("http://localhost:{}/hook", receiver.port()))).await;
    assert_eq!(app.send(&message("webhook", "hook")).await.status, 200);
}

async fn a_message_to_what_is_not_public_says_so_and_no_more(installation: Installation) {
    let receiver = HttpReceiver::start().await;
    receiver.always(Answer::new(500, "the inner answer"));
    let app =
        TestApp::start_with(installation, &[("CHANNELS_BLOCK_PRIVATE", ""), ("WEBHOOK_BLOCK_PRIVATE", "true")]).await;
    let base = format!("http://localhost:{}", receiver.port());
    app.create_instance(&hook(&format!("{base}/hook"))).await;
    app.create_instance(&evolution(&base)).await;
    for sent in [message("webhook", "hook"), message("whatsapp_evolution", "loja")] {
        let answer = app.send(&sent).await;
        let row = app.ended(&answer.message_id()).await;
        let error = row["error"].as_str().unwrap();
        assert!(error.contains("CHANNELS_BLOCK_PRIVATE") && !error.contains("inner"), "{error}");
        assert_eq!(row["status"], "failed");
    }
    assert_eq!(receiver.how_many(), 0);
}
