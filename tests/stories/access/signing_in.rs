//! Users who log in for a token.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::answered::Answered;
use crate::support::eventually::eventually;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    without_a_secret_of_their_own_tokens_are_good_after_a_restart,
    a_login_without_its_members_says_which;
    on_both_databases:
    a_user_logs_in_for_a_token_whatever_the_content_type,
    a_name_is_locked_after_five_failures_whether_or_not_a_user_has_it,
    a_disabled_user_is_turned_away;
);

/// The line of the contract: curl says that it is a form.
async fn login(app: &TestApp, path: &str, body: &str) -> Answered {
    let request = app.nobody().request(Method::POST, path);
    app.nobody().call(request.header("content-type", "application/x-www-form-urlencoded").body(body.to_owned())).await
}

async fn log_in_as(app: &TestApp, name: &str, password: &str) -> Answered {
    login(app, "/auth/login", &json!({ "username": name, "password": password }).to_string()).await
}

async fn a_user_logs_in_for_a_token_whatever_the_content_type(installation: Installation) {
    let app = TestApp::start(installation).await;
    app.correio_with_input(&["users", "create", "partner", "--tenant", "acme"], "a senha certa\n").await;
    let answer = log_in_as(&app, "partner", "a senha certa").await;
    let body = answer.json();
    assert_eq!(answer.status, 200, "{body}");
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(
        (&body["token"], &body["accessToken"], &body["token_type"]),
        (&json!(token), &json!(token), &json!("Bearer"))
    );
    assert_eq!((&body["user"]["username"], &body["user"]["tenant"]), (&json!("partner"), &json!("acme")));
    assert_eq!(app.with_token(token).get("/api/messaging/messages").await.data(), json!([]), "of its own tenant");

    for path in ["/api/auth/login", "/api/auth/signin"] {
        let answer = login(&app, path, r#"{"email": "partner", "password": "a senha certa"}"#).await;
        assert_eq!((answer.status, &answer.json()["message"]), (200, &json!("Login successful")), "{path}");
    }
    let list = app.correio(&["users", "list"]).await;
    assert!(list.contains("partner\tacme\t") && !list.contains("argon2"), "{list}");
    let again = app.correio_fails(&["users", "create", "partner"], "another one\n").await;
    assert!(again.contains("there is a user `partner` already"), "{again}");
}

async fn a_login_without_its_members_says_which(installation: Installation) {
    let app = TestApp::start(installation).await;
    for (path, sentence) in [
        ("/auth/login", "Missing required fields: username, password"),
        ("/api/auth/signin", "Missing required fields: email, password"),
    ] {
        let answer = login(&app, path, "{}").await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!(sentence)), "{}", answer.json());
        assert_eq!(answer.json()["statusCode"], 400);
    }
    assert_eq!(login(&app, "/auth/login", "username=partner").await.status, 400);
    assert_eq!(login(&app, "/auth/login", r#"{"username": 7, "password": "x"}"#).await.status, 400);
}

async fn a_name_is_locked_after_five_failures_whether_or_not_a_user_has_it(installation: Installation) {
    let app = TestApp::start_with(installation, &[("RATE_LIMITS", "false")]).await;
    app.correio_with_input(&["users", "create", "partner"], "a senha certa\n").await;
    for name in ["partner", "nobody"] {
        for _ in 0..5 {
            let answer = log_in_as(&app, name, "a senha errada").await;
            assert_eq!((answer.status, answer.problem().as_str()), (401, "unauthorized"), "{name}");
        }
        let answer = log_in_as(&app, name, "a senha certa").await;
        assert_eq!((answer.status, answer.problem().as_str()), (429, "name-locked"), "{name}");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((890..=901).contains(&wait), "{wait}");
        assert_eq!((&answer.json()["statusCode"], &answer.json()["status"]), (&json!(429), &json!(429)));
    }
}

async fn a_disabled_user_is_turned_away(installation: Installation) {
    let app = TestApp::start(installation).await;
    app.correio_with_input(&["users", "create", "partner", "--scope", "messages:read"], "a senha certa\n").await;
    let token = log_in_as(&app, "partner", "a senha certa").await.json()["token"].as_str().unwrap().to_owned();
    let partner = app.with_token(&token);
    assert_eq!(partner.get("/api/messaging/messages").await.status, 200);
    assert_eq!(partner.post("/api/messaging/messages/retry", &json!({ "status": "failed" })).await.status, 403);

    app.correio(&["users", "disable", "partner"]).await;
    assert_eq!(log_in_as(&app, "partner", "a senha certa").await.status, 401);
    eventually(Duration::from_secs(6), "the token stops", async || {
        (partner.get("/api/messaging/messages").await.status == 401).then_some(())
    })
    .await;
    app.correio_with_input(&["users", "password", "partner"], "outra senha certa\n").await;
    assert_eq!(log_in_as(&app, "partner", "outra senha certa").await.status, 200);
    assert_eq!(log_in_as(&app, "partner", "a senha certa").await.status, 401);
}

async fn without_a_secret_of_their_own_tokens_are_good_after_a_restart(installation: Installation) {
    let mut app = TestApp::start_with(installation, &[("JWT_SECRET", "")]).await;
    app.correio_with_input(&["users", "create", "partner"], "a senha certa\n").await;
    let token = log_in_as(&app, "partner", "a senha certa").await.json()["token"].as_str().unwrap().to_owned();
    let is_good = async |app: &TestApp| app.with_token(&token).get("/api/messaging/messages").await.status == 200;
    assert!(is_good(&app).await);
    app.terminate();
    app.exited().await;
    app.restart().await;
    assert!(is_good(&app).await, "the key follows from the one of the credentials");
    let _: Value = app.get("/api/messaging/messages").await.data();
}
