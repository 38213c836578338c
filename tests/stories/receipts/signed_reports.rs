//! What Meta reports of messages, signed, to one instance or to an app that serves several numbers.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::caller::Caller;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::meta::{ACCESS_TOKEN, FakeMeta, change, post_signed, report, signature, status, written};
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    only_the_token_of_an_instance_shakes_hands,
    what_is_not_signed_by_the_secret_is_not_let_in;
    on_both_databases:
    an_apps_reports_go_to_the_numbers_that_they_name_in_every_tenant,
    what_people_write_to_a_number_is_stored_once;
    on_every_installation:
    statuses_move_their_messages_in_whatever_order_they_come;
);

const NUMBER: &str = "106540352242922";
const SECRET: &str = "5e1f0c3a9b7d4e2f8a6c1b3d5e7f9a0b";

fn instance(meta: &FakeMeta, name: &str, number: &str, secret: &str) -> Value {
    json!({
        "channel": "whatsapp_oficial", "channelInstanceId": name, "channelPhoneOrId": number,
        "credentials": {
            "accessToken": ACCESS_TOKEN, "appSecret": secret, "verifyToken": format!("token-of-{name}"),
            "baseUrl": meta.base_url,
        },
    })
}

/// The id of a message that was sent through this instance, and what Meta calls it.
async fn sent(caller: &Caller, name: &str) -> (String, String) {
    let body = json!({
        "channel": "whatsapp_oficial", "channelInstanceId": name, "remoteJid": "5585999999999", "message": "Olá!"
    });
    let message = caller.sent(&body).await;
    let text = |member: &str| message[member].as_str().unwrap().to_owned();
    (text("id"), text("channelMessageId"))
}

async fn becomes(caller: &Caller, id: &str, status: &str) -> Value {
    eventually(SOON, status, async || {
        let message = caller.message(id).await;
        (message["status"] == status).then_some(message)
    })
    .await
}

async fn statuses_move_their_messages_in_whatever_order_they_come(installation: Installation) {
    let (app, meta) = (TestApp::start(installation).await, FakeMeta::start().await);
    app.create_instance(&instance(&meta, "loja centro", NUMBER, SECRET)).await;
    let say = async |statuses: &[Value]| {
        let report = report(&[&[change(NUMBER, statuses)]]);
        assert_eq!(post_signed(&app, "loja%20centro", SECRET, &report).await, 200);
    };

    let (id, name) = sent(&app, "loja centro").await;
    say(&[status(&name, "delivered")]).await;
    becomes(&app, &id, "delivered").await;
    say(&[status(&name, "sent"), status(&name, "delivered"), status(&name, "read"), status(&name, "sent")]).await;
    let read = becomes(&app, &id, "read").await;
    assert!(read["deliveredAt"].is_string() && read["readAt"].is_string() && read["error"].is_null(), "{read}");

    // Several entries, changes and statuses at once; what is of another number is not this one's.
    let (first, second, third) =
        (sent(&app, "loja centro").await, sent(&app, "loja centro").await, sent(&app, "loja centro").await);
    let failed = json!({
        "id": second.1, "status": "failed", "timestamp": "1751142888", "recipient_id": "5585999999999",
        "errors": [{"code": 131_049, "title": "Not delivered.", "message": "Not delivered.",
                    "error_data": {"details": "To maintain a healthy ecosystem engagement."}, "href": "https://x.example"}],
    });
    let batch = report(&[
        &[change(NUMBER, &[status(&first.1, "played")]), change("1", &[status(&third.1, "failed")])],
        &[json!({"field": "account_update", "value": {}}), change(NUMBER, &[failed, status(&third.1, "delivered")])],
    ]);
    for _ in 0..2 {
        assert_eq!(post_signed(&app, "meta", SECRET, &batch).await, 200, "also when it is repeated");
    }
    let read = becomes(&app, &first.0, "read").await;
    assert!(read["deliveredAt"].is_string(), "it was read without a word on its delivery: {read}");
    let failed = becomes(&app, &second.0, "failed").await;
    assert_eq!(
        failed["error"],
        "Meta took the message and refused it later. Meta's error 131049: Not delivered: To maintain a healthy ecosystem \
         engagement. Meta limits marketing: try another day."
    );
    becomes(&app, &third.0, "delivered").await;
    for odd in [json!({}), json!([]), json!({"object": "page", "entry": [{"changes": [{"field": "feed"}]}]})] {
        assert_eq!(post_signed(&app, "loja%20centro", SECRET, &odd).await, 200, "not ours to refuse");
    }
}

async fn an_apps_reports_go_to_the_numbers_that_they_name_in_every_tenant(installation: Installation) {
    let (app, meta) = (TestApp::start(installation).await, FakeMeta::start().await);
    let scopes = ["messages:write", "messages:read", "instances:write", "instances:read"];
    let globex = app.holder_of_a_key("globex", &scopes).await;
    let initech = app.holder_of_a_key("initech", &scopes).await;
    // Two tenants use one number of one app, a third claims it with a secret of its own.
    app.create_instance(&instance(&meta, "loja", "1061", SECRET)).await;
    globex.create_instance(&instance(&meta, "shop", "1061", SECRET)).await;
    globex.create_instance(&instance(&meta, "depot", "1062", SECRET)).await;
    initech.create_instance(&instance(&meta, "loja", "1061", "another-secret")).await;
    let (ours, theirs) = (sent(&app, "loja").await, sent(&globex, "shop").await);
    let (depots, foreign) = (sent(&globex, "depot").await, sent(&initech, "loja").await);

    let statuses = [&ours, &theirs, &foreign].map(|(_, name)| status(name, "delivered"));
    let of_both =
        report(&[&[change("999", &[])], &[change("1061", &statuses)], &[change("1062", &[status(&depots.1, "read")])]]);
    assert_eq!(post_signed(&app, "meta", SECRET, &of_both).await, 200);
    becomes(&app, &ours.0, "delivered").await;
    becomes(&globex, &theirs.0, "delivered").await;
    becomes(&globex, &depots.0, "read").await;
    assert_eq!(initech.message(&foreign.0).await["status"], "sent", "its own secret has not signed this");

    assert_eq!(post_signed(&app, "loja", "another-secret", &of_both).await, 200, "its own route, by its own secret");
    becomes(&initech, &foreign.0, "delivered").await;

    let of_strangers = report(&[&[change("999", &[status(&ours.1, "read")])]]);
    let of_none = report(&[]);
    for unknown in [of_strangers, of_none, json!({})] {
        assert_eq!(post_signed(&app, "meta", SECRET, &unknown).await, 401, "{unknown}");
    }
    let moved = json!({ "channelPhoneOrId": "1063" });
    let instances = globex.get("/api/messaging/instances").await.data();
    let depot =
        instances.as_array().unwrap().iter().find(|it| it["channelInstanceId"] == "depot").unwrap()["id"].clone();
    let path = format!("/api/messaging/instances/{}", depot.as_str().unwrap());
    assert_eq!(globex.patch(&path, &moved).await.status, 200);
    let of_former = report(&[&[change("1062", &[])]]);
    assert_eq!(post_signed(&app, "meta", SECRET, &of_former).await, 401, "it has another number now");
}

async fn what_people_write_to_a_number_is_stored_once(installation: Installation) {
    let (app, meta) = (TestApp::start(installation).await, FakeMeta::start().await);
    app.create_instance(&instance(&meta, "loja", NUMBER, SECRET)).await;
    let (_, sent) = sent(&app, "loja").await;
    let now = chrono::Utc::now().timestamp().to_string();
    let contacts = json!([{"profile": {"name": "José"}, "wa_id": "558599999999", "user_id": "BR.1349"}]);
    let messages = [
        json!({"from": "558599999999", "id": "wamid.A", "timestamp": now, "type": "text", "text": {"body": "Sim!"},
               "context": {"from": "15550783881", "id": sent}}),
        json!({"from": "558599999999", "id": "wamid.B", "timestamp": now, "type": "image",
               "image": {"id": "1234567890", "mime_type": "image/jpeg", "sha256": "…", "caption": "olha"}}),
    ];
    let report = report(&[&[written(NUMBER, contacts, &messages), change(NUMBER, &[status(&sent, "read")])]]);
    for name in ["loja", "meta", "loja"] {
        assert_eq!(post_signed(&app, name, SECRET, &report).await, 200);
    }
    let listed = app.get("/api/messaging/messages?direction=received").await.data();
    let [image, text] = &listed.as_array().unwrap()[..] else { panic!("two messages: {listed}") };
    for (message, name, said) in [(image, "wamid.B", "olha"), (text, "wamid.A", "Sim!")] {
        assert_eq!((&message["channelMessageId"], &message["message"]), (&json!(name), &json!(said)), "{message}");
        assert_eq!((&message["remoteJid"], &message["status"]), (&json!("558599999999"), &json!("delivered")));
    }
    let sender = json!({"address": "558599999999", "alias": "BR.1349", "name": "José"});
    assert_eq!(text["payload"], json!({"type": "text", "sender": sender, "quotedId": sent}));
    let media = json!({"type": "image", "id": "1234567890", "mimetype": "image/jpeg"});
    assert_eq!(image["payload"], json!({"type": "image", "sender": sender, "media": media}));
}

async fn what_is_not_signed_by_the_secret_is_not_let_in(installation: Installation) {
    // Not even where reports without a secret are let in.
    let (app, meta) =
        (TestApp::start_with(installation, &[("PROVIDER_WEBHOOKS_OPEN", "true")]).await, FakeMeta::start().await);
    app.create_instance(&instance(&meta, "loja", NUMBER, SECRET)).await;
    let (id, name) = sent(&app, "loja").await;
    let body = report(&[&[change(NUMBER, &[status(&name, "read")])]]).to_string();
    let good = signature(SECRET, body.as_bytes());
    let tampered = body.replace("read", "sent");
    let post = async |path: &str, signature: Option<&str>, body: &str| {
        let mut request = app.nobody().request(Method::POST, &format!("/api/messaging/webhook/{path}"));
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        app.call(request.body(body.to_owned())).await
    };
    for path in ["loja", "meta"] {
        for (signature, body) in [
            (None, &body),
            (Some(""), &body),
            (Some("sha256="), &body),
            (Some(&good[7..]), &body),
            (Some(signature(ACCESS_TOKEN, body.as_bytes()).as_str()), &body),
            (Some(signature("", body.as_bytes()).as_str()), &body),
            (Some(good.as_str()), &tampered),
        ] {
            let answer = post(path, signature, body).await;
            assert_eq!((answer.status, answer.problem()), (401, "unauthorized".to_owned()), "{path} {signature:?}");
        }
    }
    let unknown = post("nobody", Some(&good), &body).await;
    assert_eq!(unknown.json(), post("loja", Some("sha256="), &body).await.json(), "alike");
    assert_eq!(app.message(&id).await["status"], "sent");
    assert_eq!(post("loja", Some(&good), &body).await.status, 200);
    becomes(&app, &id, "read").await;
}

async fn only_the_token_of_an_instance_shakes_hands(installation: Installation) {
    let (app, meta) = (TestApp::start(installation).await, FakeMeta::start().await);
    let ask = async |path: &str, mode: &str, token: &str| {
        let query = format!("hub.mode={mode}&hub.challenge=1158201444&hub.verify_token={token}");
        app.nobody().get(&format!("/api/messaging/webhook/{path}?{query}")).await
    };
    assert_eq!(ask("meta", "subscribe", "token-of-loja").await.status, 403);
    app.create_instance(&instance(&meta, "loja", NUMBER, SECRET)).await;
    app.create_instance(&instance(&meta, "depot", "1062", SECRET)).await;
    let good =
        [("loja", "token-of-loja"), ("depot", "token-of-depot"), ("meta", "token-of-loja"), ("meta", "token-of-depot")];
    for (path, token) in good {
        let answer = ask(path, "subscribe", token).await;
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"1158201444".as_slice()), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/plain"));
    }
    for (path, mode, token) in [
        ("loja", "subscribe", "token-of-depot"),
        ("loja", "subscribe", ""),
        ("loja", "unsubscribe", "token-of-loja"),
        ("meta", "subscribe", SECRET),
        ("meta", "", "token-of-loja"),
        ("nobody", "subscribe", "token-of-loja"),
        ("sandbox", "subscribe", ""),
    ] {
        let answer = ask(path, mode, token).await;
        assert_eq!((answer.status, answer.problem()), (403, "forbidden".to_owned()), "{path} {mode} {token}");
    }
    assert_eq!(app.nobody().get("/api/messaging/webhook/loja").await.status, 403);
    // Each was opened once, and is found by its token from then on.
    let noted = "select count(*) from messaging_instances where handshake_digest is not null";
    assert_eq!(app.sql_number(noted).await, 2);
    let listed = app.get("/api/messaging/instances?channel=whatsapp_oficial").await.data();
    let loja = listed.as_array().unwrap().iter().find(|one| one["channelInstanceId"] == "loja").unwrap();
    let mut credentials = instance(&meta, "loja", NUMBER, SECRET)["credentials"].clone();
    credentials["verifyToken"] = json!("another-token");
    let path = format!("/api/messaging/instances/{}", loja["id"].as_str().unwrap());
    assert_eq!(app.patch(&path, &json!({ "credentials": credentials })).await.status, 200);
    for (token, status) in [("token-of-loja", 403), ("another-token", 200)] {
        for path in ["loja", "meta"] {
            assert_eq!(ask(path, "subscribe", token).await.status, status, "{path} {token}");
        }
    }
}
