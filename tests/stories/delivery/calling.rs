//! What keeps this machine, or what stands before it, from calling out: not the receiver's word.

use serde_json::{Value, json};

use crate::support::eventually::{SOON, eventually};
use crate::support::http_receiver::{Answer, HttpReceiver};
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::process::{Process, after};
use crate::support::test_app::{BOOTSTRAP_KEY, TestApp};
use crate::support::tls_server::{self, AUTHORITY_ITSELF, EXPIRED, NO_AUTHORITY, OTHER_AUTHORITY};

stories!(
    on_one_installation:
    what_a_proxy_refuses_is_said_of_the_proxy,
    a_process_without_a_file_to_open_blames_itself,
    what_is_wrong_between_two_certificates_is_said,
    the_limit_of_open_files_is_raised_as_far_as_it_goes;
    in_kafka_mode:
    what_an_unknown_authority_holds_up_costs_no_try;
);

fn hook(id: &str, url: &str) -> Value {
    json!({ "channel": "webhook", "channelInstanceId": id, "channelPhoneOrId": url })
}

fn message(hook: &str) -> Value {
    json!({ "channel": "webhook", "channelInstanceId": hook, "remoteJid": "pedido-1", "message": "Olá" })
}

async fn told(app: &TestApp, hook: &str) -> String {
    app.send(&message(hook)).await.json().to_string()
}

async fn what_a_proxy_refuses_is_said_of_the_proxy(installation: Installation) {
    let proxy = HttpReceiver::start().await;
    let address = format!("127.0.0.1:{}", proxy.port());
    let variable = format!("http://me:hush@{address}");
    let settings = [
        ("http_proxy", variable.as_str()),
        ("HTTPS_PROXY", &variable),
        ("NO_PROXY", "localhost, .interno"),
        ("ALL_PROXY", "\"x\""),
    ];
    let app = TestApp::start_with(installation, &settings).await;
    let said = app.log().into_iter().find(|line| line.contains("go through the proxies")).unwrap();
    assert!(said.contains(&address) && said.contains("localhost, .interno"), "{said}");
    assert!(app.log().iter().any(|line| line.contains("ALL_PROXY is not the URL of a proxy")), "{:?}", app.log());
    app.create_instance(&hook("plain", "http://recv.example/")).await;
    app.create_instance(&hook("secure", "https://recv.example/")).await;

    proxy.always(Answer::new(407, "<html>"));
    for hook in ["plain", "secure"] {
        let told = told(&app, hook).await;
        assert!(told.contains(&format!("the proxy http://{address} wants a user name")), "{told}");
    }
    proxy.always(Answer::new(403, "denied").with("X-Squid-Error", "ERR_ACCESS_DENIED 0"));
    let plain = told(&app, "plain").await;
    assert!(plain.contains(&format!("the proxy http://{address} refused it (HTTP 403, ERR_ACCESS_DENIED)")), "{plain}");
    let secure = told(&app, "secure").await;
    assert!(secure.contains(&format!("the proxy http://{address} made no connection")), "{secure}");

    proxy.always(Answer::new(403, "not yours"));
    let plain = told(&app, "plain").await;
    assert!(plain.contains("HTTP 403 from the webhook: not yours"), "{plain}");
    drop(proxy);
    let plain = told(&app, "plain").await;
    assert!(plain.contains(&format!("the proxy http://{address}")), "{plain}");
    assert!(app.log().iter().all(|line| !line.contains("hush")), "{:?}", app.log());
}

async fn a_process_without_a_file_to_open_blames_itself(installation: Installation) {
    let receiver = HttpReceiver::start().await;
    let app = TestApp::start(installation).await;
    app.create_instance(&hook("hook", &receiver.url("/"))).await;
    // The connection of this caller is open by now, and none to the receiver.
    app.process.forbid_open_files();
    let told = told(&app, "hook").await;
    assert!(told.contains("this process has as many files and connections open as it may"), "{told}");
    assert_eq!(receiver.how_many(), 0);
}

async fn what_is_wrong_between_two_certificates_is_said(installation: Installation) {
    let file = installation.directory.path().join("authorities.pem");
    std::fs::write(&file, [EXPIRED, NO_AUTHORITY].concat()).unwrap();
    let app = TestApp::start_with(installation, &[("SSL_CERT_FILE", file.to_str().unwrap())]).await;
    let url = |port: u16| format!("https://localhost:{port}/");

    app.create_instance(&hook("expired", &url(tls_server::start_showing(EXPIRED).await.port()))).await;
    let expired = told(&app, "expired").await;
    let today = chrono::Utc::now().format("%Y-%m-").to_string();
    assert!(expired.contains("expired at 2020-03-01T00:00:00Z, and the clock of this machine shows"), "{expired}");
    assert!(expired.contains(&format!("shows {today}")), "{expired}");

    app.create_instance(&hook("certified", &url(tls_server::start_for_the_certified().await.port()))).await;
    let certified = told(&app, "certified").await;
    assert!(certified.contains("it wants a client certificate, which cannot be configured"), "{certified}");
    let permanent = "select count(*) from messaging_message_attempts where outcome = 'permanent'";
    assert_eq!(app.sql_number(permanent).await, 1);
}

async fn what_an_unknown_authority_holds_up_costs_no_try(installation: Installation) {
    let file = installation.directory.path().join("authorities.pem");
    std::fs::write(&file, OTHER_AUTHORITY).unwrap();
    let settings = [("SSL_CERT_FILE", file.to_str().unwrap()), ("RETRY_BACKOFF", "0s")];
    let app = TestApp::start_with(installation, &settings).await;
    for (name, certificate, cause, remedy) in [
        ("hook", NO_AUTHORITY, "an authority that this machine does not know", "SSL_CERT_FILE"),
        ("itself", AUTHORITY_ITSELF, "its certificate is an authority's", "basicConstraints"),
    ] {
        let url = format!("https://localhost:{}/", tls_server::start_showing(certificate).await.port());
        app.create_instance(&hook(name, &url)).await;
        let id = app.accepted(&app.send(&message(name)).await);
        let put_off = eventually(SOON, "it is put off", async || {
            let row = app.installation.sql_message(&id).await;
            (row["status"] == "queued" && !row["next_attempt_at"].is_null()).then_some(row)
        });
        let row = put_off.await;
        let error = row["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains(cause) && error.contains(remedy), "{row}");
        assert_eq!(row["retries"], 0, "{row}");
    }
}

/// Services begin with a low limit that they may raise.
async fn the_limit_of_open_files_is_raised_as_far_as_it_goes(installation: Installation) {
    let start = async |limit: &str, connections: &str| {
        let directory = installation.directory.path();
        let own = [("BOOTSTRAP_API_KEY", BOOTSTRAP_KEY), ("MAX_CONNECTIONS", connections), ("MAX_IN_FLIGHT", "10")];
        let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = [installation.environment(), own.to_vec()].concat();
        Process::start_program(&after(limit, directory), directory, environment, &[]).await
    };
    let warned = |process: &Process| process.log().into_iter().find(|line| line.contains("LimitNOFILE"));

    let mut process = start("ulimit -Sn 100; ulimit -Hn 1000", "500").await;
    assert_eq!(process.most_open_files(), 1_000);
    assert_eq!(warned(&process), None);
    process.kill9();
    let process = start("ulimit -Sn 100; ulimit -Hn 1000", "20000").await;
    let line = warned(&process).unwrap();
    // 20000, 10 in flight, 64 at work, and 256 beside.
    assert!(line.contains("1000") && line.contains("20330"), "{line}");
}
