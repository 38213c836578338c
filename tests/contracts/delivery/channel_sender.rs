//! What `ChannelSender` promises, proved for every implementation that speaks HTTP to somebody.

use std::time::{Duration, Instant, SystemTime};

use correio::application::ports::{ChannelSender, Delivery};
use correio::domain::instance::credentials::Credentials;
use correio::domain::message::MessageId;
use correio::domain::message::delivery::{Acceptance, DeliveryError, DeliveryErrorKind, FailureKind};
use uuid::Uuid;

use crate::support::http_receiver::{Answer, HttpReceiver, closed_port};

/// One channel under test. Its sender gives up on a try within `patience`.
pub struct ChannelUnderTest<'a> {
    pub sender: &'a dyn ChannelSender,
    /// A delivery to `base` (`http://host:port`).
    pub delivery: &'a (dyn Fn(&str) -> Delivery + Sync),
    /// What makes the other side say that it took the message.
    pub accepting: Answer,
    /// The texts that no error may hold.
    pub secrets: Vec<String>,
    pub patience: Duration,
    /// The statuses that say of a request that it was not taken, and may be later.
    pub busy: &'a [u16],
    /// The headers that must be the same on every try.
    pub steady_headers: &'a [&'a str],
}

pub async fn prove(channel: ChannelUnderTest<'_>) {
    sends_the_same_on_every_try(&channel).await;
    tells_no_secret_and_nothing_unstorable(&channel).await;
    survives_nonsense_in_bounded_time(&channel).await;
    knows_what_was_never_sent_from_what_may_have_been(&channel).await;
    comes_back_when_it_is_asked_to(&channel).await;
    calls_unusable_credentials_a_matter_of_the_channel(&channel).await;
    says_what_is_wrong_with_paths_into_the_request(&channel);
}

async fn sends_the_same_on_every_try(channel: &ChannelUnderTest<'_>) {
    let receiver = HttpReceiver::start().await;
    let delivery = (channel.delivery)(&receiver.url(""));
    // What meets the end of a connection that was used before may be repeated within its try: this one is new.
    receiver.next(Answer::new(503, "busy").with("connection", "close"));
    receiver.next(Answer::Close);
    receiver.always(channel.accepting.clone());

    channel.sender.send(&delivery).await.expect_err("busy");
    channel.sender.send(&delivery).await.expect_err("closed");
    let first = channel.sender.send(&delivery).await.expect("accepted");
    channel.sender.send(&delivery).await.expect("accepted again");

    assert!(first.channel_message_id.is_some_and(|id| !id.is_empty()));
    let tries = receiver.received();
    assert_eq!(tries.len(), 4, "one request a try");
    for again in &tries[1..] {
        assert_eq!(again.body, tries[0].body);
        assert_eq!(again.path, tries[0].path);
        for name in channel.steady_headers {
            assert_eq!(again.header(name), tries[0].header(name), "{name}");
        }
    }
}

async fn tells_no_secret_and_nothing_unstorable(channel: &ChannelUnderTest<'_>) {
    let receiver = HttpReceiver::start().await;
    let delivery = (channel.delivery)(&receiver.url(""));
    for secret in &channel.secrets {
        let in_json = serde_json::Value::from(secret.as_str()).to_string();
        let split = secret.chars().map(|character| format!("{character}\0")).collect::<String>();
        let far = format!("{}{secret}", "x".repeat(300 - secret.len() / 2));
        let answers = [
            secret.clone(),
            format!(r#"{{"error":{in_json},"response":{{"message":[["bad key",{in_json}]]}}}}"#),
            format!(r#"{{"message":{in_json},"code":1}}"#),
            split,
            far,
            format!("<html>\n\n{secret}\u{0}{secret}</html>"),
            format!("<pre>Cannot POST {}</pre>", secret.replace('&', "&amp;").replace('"', "&quot;")),
        ];
        for (status, answer) in
            [301, 400, 401, 404, 429, 500].into_iter().flat_map(|s| answers.iter().map(move |a| (s, a)))
        {
            receiver.always(Answer::new(status, answer.as_str()));
            let error = channel.sender.send(&delivery).await.expect_err("a failure");
            check_reason(&error, channel);
            assert_eq!(error.http_status, Some(status));
        }
    }
}

async fn survives_nonsense_in_bounded_time(channel: &ChannelUnderTest<'_>) {
    let receiver = HttpReceiver::start().await;
    let delivery = (channel.delivery)(&receiver.url(""));
    let deep = "[".repeat(100_000);
    let nonsense = [
        Answer::Raw(b"\x16\x03\x01 not HTTP at all".to_vec()),
        Answer::Raw(b"HTTP/1.1 9999999 \r\n\r\n".to_vec()),
        Answer::Raw(b"HTTP/1.1 400 Bad\r\ncontent-length: 100\r\n\r\ncut".to_vec()),
        Answer::Raw(b"HTTP/1.1 500 Bad\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n".to_vec()),
        Answer::new(500, vec![0xff; 200_000]),
        Answer::new(400, deep),
        Answer::new(503, "\0\0\0").with("retry-after", "99999999999999999999999"),
        Answer::new(503, "later").with("retry-after", "Thu, 32 Foo 2026 99:99:99 GMT"),
        Answer::new(400, "null"),
        Answer::new(400, r#"{"response":{"message":[[[[{"exists":[]}],5,null,"\u0000"]]]}}"#),
        Answer::new(200, "late").after(channel.patience * 3),
        Answer::Endless(b"HTTP/1.1 500 Bad\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".to_vec()),
        Answer::Endless(b"HTTP/1.1 500 Bad\r\nx: ".to_vec()),
    ];
    for answer in nonsense {
        receiver.always(answer.clone());
        let start = Instant::now();
        let verdict = channel.sender.send(&delivery).await;
        let (took, longest) = (start.elapsed(), channel.sender.longest_try());
        assert!(took < channel.patience * 2 && took < longest + channel.patience, "took {took:?} of {longest:?}");
        match verdict {
            Ok(acceptance) => panic!("{answer:?} was taken for {acceptance:?}"),
            Err(error) => check_reason(&error, channel),
        }
    }
}

/// The same of every channel, whatever the form in which it is asked.
async fn comes_back_when_it_is_asked_to(channel: &ChannelUnderTest<'_>) {
    let receiver = HttpReceiver::start().await;
    let delivery = (channel.delivery)(&receiver.url(""));
    let date = |seconds| httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds));
    let now = date(0);
    let day = 24 * 60 * 60;
    let asked = [
        ("30".to_owned(), Some(30)),
        (date(30), Some(30)),
        ("Thu, 01 Jan 1970 00:00:00 GMT".to_owned(), Some(0)),
        (date(366 * day), Some(day)),
        ("31536000".to_owned(), Some(day)),
        ("-30".to_owned(), None),
        ("soon".to_owned(), None),
    ];
    for &status in channel.busy {
        for (text, expected) in &asked {
            receiver.always(Answer::new(status, "busy").with("retry-after", text).with("date", &now));
            let error = channel.sender.send(&delivery).await.expect_err("busy");
            let DeliveryErrorKind::Transient { retry_after } = error.kind else { panic!("{status} {text}: {error:?}") };
            let seconds = retry_after.map(|wait| wait.as_secs());
            let differs = seconds.zip(*expected).map(|(seconds, expected)| seconds.abs_diff(expected));
            assert!(seconds.is_some() == expected.is_some() && differs.is_none_or(|by| by <= 1), "{text}: {seconds:?}");
            assert_eq!(error.http_status, Some(status));
        }
    }
}

async fn knows_what_was_never_sent_from_what_may_have_been(channel: &ChannelUnderTest<'_>) {
    let nobody = (channel.delivery)(&format!("http://{}", closed_port().await));
    let refused = channel.sender.send(&nobody).await.expect_err("nobody listens");
    assert_eq!(refused.kind, DeliveryErrorKind::Transient { retry_after: None }, "{refused}");
    check_reason(&refused, channel);

    let nowhere = (channel.delivery)("http://does-not-exist.invalid");
    let unresolved = channel.sender.send(&nowhere).await.expect_err("no such name");
    // A machine whose name servers do not answer cannot know that there is no such name.
    let (unknown, unasked) = (DeliveryErrorKind::Transient { retry_after: None }, "name servers of this machine");
    let is_put_off = matches!(unresolved.kind, DeliveryErrorKind::NotNow { .. }) && unresolved.reason.contains(unasked);
    assert!(unresolved.kind == unknown || is_put_off, "{unresolved}");

    let receiver = HttpReceiver::start().await;
    let silent = (channel.delivery)(&receiver.url("").replace("http:", "https:"));
    let no_handshake = channel.sender.send(&silent).await.expect_err("it speaks no TLS");
    assert_eq!(no_handshake.kind, DeliveryErrorKind::Transient { retry_after: None }, "{no_handshake}");
    check_reason(&no_handshake, channel);

    let delivery = (channel.delivery)(&receiver.url(""));
    for lost in [Answer::Close, Answer::new(200, "").after(channel.patience * 3), Answer::Raw(b"HTTP/1.".to_vec())] {
        receiver.always(lost);
        let error = channel.sender.send(&delivery).await.expect_err("no answer");
        assert_eq!(error.kind, DeliveryErrorKind::Unknown, "{error}");
        assert_eq!(error.http_status, None);
        check_reason(&error, channel);
    }
}

async fn calls_unusable_credentials_a_matter_of_the_channel(channel: &ChannelUnderTest<'_>) {
    for unusable in ["", "null", "{}", "[]", "{\"secret\":1,\"baseUrl\":2,\"apiKey\":3}", "\u{0}"] {
        let mut delivery = (channel.delivery)("http://127.0.0.1:9");
        delivery.credentials = Credentials::new(unusable);
        let error = channel.sender.send(&delivery).await.expect_err("unusable");
        assert_eq!(error.kind, DeliveryErrorKind::Permanent { failure: FailureKind::Channel }, "{error}");
    }
}

fn says_what_is_wrong_with_paths_into_the_request(channel: &ChannelUnderTest<'_>) {
    for wrong in ["1", "[]", "\"x\"", "true", r#"{"unknown/~": 1}"#, r#"{"secret": {}, "baseUrl": [], "apiKey": 1}"#] {
        let given: serde_json::Value = serde_json::from_str(wrong).unwrap();
        let problems = channel.sender.check_credentials(Some(&given)).err().unwrap_or_else(|| panic!("{wrong} passed"));
        assert!(!problems.is_empty());
        for problem in problems {
            assert!(problem.path.starts_with("/credentials"), "{problem:?}");
            assert!(!problem.detail.is_empty());
        }
    }
}

pub fn check_reason(error: &DeliveryError, channel: &ChannelUnderTest<'_>) {
    let reason = &error.reason;
    assert!(!reason.is_empty() && reason.chars().count() < 400, "{reason:?}");
    assert!(!reason.contains(char::is_control), "one line without U+0000: {reason:?}");
    for secret in &channel.secrets {
        assert!(!reason.contains(secret.as_str()), "{reason:?}");
        let half = &secret[..secret.len() / 2];
        assert!(!reason.contains(half), "a part of a secret: {reason:?}");
    }
}

pub fn some_message_id() -> MessageId {
    MessageId(Uuid::now_v7())
}

/// What kind of ending it was, in one word, for tables.
pub fn ending(verdict: &Result<Acceptance, DeliveryError>) -> &'static str {
    match verdict.as_ref().map_err(|error| error.kind) {
        Ok(_) => "sent",
        Err(DeliveryErrorKind::Transient { .. }) => "transient",
        Err(DeliveryErrorKind::Unknown) => "unknown",
        Err(DeliveryErrorKind::NotNow { .. }) => "not now",
        Err(DeliveryErrorKind::InstanceOff { .. }) => "instance off",
        Err(DeliveryErrorKind::Permanent { failure: FailureKind::Recipient }) => "refused",
        Err(DeliveryErrorKind::Permanent { failure: FailureKind::Channel | FailureKind::Unknown }) => "misconfigured",
    }
}
