//! How often callers may ask.

use reqwest::Method;

use crate::support::answered::Answered;
use crate::support::caller::Caller;
use crate::support::installation::Installation;
use crate::support::modes::stories;
use crate::support::test_app::TestApp;

stories!(
    on_one_installation:
    a_burst_is_cut_off,
    limits_can_be_lifted;
    on_both_databases:
    an_address_and_a_key_have_limits_of_a_minute;
);

async fn ask(caller: &Caller) -> Answered {
    caller.call(caller.request(Method::POST, "/auth/login").body("{}")).await
}

fn is_refused(answer: &Answered) -> bool {
    if answer.status != 429 {
        assert_eq!(answer.status, 400, "{}", answer.json());
        return false;
    }
    let seconds = |name| answer.header(name).unwrap().parse::<u64>().unwrap();
    assert!((1..=60).contains(&seconds("retry-after")));
    assert_eq!((seconds("ratelimit-remaining"), seconds("ratelimit-reset")), (0, seconds("retry-after")));
    let body = answer.json();
    assert_eq!((&body["statusCode"], answer.problem().as_str()), (&429.into(), "too-many-requests"), "{body}");
    assert!(body["message"].as_str().unwrap().contains("Too Many Requests"));
    true
}

async fn an_address_and_a_key_have_limits_of_a_minute(installation: Installation) {
    let settings = [("RATE_LIMIT_PER_IP", "50"), ("RATE_LIMIT_PER_KEY", "20"), ("RATE_LIMIT_BURST", "1000")];
    let app = TestApp::start_with(installation, &settings).await;
    for number in 1..=20 {
        let answer = ask(&app).await;
        assert!(!is_refused(&answer), "{number}");
        assert_eq!(answer.header("ratelimit-limit").unwrap(), "20");
        assert_eq!(answer.header("ratelimit-remaining").unwrap(), (20 - number).to_string());
    }
    assert!(is_refused(&ask(&app).await));
    let key = app.correio(&["keys", "create", "--name", "of its own", "--requests-per-minute", "60"]).await;
    let other = app.with_key(&key);
    for number in 1..=60 {
        assert!(!is_refused(&ask(&other).await), "{number}");
    }
    assert!(is_refused(&ask(&other).await));
    let nobody = app.nobody();
    for number in 1..=29 {
        let answer = ask(&nobody).await;
        assert!(!is_refused(&answer), "{number}");
        assert_eq!(answer.header("ratelimit-limit").unwrap(), "50");
    }
    assert!(is_refused(&ask(&nobody).await), "21 before, of the caller without a limit of its own");
    assert_eq!(app.get("/api/messaging/messages").await.status, 200, "other routes have no limits");
}

async fn a_burst_is_cut_off(installation: Installation) {
    let app = TestApp::start(installation).await;
    let mut refused = false;
    // More than a second's worth, however slow this machine is, unless it is slower than ten a second.
    for _ in 0..100 {
        refused |= is_refused(&ask(&app).await);
    }
    assert!(refused);
}

async fn limits_can_be_lifted(installation: Installation) {
    let app = TestApp::start_with(installation, &[("RATE_LIMITS", "false"), ("RATE_LIMIT_PER_IP", "1")]).await;
    for _ in 0..30 {
        let answer = ask(&app).await;
        assert!(!is_refused(&answer));
        assert!(answer.header("ratelimit-limit").is_none());
    }
}
