//! Messages that their channel took, and of which it says nothing more.

use serde_json::{Value, json};

use crate::support::caller::Caller;
use crate::support::eventually::{SOON, eventually};
use crate::support::installation::Installation;
use crate::support::meta::{ACCESS_TOKEN, FakeMeta, change, post_signed, report, status};
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    what_is_asked_for_in_vain_is_empty_or_refused;
    on_both_databases:
    what_is_sent_and_never_delivered_is_shown_until_a_receipt_comes;
);

const NUMBER: &str = "106540352242922";
const SECRET: &str = "5e1f0c3a9b7d4e2f8a6c1b3d5e7f9a0b";
const STUCK: &str = "/api/messaging/messages?stuck=true";

fn meta_instance(meta: &FakeMeta, name: &str) -> Value {
    json!({
        "channel": "whatsapp_oficial", "channelInstanceId": name, "channelPhoneOrId": NUMBER,
        "credentials": {
            "accessToken": ACCESS_TOKEN, "appSecret": SECRET, "verifyToken": "token", "baseUrl": meta.base_url,
        },
    })
}

fn text(name: &str) -> Value {
    json!({
        "channel": "whatsapp_oficial", "channelInstanceId": name, "remoteJid": "5585999999999", "message": "Olá!"
    })
}

fn ids(listed: &Value) -> Vec<&str> {
    listed.as_array().unwrap().iter().map(|message| message["id"].as_str().unwrap()).collect()
}

/// The instance, once so many of its messages are stuck.
async fn has_stuck(caller: &Caller, path: &str, count: u64) -> Value {
    eventually(SOON, "the count", async || {
        Some(caller.get(path).await.data()).filter(|instance| instance["stuck"] == count)
    })
    .await
}

async fn what_is_sent_and_never_delivered_is_shown_until_a_receipt_comes(installation: Installation) {
    let (app, meta) =
        (TestApp::start_with(installation, &[("STUCK_AFTER", "whatsapp_oficial=1s")]).await, FakeMeta::start().await);
    let created = app.post("/api/messaging/instances", &meta_instance(&meta, "loja")).await;
    assert_eq!((created.status, &created.data()["stuck"]), (201, &json!(0)), "{}", created.json());
    let path = format!("/api/messaging/instances/{}", created.data()["instanceId"].as_str().unwrap());
    let say = async |message: &Value, said: &str| {
        let name = message["channelMessageId"].as_str().unwrap();
        let report = report(&[&[change(NUMBER, &[status(name, said)])]]);
        assert_eq!(post_signed(&app, "loja", SECRET, &report).await, 200);
    };
    let (first, second) = (app.sent(&text("loja")).await, app.sent(&text("loja")).await);
    // What a sandbox takes is delivered: there is no receipt to come.
    app.sent(&json!({"channel": "sandbox", "channelInstanceId": "sandbox", "remoteJid": "x", "message": "x"})).await;

    let instance = has_stuck(&app, &path, 2).await;
    let since = format!("none since {}", first["sentAt"].as_str().unwrap());
    assert_eq!(instance["receipts"], since);
    let health = eventually(SOON, "its health", async || {
        Some(app.nobody().get("/health").await.json()).filter(|health| health["stuck"] == 2)
    })
    .await;
    assert_eq!(health["status"], "healthy", "{health}");
    let both = [second["id"].as_str().unwrap(), first["id"].as_str().unwrap()];
    let listed = app.get(STUCK).await.data();
    assert_eq!(ids(&listed), both);
    assert_eq!(listed[0]["status"], "sent");
    for narrowed in ["&channel=whatsapp_oficial", "&channelInstanceId=loja", "&status=sent&remoteJid=5585999999999"] {
        assert_eq!(ids(&app.get(&format!("{STUCK}{narrowed}")).await.data()), both, "{narrowed}");
        let counts = app.get(&format!("{}{narrowed}", STUCK.replace("messages?", "messages/stats?"))).await.data();
        assert_eq!((&counts["sent"], &counts["total"]), (&json!(2), &json!(2)), "{narrowed}");
    }
    let of_all = app.get("/api/messaging/instances").await.data();
    let stuck: Vec<_> = of_all.as_array().unwrap().iter().map(|one| (&one["channel"], &one["stuck"])).collect();
    assert_eq!(stuck, [(&json!("sandbox"), &json!(0)), (&json!("whatsapp_oficial"), &json!(2))]);
    assert!(of_all[0].get("receipts").is_none());
    assert_eq!(app.sql_number("select count(*) from messaging_stuck where channel_instance_id = 'loja'").await, 2);
    let other = app.holder_of_a_key("globex", &["messages:read"]).await;
    assert_eq!(ids(&other.get(STUCK).await.data()), Vec::<&str>::new());

    say(&first, "delivered").await;
    let instance = has_stuck(&app, &path, 1).await;
    assert!(instance.get("receipts").is_none(), "one came: {instance}");
    assert_eq!(ids(&app.get(STUCK).await.data()), [second["id"].as_str().unwrap()]);
    let third = app.sent(&text("loja")).await;
    let instance = has_stuck(&app, &path, 2).await;
    assert_eq!(instance["receipts"], format!("none since {}", third["sentAt"].as_str().unwrap()));
    say(&second, "read").await;
    say(&third, "failed").await;
    assert!(has_stuck(&app, &path, 0).await.get("receipts").is_none());
    assert_eq!(ids(&app.get(STUCK).await.data()), Vec::<&str>::new());
    assert_eq!(app.sql_number("select count(*) from messaging_stuck").await, 0);
}

async fn what_is_asked_for_in_vain_is_empty_or_refused(installation: Installation) {
    let app = TestApp::start_with(installation, &[("STUCK_AFTER", "0s")]).await;
    let sandbox = json!({"channel": "sandbox", "channelInstanceId": "sandbox", "remoteJid": "x", "message": "x"});
    let id = app.sent(&sandbox).await["id"].as_str().unwrap().to_owned();
    for none in ["", "&status=delivered", "&direction=received", "&channel=sandbox", "&channel=whatsapp_oficial"] {
        let listed = app.get(&format!("{STUCK}{none}")).await;
        assert_eq!((listed.status, listed.data()), (200, json!([])), "{none}");
        assert_eq!(listed.json()["nextCursor"], json!(null));
        let counted = app.get(&format!("/api/messaging/messages/stats?stuck=true{none}")).await.data();
        assert_eq!(counted["total"], 0, "{none}");
    }
    assert_eq!(ids(&app.get("/api/messaging/messages?stuck=false").await.data()), [id]);
    for (query, path) in [("stuck=perhaps", "/stuck"), ("stuck=true&channel=fax", "/channel"), ("stuck=", "/stuck")] {
        let refused = app.get(&format!("/api/messaging/messages?{query}")).await;
        assert_eq!((refused.status, &refused.json()["errors"][0]["path"]), (422, &json!(path)), "{query}");
    }
}
