//! The messages of a run: every text begins with whose it is, its sequence number and when it was to be sent.

use hyper::body::Bytes;

/// The shortest text, in bytes: what the receiver has to know of it.
pub const SHORTEST_TEXT: usize = MARK.len() + RUN_LENGTH + 1 + SEQUENCE_DIGITS + 1 + START_DIGITS + 1;

/// Characters of a run's name.
pub const RUN_LENGTH: usize = 12;

const MARK: &str = "bench:";
const SEQUENCE_DIGITS: usize = 10;
const START_DIGITS: usize = 13;
const INSTANCE_DIGITS: usize = 4;
const RECIPIENT_DIGITS: usize = 8;

/// As people write here: a text of two-byte letters now and then, and nothing that JSON would escape.
const WORDS: &str = "Olá! Seu pedido saiu para entrega e chega amanhã à tarde; atenção ao endereço do portão. ";

/// What a run's messages are made of.
#[derive(Clone, Copy)]
pub struct Shape<'a> {
    /// The run's name: `RUN_LENGTH` characters.
    pub run: &'a str,
    pub channel: &'a str,
    /// Bytes; at least `SHORTEST_TEXT`.
    pub text_size: usize,
    /// At most 9,999.
    pub instances: u64,
    /// Spread over the instances; at most 99,999,999.
    pub recipients: u64,
}

/// The `channelInstanceId` of a run's instance.
pub fn instance_name(run: &str, index: u64) -> String {
    format!("bench-{run}-{index:0INSTANCE_DIGITS$}")
}

/// The body of a request, in which a few digits differ from message to message.
#[derive(Clone)]
pub struct Template {
    bytes: Vec<u8>,
    instances: u64,
    recipients: u64,
    /// Where the digits are.
    instance: usize,
    recipient: usize,
    sequence: usize,
    start: usize,
}

impl Template {
    pub fn new(shape: Shape<'_>) -> Self {
        let Shape { run, channel, text_size, instances, recipients } = shape;
        let mut bytes =
            format!(r#"{{"channel":"{channel}","channelInstanceId":"{}"#, instance_name(run, 0)).into_bytes();
        let instance = bytes.len() - INSTANCE_DIGITS;
        bytes.extend(format!(r#"","remoteJid":"bench-{run}-{:0RECIPIENT_DIGITS$}"#, 0).into_bytes());
        let recipient = bytes.len() - RECIPIENT_DIGITS;
        bytes.extend(format!(r#"","message":"{MARK}{run}:"#).into_bytes());
        let sequence = bytes.len();
        let start = sequence + SEQUENCE_DIGITS + 1;
        bytes.extend(format!("{:0SEQUENCE_DIGITS$}:{:0START_DIGITS$} ", 0, 0).into_bytes());
        bytes.extend(words(text_size.saturating_sub(SHORTEST_TEXT)).into_bytes());
        bytes.extend(b"\"}");
        Self { bytes, instances, recipients, instance, recipient, sequence, start }
    }

    /// The body of one message. `start` is when it was to be sent, in microseconds of the run.
    pub fn fill(&mut self, sequence: u64, start: u64) -> Bytes {
        let recipient = sequence % self.recipients;
        // A recipient is always reached through the same instance.
        let instance = recipient % self.instances;
        let holes = [
            (self.instance, INSTANCE_DIGITS, instance),
            (self.recipient, RECIPIENT_DIGITS, recipient),
            (self.sequence, SEQUENCE_DIGITS, sequence),
            (self.start, START_DIGITS, start),
        ];
        for (place, digits, number) in holes {
            write_digits(&mut self.bytes[place..place + digits], number);
        }
        Bytes::copy_from_slice(&self.bytes)
    }
}

fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        // Less than ten, so that nothing is lost.
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Exactly so many bytes of text.
fn words(size: usize) -> String {
    let mut text = WORDS.repeat(size / WORDS.len() + 1);
    text.truncate(text.floor_char_boundary(size));
    while text.len() < size {
        text.push('.');
    }
    text
}

/// Finds in a webhook's body what the text says about itself.
pub struct Marker(Vec<u8>);

impl Marker {
    pub fn new(run: &str) -> Self {
        Self(format!("{MARK}{run}:").into_bytes())
    }

    /// The sequence number, and the start in microseconds of the run. None when the body is of no message of this run.
    pub fn find(&self, body: &[u8]) -> Option<(u64, u64)> {
        let at = body.windows(self.0.len()).position(|window| window == self.0)?;
        let rest = body.get(at + self.0.len()..)?;
        let sequence = number(rest.get(..SEQUENCE_DIGITS)?)?;
        let start = number(rest.get(SEQUENCE_DIGITS + 1..SEQUENCE_DIGITS + 1 + START_DIGITS)?)?;
        Some((sequence, start))
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const RUN: &str = "0123456789ab";

    fn shape(text_size: usize) -> Shape<'static> {
        Shape { run: RUN, channel: "webhook", text_size, instances: 3, recipients: 10 }
    }

    #[test]
    fn a_body_is_a_request_to_send() {
        let mut template = Template::new(shape(100));
        let body: Value = serde_json::from_slice(&template.fill(1_234, 5_678)).unwrap();
        assert_eq!(body["channel"], "webhook");
        assert_eq!(body["remoteJid"], format!("bench-{RUN}-00000004"));
        assert_eq!(body["channelInstanceId"], instance_name(RUN, 1));
        let text = body["message"].as_str().unwrap();
        assert!(text.starts_with("bench:0123456789ab:0000001234:0000000005678 Olá!"), "{text}");
        assert_eq!(text.len(), 100);
    }

    #[test]
    fn every_recipient_has_an_instance_of_its_own() {
        let mut template = Template::new(shape(SHORTEST_TEXT));
        let mut pairs = std::collections::BTreeSet::new();
        for sequence in 0..100 {
            let body: Value = serde_json::from_slice(&template.fill(sequence, 0)).unwrap();
            pairs.insert((body["remoteJid"].to_string(), body["channelInstanceId"].to_string()));
        }
        assert_eq!(pairs.len(), 10);
    }

    #[test]
    fn a_body_of_somebody_else_has_no_sequence() {
        let marker = Marker::new(RUN);
        for body in
            ["", "{}", "bench:0123456789ab:", "bench:0123456789ab:12x", "bench:ffffffffffff:0000000001:0000000000001 "]
        {
            assert_eq!(marker.find(body.as_bytes()), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_found_again(sequence in 0..10_000_000_000_u64, start in 0..10_000_000_000_000_u64, size in SHORTEST_TEXT..500) {
            let body = Template::new(shape(size)).fill(sequence, start);
            prop_assert_eq!(Marker::new(RUN).find(&body), Some((sequence, start)));
            let body: Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(body["message"].as_str().unwrap().len(), size);
        }

        #[test]
        fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Marker::new(RUN).find(&[b"bench:0123456789ab:", &body[..]].concat());
        }
    }
}
