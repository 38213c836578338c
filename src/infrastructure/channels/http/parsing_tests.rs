//! What clients and servers write, and channels read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use proptest::prelude::*;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use super::http_answer::retry_after;
use super::redaction::Redaction;
use crate::corpus::{prove, prove_of_texts};
use crate::domain::Timestamp;
use crate::domain::message::retry::LONGEST_RETRY_AFTER;
use crate::infrastructure::http_client::public_address::is_public;

#[test]
fn a_time_to_retry_after_is_read_or_as_if_it_were_absent() {
    let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    prove("retry-after", |bytes| {
        let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
        let wait = retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now);
        let text = String::from_utf8_lossy(bytes);
        let digits = text.trim().bytes().all(|byte| byte.is_ascii_digit());
        if let Ok(seconds) = text.trim().parse::<u64>()
            && digits
        {
            assert_eq!(wait, Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER)));
        }
        assert!(wait.is_none_or(|wait| wait <= LONGEST_RETRY_AFTER));
        assert!(wait.is_none() || text.contains(|character: char| character.is_ascii_digit()));
    });
}

#[test]
fn a_wait_is_the_one_that_was_asked_for_within_bounds() {
    let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let wait = |headers: &[(HeaderName, &'static str)]| {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        retry_after(&HeaderMap::from_iter(headers), now).map(|wait| wait.as_secs())
    };
    const DAY: u64 = 24 * 60 * 60;
    for (text, expected) in [
        ("30", Some(30)),
        (" 0 ", Some(0)),
        ("31536000", Some(DAY)),
        ("18446744073709551615", Some(DAY)),
        ("99999999999999999999999", Some(DAY)),
        ("Mon, 23 Nov 2026 12:00:30 GMT", Some(30)),
        ("Monday, 23-Nov-26 12:00:30 GMT", Some(30)),
        ("Mon Nov 23 12:00:30 2026", Some(30)),
        ("Mon, 23 Nov 2026 11:00:00 GMT", Some(0)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
        ("Tue, 23 Nov 2027 12:00:00 GMT", Some(DAY)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Some(DAY)),
        ("-30", None),
        ("+30", None),
        ("30.5", None),
        ("30s", None),
        ("", None),
        ("later", None),
        ("Mon, 99 Nov 2026 12:00:30 GMT", None),
        ("2026-11-23T12:00:30Z", None),
    ] {
        assert_eq!(wait(&[(RETRY_AFTER, text)]), expected, "{text}");
    }
    let skewed = [(RETRY_AFTER, "Mon, 23 Nov 2026 14:00:30 GMT"), (DATE, "Mon, 23 Nov 2026 14:00:00 GMT")];
    assert_eq!(wait(&skewed), Some(30), "by the server's own clock");
    assert_eq!(wait(&[(RETRY_AFTER, "Mon, 23 Nov 2026 12:00:30 GMT"), (DATE, "nonsense")]), Some(30));
}

#[test]
fn what_is_told_has_no_secret_and_no_second_line() {
    prove_of_texts("evolution-answer", |said| {
        for secret in ["3EB0A1", "message", "\""] {
            let shown = Redaction::of(secret).snippet(said);
            assert!(
                !shown.contains(secret) && !shown.contains(char::is_control) && shown.chars().count() <= 300,
                "{shown}"
            );
        }
    });
}

proptest! {
    #[test]
    fn an_address_is_as_public_as_what_is_reached_through_it(bits in any::<u32>(), bytes in any::<[u8; 4]>()) {
        let inner = Ipv4Addr::from(bits);
        let public = is_public(IpAddr::V4(inner));
        prop_assert!(!(public && (inner.is_private() || inner.is_loopback() || inner.is_link_local() || inner.is_broadcast())));
        let [a, b, c, d] = inner.octets().map(u16::from);
        let (high, low) = (a << 8 | b, c << 8 | d);
        let rest = u16::from_be_bytes([bytes[0], bytes[1]]);
        for outer in [
            inner.to_ipv6_mapped(),
            inner.to_ipv6_compatible(),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, rest, 0, 0, 0, 1),
        ] {
            prop_assert_eq!(is_public(IpAddr::V6(outer)), public, "{} in {}", inner, outer);
        }
    }

    #[test]
    fn no_address_within_a_network_is_public(
        bits in any::<u128>(),
        prefix in prop::sample::select(vec![0xfc00_u16, 0xfd00, 0xfe80, 0xff02]),
    ) {
        let address = Ipv6Addr::from(bits >> 16 | u128::from(prefix) << 112);
        prop_assert!(!is_public(IpAddr::V6(address)), "{}", address);
    }
}
