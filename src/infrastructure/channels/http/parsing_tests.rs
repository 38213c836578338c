//! What clients and servers write, and channels read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use proptest::prelude::*;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};

use super::http_answer::retry_after;
use super::redaction::Redaction;
use crate::corpus::{prove, prove_of_texts};
use crate::domain::Timestamp;
use crate::infrastructure::http_client::public_address::is_public;

#[test]
fn a_time_to_retry_after_is_read_or_as_if_it_were_absent() {
    let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    prove("retry-after", |bytes| {
        let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
        let wait = retry_after(&HeaderMap::from_iter([(RETRY_AFTER, value)]), now);
        let text = String::from_utf8_lossy(bytes);
        if text.trim().parse::<u64>().is_ok_and(|seconds| wait != Some(Duration::from_secs(seconds))) {
            panic!("{wait:?}");
        }
        assert!(wait.is_none() || text.contains(|character: char| character.is_ascii_digit()));
    });
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
