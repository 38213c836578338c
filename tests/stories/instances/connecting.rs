//! A WhatsApp instance from its code to what became of its messages.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::caller::Caller;
use crate::support::eventually::{SOON, eventually};
use crate::support::evolution::{FakeEvolution, GLOBAL_KEY, IMAGE};
use crate::support::free_port::free_port;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_provider_that_fails_does_not_keep_an_instance_from_being_made,
    a_subscription_that_is_shown_back_shows_no_secret,
    other_credentials_are_told_to_the_provider,
    a_refused_report_names_no_way_to_authenticate,
    a_secret_that_cannot_be_opened_is_replaced;
    on_both_databases:
    a_secret_is_renewed_and_the_former_one_is_taken_for_a_while,
    which_of_several_instances_is_meant_is_not_guessed;
    on_every_installation:
    an_instance_is_connected_by_its_code_and_its_receipts_move_its_messages,
    a_message_whose_answer_was_lost_is_found_by_its_receipt,
    what_an_instance_that_is_off_has_to_send_waits_for_it,
    a_phone_is_called_once_at_a_time_and_a_business_account_is_not;
    in_kafka_mode:
    what_waits_at_a_worker_is_sent_when_another_process_hears_of_the_connection;
);

const INSTANCES: &str = "/api/messaging/instance";

fn whatsapp(base_url: &str) -> Value {
    json!({
        "channel": "whatsapp_evolution", "channelInstanceId": "loja centro", "channelPhoneOrId": "5585988888888",
        "credentials": { "url": base_url, "apiToken": GLOBAL_KEY },
    })
}

fn text() -> Value {
    json!({ "channel": "whatsapp_evolution", "channelInstanceId": "loja centro", "remoteJid": "5585999999999", "message": "Olá!" })
}

/// The program, reachable by its provider.
async fn start(installation: Installation, more: &[(&str, &str)]) -> TestApp {
    let port = free_port().to_string();
    let public_url = format!("http://127.0.0.1:{port}/");
    let mut settings = vec![("PORT", port.as_str()), ("PUBLIC_URL", public_url.as_str())];
    settings.extend(more);
    TestApp::start_with(installation, &settings).await
}

/// Its id.
async fn connected(app: &TestApp, evolution: &FakeEvolution) -> String {
    let created = app.post(INSTANCES, &whatsapp(&evolution.base_url)).await;
    assert_eq!(created.status, 201, "{}", created.json());
    evolution.becomes("loja centro", "open");
    assert_eq!(
        evolution.report("loja centro", "connection.update", json!({"state": "open", "statusReason": 200})).await,
        200
    );
    created.data()["instanceId"].as_str().unwrap().to_owned()
}

async fn becomes(caller: &Caller, id: &str, status: &str) -> Value {
    eventually(SOON, status, async || {
        let message = caller.message(id).await;
        (message["status"] == status).then_some(message)
    })
    .await
}

fn receipt(id: &str, status: &str) -> Value {
    json!({"keyId": id, "remoteJid": "123@lid", "fromMe": true, "status": status, "instanceId": "uuid"})
}

async fn an_instance_is_connected_by_its_code_and_its_receipts_move_its_messages(installation: Installation) {
    let (app, evolution) = (start(installation, &[]).await, FakeEvolution::start().await);
    let created = app.post(INSTANCES, &whatsapp(&evolution.base_url)).await;
    let data = created.data();
    assert_eq!(
        (created.status, &data["status"], &data["qrCode"]),
        (201, &json!("connecting"), &json!(IMAGE)),
        "{data}"
    );
    assert_eq!(data["message"], "Instância criada. Escaneie o QR Code no WhatsApp.");
    let webhook = evolution.webhook("loja centro").expect("a webhook");
    let url = format!("http://{}/api/messaging/webhook/loja%20centro", app.address());
    assert_eq!((&webhook["url"], &webhook["byEvents"]), (&json!(url), &json!(false)));

    let code = format!("{INSTANCES}/{}/qrcode", data["instanceId"].as_str().unwrap());
    let shown = app.get(&code).await;
    assert_eq!((shown.status, &shown.data()["qrCode"]), (200, &json!(IMAGE)));
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    let drawn = app.call(app.request(Method::GET, &code).header("accept", "text/plain")).await;
    assert!(String::from_utf8(drawn.body).unwrap().contains('█'));

    evolution.becomes("loja centro", "open");
    for _ in 0..3 {
        evolution.report("loja centro", "connection.update", json!({"state": "open", "statusReason": 200})).await;
    }
    let shown = app.get(&code).await.data();
    assert_eq!((&shown["status"], &shown["message"]), (&json!("connected"), &json!("Instância já está conectada")));
    let again = app.post(INSTANCES, &whatsapp(&evolution.base_url)).await;
    assert_eq!((again.status, &again.data()["instanceId"]), (200, &data["instanceId"]));
    assert_eq!(again.data()["message"], "✅ Instância já está conectada!");

    let message = app.sent(&text()).await;
    let (id, name) = (message["id"].as_str().unwrap(), message["channelMessageId"].as_str().unwrap());
    for (status, becomes_so) in [("DELIVERY_ACK", "delivered"), ("READ", "read"), ("DELIVERY_ACK", "read")] {
        assert_eq!(evolution.report("loja centro", "messages.update", receipt(name, status)).await, 200);
        becomes(&app, id, becomes_so).await;
    }
    let read = app.message(id).await;
    assert!(read["deliveredAt"].is_string() && read["readAt"].is_string(), "{read}");
    assert_eq!(evolution.report("loja centro", "presence.update", json!({})).await, 200, "not ours to refuse");

    let path = "/api/messaging/webhook/loja%20centro";
    for (name, secret) in [(path, "wrong"), ("/api/messaging/webhook/other", "x")] {
        let request = app.nobody().request(Method::POST, name).header("x-correio-secret", secret);
        assert_eq!(app.call(request.json(&json!({"event": "x"}))).await.status, 401);
    }
    assert_eq!(app.nobody().post(path, &json!({"event": "x"})).await.status, 401);
    let secret = webhook["headers"]["x-correio-secret"].as_str().unwrap();
    assert_eq!(app.nobody().post(&format!("{path}/{secret}"), &json!({"event": "x"})).await.status, 200);

    let instance = format!("{INSTANCES}/{}", data["instanceId"].as_str().unwrap());
    let out = app.post(&format!("{instance}/logout"), &json!({})).await.data();
    assert_eq!(out["status"], "disconnected");
    assert_eq!(app.post(&format!("{instance}/restart"), &json!({})).await.data()["qrCode"], IMAGE);
    let id = data["instanceId"].as_str().unwrap();
    assert_eq!(app.delete(&format!("/api/messaging/instances/{id}?atProvider=true")).await.status, 204);
    assert!(!evolution.has("loja centro"));
}

async fn a_provider_that_fails_does_not_keep_an_instance_from_being_made(installation: Installation) {
    let (app, evolution) = (TestApp::start(installation).await, FakeEvolution::start().await);
    evolution.is_unlicensed(true);
    let created = app.post(INSTANCES, &whatsapp(&evolution.base_url)).await;
    let data = created.data();
    assert_eq!((created.status, &data["status"]), (201, &json!("error")), "{data}");
    assert!(data["message"].as_str().unwrap().contains("HTTP 503"), "{data}");
    assert!(!data.to_string().contains(GLOBAL_KEY));
    evolution.is_unlicensed(false);
    let again = app.post(INSTANCES, &whatsapp(&evolution.base_url)).await.data();
    assert_eq!((&again["status"], &again["qrCode"]), (&json!("connecting"), &json!(IMAGE)));
    assert!(again["message"].as_str().unwrap().contains("PUBLIC_URL"), "nothing is reported: {again}");
    let other = json!({"channelPhoneOrId": "5585977777777"});
    let mut changed = whatsapp(&evolution.base_url);
    changed["channelPhoneOrId"] = other["channelPhoneOrId"].clone();
    assert_eq!(app.post(INSTANCES, &changed).await.status, 409);
}

async fn a_message_whose_answer_was_lost_is_found_by_its_receipt(installation: Installation) {
    let (app, evolution) = (start(installation, &[]).await, FakeEvolution::start().await);
    connected(&app, &evolution).await;
    evolution.loses_answers(true);
    let id = app.send(&text()).await.message_id();
    let failed = app.ended(&id).await;
    assert_eq!((&failed["status"], &failed["retries"]), (&json!("failed"), &json!(1)), "{failed}");
    assert!(failed["error"].as_str().unwrap().ends_with("It may have been delivered."), "{failed}");
    let sent = evolution.sent("loja centro");
    assert_eq!(sent.len(), 1, "not a second time");
    evolution
        .report("loja centro", "messages.update", receipt(sent[0]["messageId"].as_str().unwrap(), "DELIVERY_ACK"))
        .await;
    let delivered = becomes(&app, &id, "delivered").await;
    assert_eq!(delivered["error"], json!(null));
    assert!(delivered["sentAt"].is_string());
}

async fn what_an_instance_that_is_off_has_to_send_waits_for_it(installation: Installation) {
    let (app, evolution) = (start(installation, &[]).await, FakeEvolution::start().await);
    connected(&app, &evolution).await;
    evolution.becomes("loja centro", "close");
    let answer = app.send(&text()).await;
    if app.waits() {
        assert_eq!((answer.status, answer.problem()), (502, "channel-failed".to_owned()));
        return;
    }
    let id = answer.message_id();
    eventually(SOON, "it is put off, with a reason", async || {
        let message = app.message(&id).await;
        let is_put_off = message["status"] == "queued" && message["nextAttemptAt"].is_string();
        is_put_off.then(|| assert!(message["error"].as_str().unwrap().contains("Connection Closed"), "{message}"))
    })
    .await;
    let more = app.send(&text()).await.message_id();
    eventually(SOON, "so is the next", async || (app.message(&more).await["nextAttemptAt"].is_string()).then_some(()))
        .await;
    // As after a night without a connection.
    wait_for_long(&app).await;
    evolution.becomes("loja centro", "open");
    evolution.report("loja centro", "connection.update", json!({"state": "open", "statusReason": 200})).await;
    for id in [id, more] {
        let sent = becomes(&app, &id, "sent").await;
        assert_eq!(sent["retries"], 1, "no try was spent: {sent}");
    }
    let id = app.send(&text()).await.message_id();
    becomes(&app, &id, "sent").await;
}

/// What was put off waits for years.
async fn wait_for_long(app: &TestApp) {
    app.sql(
        "update messaging_messages set next_attempt_at = '2099-01-01T00:00:00.000Z' where deferrals > 0 and status = 'queued' \
         returning id",
    )
    .await;
}

/// The process that hears that the instance is connected is not the one through which its messages go.
async fn what_waits_at_a_worker_is_sent_when_another_process_hears_of_the_connection(installation: Installation) {
    if installation.is_sqlite() {
        return;
    }
    let port = free_port().to_string();
    let public_url = format!("http://127.0.0.1:{port}");
    let settings = [("PORT", port.as_str()), ("PUBLIC_URL", public_url.as_str())];
    let (app, evolution) = (TestApp::start_api(installation, &settings).await, FakeEvolution::start().await);
    let _worker = app.another("worker").await;
    connected(&app, &evolution).await;
    evolution.becomes("loja centro", "close");
    let id = app.send(&text()).await.message_id();
    eventually(SOON, "it is put off", async || (app.message(&id).await["nextAttemptAt"].is_string()).then_some(()))
        .await;
    wait_for_long(&app).await;
    evolution.becomes("loja centro", "open");
    let report = async |state: &str| {
        let update = json!({"state": state, "statusReason": 200});
        assert_eq!(evolution.report("loja centro", "connection.update", update).await, 200);
    };
    report("close").await;
    report("open").await;
    assert_eq!(becomes(&app, &id, "sent").await["retries"], 1, "no try was spent");
}

async fn a_phone_is_called_once_at_a_time_and_a_business_account_is_not(installation: Installation) {
    let (app, evolution) = (start(installation, &[]).await, FakeEvolution::start().await);
    evolution.takes(Duration::from_millis(60));
    let shops = [("phone", "WHATSAPP-BAILEYS"), ("business", "WHATSAPP-BUSINESS")];
    for (shop, integration) in shops {
        evolution.has_made(shop, integration, "open");
        let mut instance = whatsapp(&evolution.base_url);
        instance["channelInstanceId"] = json!(shop);
        let created = app.post(INSTANCES, &instance).await;
        assert_eq!((created.status, &created.data()["status"]), (201, &json!("connected")), "{}", created.json());
        let sending = (0..8).map(|number| {
            let mut body = text();
            body["channelInstanceId"] = json!(shop);
            body["remoteJid"] = json!(format!("55859999999{number:02}"));
            let app = &app;
            async move { app.accepted(&app.send(&body).await) }
        });
        for id in futures::future::join_all(sending).await {
            becomes(&app, &id, "sent").await;
        }
        assert_eq!(evolution.sent(shop).len(), 8);
    }
    assert_eq!(evolution.most_sending("phone"), 1);
    assert!(evolution.most_sending("business") > 1);
}

async fn other_credentials_are_told_to_the_provider(installation: Installation) {
    let (app, evolution) = (start(installation, &[]).await, FakeEvolution::start().await);
    let id = connected(&app, &evolution).await;
    let moved = FakeEvolution::start().await;
    moved.has_made("loja centro", "WHATSAPP-BAILEYS", "open");
    let path = format!("/api/messaging/instances/{id}");
    let changed = app.patch(&path, &json!({"name": "Loja"})).await;
    assert_eq!(changed.status, 200);
    assert!(moved.webhook("loja centro").is_none(), "nothing was changed that the provider would have to know");

    let credentials = json!({"credentials": {"url": moved.base_url, "apiToken": GLOBAL_KEY}});
    let changed = app.patch(&path, &credentials).await;
    assert_eq!((changed.status, &changed.data()["status"]), (200, &json!("connected")), "{}", changed.json());
    assert_eq!(
        moved.report("loja centro", "connection.update", json!({"state": "close", "statusReason": 401})).await,
        200
    );
    eventually(SOON, "it is disconnected", async || {
        (app.get(&path).await.data()["status"] == "disconnected").then_some(())
    })
    .await;

    let nowhere = json!({"credentials": {"url": "http://127.0.0.1:9", "apiToken": GLOBAL_KEY}});
    let changed = app.patch(&path, &nowhere).await;
    let said = changed.data()["message"].as_str().unwrap().to_owned();
    assert!(changed.status == 200 && said.contains("Evolution API"), "{said}");
}

async fn a_subscription_that_is_shown_back_shows_no_secret(installation: Installation) {
    let (app, evolution) = (start(installation, &[]).await, FakeEvolution::start().await);
    evolution.shows_subscriptions(true);
    let created = app.post(INSTANCES, &whatsapp(&evolution.base_url)).await;
    assert_eq!(created.status, 201, "{}", created.json());
    let said = created.data()["message"].as_str().unwrap().to_owned();
    assert!(said.contains("could not be subscribed to") && said.contains("***"), "{said}");

    evolution.shows_subscriptions(false);
    app.post(INSTANCES, &whatsapp(&evolution.base_url)).await;
    let webhook = evolution.webhook("loja centro").expect("a webhook");
    let secret = webhook["headers"].as_object().and_then(|headers| headers.values().next()).unwrap().as_str().unwrap();
    assert!(secret.len() > 20 && !said.contains(&secret[..8]), "{said}");
}

fn secret_of(evolution: &FakeEvolution) -> String {
    evolution.webhook("loja centro").expect("a webhook")["headers"]["x-correio-secret"].as_str().unwrap().to_owned()
}

async fn reports_with(app: &TestApp, secret: &str) -> u16 {
    let request = app.nobody().request(Method::POST, "/api/messaging/webhook/loja%20centro");
    app.call(request.header("x-correio-secret", secret).json(&json!({"event": "x"}))).await.status
}

async fn a_refused_report_names_no_way_to_authenticate(installation: Installation) {
    let (app, evolution) = (start(installation, &[]).await, FakeEvolution::start().await);
    connected(&app, &evolution).await;
    let refused = app.nobody().post("/api/messaging/webhook/loja%20centro/wrong", &json!({"event": "x"})).await;
    assert_eq!((refused.status, refused.problem()), (401, "unauthorized".to_owned()));
    assert_eq!((refused.header("cache-control"), refused.header("www-authenticate")), (Some("no-store"), None));
    // Where a provider appends the event to its path, the header counts.
    let request = app.nobody().request(Method::POST, "/api/messaging/webhook/loja%20centro/messages-update");
    let request = request.header("x-correio-secret", secret_of(&evolution)).json(&json!({"event": "x"}));
    assert_eq!(app.call(request).await.status, 200);
}

async fn a_secret_that_cannot_be_opened_is_replaced(installation: Installation) {
    let (mut app, evolution) = (start(installation, &[]).await, FakeEvolution::start().await);
    connected(&app, &evolution).await;
    let former = secret_of(&evolution);
    app.kill9();
    app.sql("update messaging_instances set event_secret = x'00' returning id").await;
    app.restart().await;
    assert_eq!(reports_with(&app, &former).await, 200, "it is still known by its digest");
    let again = app.post(INSTANCES, &whatsapp(&evolution.base_url)).await;
    assert_eq!(again.status, 200, "{}", again.json());
    let new = secret_of(&evolution);
    assert!(new != former);
    assert_eq!([reports_with(&app, &new).await, reports_with(&app, &former).await], [200, 200]);
    assert!(app.log().iter().any(|line| line.contains("cannot be opened: its provider gets a new one")));
}

async fn a_secret_is_renewed_and_the_former_one_is_taken_for_a_while(installation: Installation) {
    let (app, evolution) = (start(installation, &[("SECRET_OVERLAP", "3s")]).await, FakeEvolution::start().await);
    let id = connected(&app, &evolution).await;
    let former = secret_of(&evolution);
    let path = format!("/api/messaging/instances/{id}");
    let renewed = app.patch(&path, &json!({"renewEventSecret": true})).await;
    assert_eq!(renewed.status, 200, "{}", renewed.json());
    let new = secret_of(&evolution);
    assert!(new != former && !renewed.json().to_string().contains(&new));
    assert_eq!([reports_with(&app, &new).await, reports_with(&app, &former).await], [200, 200]);
    eventually(SOON, "the former one is refused", async || (reports_with(&app, &former).await == 401).then_some(()))
        .await;
    assert_eq!(reports_with(&app, &new).await, 200);
    let refused = app.patch(&path, &json!({"renewEventSecret": null})).await;
    assert_eq!((refused.status, refused.paths()), (422, vec!["/renewEventSecret".to_owned()]));
}

async fn which_of_several_instances_is_meant_is_not_guessed(installation: Installation) {
    let settings = [("PROVIDER_WEBHOOKS_OPEN", "true"), ("CHANNELS_BLOCK_PRIVATE", "false")];
    let (app, evolution) = (start(installation, &settings).await, FakeEvolution::start().await);
    connected(&app, &evolution).await;
    let first = secret_of(&evolution);
    let without_secret =
        async || app.nobody().post("/api/messaging/webhook/loja%20centro", &json!({"event": "x"})).await.status;
    assert_eq!(without_secret().await, 200, "there is one of this name");
    let globex = app.holder_of_a_key("globex", &["instances:write"]).await;
    let created = globex.post(INSTANCES, &whatsapp(&evolution.base_url)).await;
    assert_eq!(created.status, 201, "{}", created.json());
    eventually(SOON, "it would be a guess", async || (without_secret().await == 401).then_some(())).await;
    assert_eq!(without_secret().await, 401);
    let said = || app.log().iter().filter(|line| line.contains("several instances have this name")).count();
    eventually(SOON, "the log says so", async || (said() > 0).then_some(())).await;
    assert_eq!(said(), 1);
    let second = secret_of(&evolution);
    assert!(first != second);
    assert_eq!([reports_with(&app, &first).await, reports_with(&app, &second).await], [200, 200]);
}
