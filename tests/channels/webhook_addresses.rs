use correio::application::ports::ChannelSender;
use correio::infrastructure::channels::{WebhookSender, WebhookSettings};

use super::webhook::{sender, to};
use super::{PLENTY, clock, paths, text};
use crate::contracts::delivery::channel_sender::ending;
use crate::support::http_receiver::HttpReceiver;

fn guarded() -> WebhookSender {
    WebhookSender::new(WebhookSettings { timeout: PLENTY, block_private: true }, clock()).unwrap()
}

#[test]
fn an_address_is_an_absolute_url() {
    let sender = sender();
    let long = |bytes: usize| format!("https://x.example/{}", "a".repeat(bytes - "https://x.example/".len()));
    let good = [
        "http://localhost:9",
        "https://x.example/a?b=c#d",
        "HTTP://X.example",
        "http://[::1]:8080/",
        "http://10.0.0.1",
    ];
    for address in good.map(str::to_owned).into_iter().chain([long(2048)]) {
        assert_eq!(sender.check_address(&address), Ok(()), "{address}");
    }
    let bad = [
        "",
        "x.example",
        "/hook",
        "http:x.example",
        "http://",
        "http:///",
        "http:///x.example",
        "http://\\x.example",
        "ftp://x.example",
        "file:///etc/passwd",
        "http://user@x.example",
        "http://user:pass@x.example",
        "http://:pass@x.example",
        " http://x.example",
        "http://x.exa\nmple",
        "http://x example",
        "http://x.example:99999",
        "http://[::1",
    ];
    for address in bad.map(str::to_owned).into_iter().chain([long(2049)]) {
        let problems = sender.check_address(&address).map_err(paths);
        assert_eq!(problems, Err(vec!["/channelPhoneOrId".to_owned()]), "{address}");
    }
}

const PRIVATE: [&str; 34] = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",
    "0",
    "10.1.2.3",
    "100.64.0.1",
    "100.127.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.168.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[fc00::1]",
    "[fd12:3456::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[::127.0.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2001:0:1::1]",
    "[2001:db8::1]",
];

#[tokio::test]
async fn a_guarded_sender_refuses_what_is_not_public() {
    let guarded = guarded();
    for host in PRIVATE {
        let address = format!("http://{host}/hook");
        assert_eq!(sender().check_address(&address), Ok(()), "{host} is well formed");
        assert!(guarded.check_address(&address).is_err(), "{host}");
        assert_eq!(ending(&guarded.send(&to(&address, text("Olá"))).await), "misconfigured", "{host}");
    }
    let public = [
        "1.1.1.1",
        "100.63.0.1",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "223.255.255.255",
        "[2606:4700::1111]",
        "[::ffff:1.1.1.1]",
        "[64:ff9b::1.1.1.1]",
        "[2002:101:101::]",
        "x.example",
        "localhost",
    ];
    for host in public {
        assert_eq!(guarded.check_address(&format!("https://{host}/hook")), Ok(()), "{host}");
    }
}

#[tokio::test]
async fn a_name_that_leads_home_is_refused_too() {
    let receiver = HttpReceiver::start().await;
    let address = format!("http://localhost:{}/hook", receiver.port());
    let verdict = guarded().send(&to(&address, text("Olá"))).await;
    assert_eq!(ending(&verdict), "misconfigured", "{verdict:?}");
    assert!(receiver.received().is_empty());

    let unknown = guarded().send(&to("http://does-not-exist.invalid/hook", text("Olá"))).await;
    assert_eq!(ending(&unknown), "transient", "{unknown:?}");
    assert_eq!(ending(&sender().send(&to(&address, text("Olá"))).await), "sent");
}
