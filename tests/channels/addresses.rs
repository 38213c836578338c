use std::sync::Arc;

use correio::application::access::met_tenants::MetTenants;
use correio::application::ports::ChannelSender;
use correio::domain::message::delivery::Acceptance;
use correio::domain::message::delivery::DeliveryError;
use correio::infrastructure::channels::{EvolutionSettings, WebhookSender, WebhookSettings, WhatsappEvolutionSender};
use correio::infrastructure::http_client::{AddressGuard, BlockPrivate, Exception};
use serde_json::json;

use super::webhook::{sender, to};
use super::{PLENTY, clock, evolution_requests, paths, text};
use crate::contracts::delivery::channel_sender::ending;
use crate::support::http_receiver::{Answer, HttpReceiver};

fn behind(guard: AddressGuard) -> (WebhookSender, WhatsappEvolutionSender) {
    let guard = Arc::new(guard);
    let webhook = WebhookSettings { timeout: PLENTY, guard: guard.clone() };
    let evolution = EvolutionSettings { guard, ..EvolutionSettings::default() };
    (WebhookSender::new(webhook, clock()).unwrap(), WhatsappEvolutionSender::new(evolution, clock()).unwrap())
}

fn guarded() -> WebhookSender {
    behind(AddressGuard::new(BlockPrivate::Always, Vec::new())).0
}

/// What becomes of a message through either channel, to a server at this base URL that answers with `inner`.
async fn through_each(
    senders: &(WebhookSender, WhatsappEvolutionSender),
    base: &str,
) -> [Result<Acceptance, DeliveryError>; 2] {
    let (webhook, evolution) = senders;
    [
        webhook.send(&to(&format!("{base}/hook"), text("Olá"))).await,
        evolution.send(&evolution_requests::to(base, "5511999999999", text("Olá"))).await,
    ]
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

const PRIVATE: [&str; 35] = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0.0.0.0",
    "168.63.129.16",
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
        "168.63.129.17",
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

/// Every channel whose URL is a tenant's, and every form in which a URL can name this machine.
#[tokio::test]
async fn no_channel_tells_what_is_behind_the_guard() {
    let receiver = HttpReceiver::start().await;
    receiver.always(Answer::new(500, "the inner answer"));
    let guarded = behind(AddressGuard::new(BlockPrivate::Always, Vec::new()));
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0.0.0.0"] {
        for verdict in through_each(&guarded, &format!("http://{host}:{}", receiver.port())).await {
            assert_eq!(ending(&verdict), "misconfigured", "{host}: {verdict:?}");
            let reason = verdict.unwrap_err().reason;
            assert!(reason.contains("CHANNELS_BLOCK_PRIVATE") && !reason.contains("inner"), "{reason}");
        }
    }
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn a_base_url_that_is_not_public_is_refused_at_once() {
    let (_, guarded) = behind(AddressGuard::new(BlockPrivate::Always, Vec::new()));
    for host in PRIVATE {
        let credentials = json!({ "baseUrl": format!("http://{host}:8080"), "apiKey": "key" });
        assert!(evolution_requests::sender().check_credentials(Some(&credentials)).is_ok(), "{host} is well formed");
        let problems = guarded.check_credentials(Some(&credentials)).err().map(paths);
        assert_eq!(problems, Some(vec!["/credentials/baseUrl".to_owned()]), "{host}");
    }
}

#[tokio::test]
async fn exceptions_are_called() {
    let receiver = HttpReceiver::start().await;
    receiver.always(evolution_requests::accepted());
    let network = |text: &str| Exception::Network(text.parse().unwrap());
    let excepting = |exception| behind(AddressGuard::new(BlockPrivate::Always, vec![exception]));
    let (address, name) =
        (format!("http://127.0.0.1:{}", receiver.port()), format!("http://LocalHost:{}", receiver.port()));
    let cases = [
        (network("127.0.0.0/8"), &address, "sent"),
        (network("127.0.0.0/8"), &name, "sent"),
        (network("127.0.0.2/32"), &address, "misconfigured"),
        (Exception::Host("localhost".to_owned()), &name, "sent"),
        (Exception::Host("localhost".to_owned()), &address, "misconfigured"),
        (Exception::Host("host".to_owned()), &name, "misconfigured"),
    ];
    for (exception, base, expected) in cases {
        for verdict in through_each(&excepting(exception.clone()), base).await {
            assert_eq!(ending(&verdict), expected, "{exception:?} {base}: {verdict:?}");
        }
    }
    let mapped = format!("http://[::ffff:127.0.0.1]:{}", receiver.port());
    let excepted = excepting(network("127.0.0.1/32")).0.check_address(&mapped);
    assert_eq!(excepted, Ok(()), "an address in another form");
}

/// The guard comes into force with the second tenant: also for what would go on a connection from before. As no operator asked
/// for it, nothing ends for good.
#[tokio::test]
async fn a_kept_connection_does_not_lead_past_the_guard() {
    let receiver = HttpReceiver::start().await;
    receiver.always(evolution_requests::accepted());
    let tenants = MetTenants::default();
    let senders = behind(AddressGuard::new(BlockPrivate::AmongTenants(tenants.clone()), Vec::new()));
    for base in ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{}", receiver.port())) {
        for verdict in through_each(&senders, &base).await {
            assert_eq!(ending(&verdict), "sent", "{verdict:?}");
        }
    }
    assert_eq!(senders.0.check_address("http://10.0.0.1/"), Ok(()));
    tenants.met_another();
    let before = receiver.how_many();
    for base in ["127.0.0.1", "localhost"].map(|host| format!("http://{host}:{}", receiver.port())) {
        for verdict in through_each(&senders, &base).await {
            assert_eq!(ending(&verdict), "not now", "{verdict:?}");
        }
    }
    assert_eq!(receiver.how_many(), before);
    assert!(senders.0.check_address("http://10.0.0.1/").is_err());
}
