//! Records that somebody else writes into our topic.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::topic::Written;

/// A record of ours, and what others make of it.
pub struct Forger<'d> {
    /// The value.
    pub ours: Vec<u8>,
    pub our_key: Vec<u8>,
    pub dice: &'d mut Rng,
}

const NOWHERE: &str = "019bd8a2-0000-7000-8000-000000000000";

impl Forger<'_> {
    pub fn record(&mut self) -> Written {
        let value = match self.dice.u8(0..10) {
            0 => None,
            1 => Some(self.garbage()),
            2..=4 => Some(self.damaged()),
            5 => Some(self.framed()),
            _ => Some(self.edited()),
        };
        let timestamp = self.dice.choice([None, None, Some(0), Some(1), Some(1_700_000_000_123)]).flatten();
        Written { key: self.key(), value, headers: self.headers(), timestamp, partition: None }
    }

    fn garbage(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; self.dice.usize(0..300)];
        self.dice.fill(&mut bytes);
        let fixed: [&[u8]; 8] = [b"", b"\0", b"null", b"0", b"\"\"", b"[]", b"{}", b"\xff\xfe{\0}\0"];
        if self.dice.bool() { bytes } else { self.dice.choice(fixed).unwrap_or_default().to_vec() }
    }

    /// Its bytes flipped, cut, doubled, or pushed apart.
    fn damaged(&mut self) -> Vec<u8> {
        let mut bytes = self.ours.clone();
        for _ in 0..self.dice.usize(1..4) {
            let place = self.dice.usize(0..bytes.len().max(1));
            match self.dice.u8(0..5) {
                0 => bytes.truncate(place),
                1 => bytes.insert(place.min(bytes.len()), self.dice.u8(..)),
                2 => bytes.extend_from_within(place.min(bytes.len())..),
                _ => {
                    if let Some(byte) = bytes.get_mut(place) {
                        *byte ^= 1 << self.dice.u8(0..8);
                    }
                }
            }
        }
        bytes
    }

    /// The whole of it, in what is not JSON, or not an object, or not one.
    fn framed(&mut self) -> Vec<u8> {
        let ours = String::from_utf8(self.ours.clone()).unwrap();
        match self.dice.u8(0..8) {
            0 => format!("\u{feff}{ours}").into_bytes(),
            1 => ours.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            2 => format!("[{ours}]").into_bytes(),
            3 => format!("{ours}{ours}").into_bytes(),
            4 => format!("{ours}\n{ours}\n").into_bytes(),
            5 => Value::from(ours).to_string().into_bytes(),
            6 => json!([1, "message.send", NOWHERE, "sandbox"]).to_string().into_bytes(),
            _ => [b"\0\0\0\0\x07".as_slice(), &self.ours].concat(),
        }
    }

    /// One member of it dropped, said twice, or holding something else.
    fn edited(&mut self) -> Vec<u8> {
        let mut event: Map<String, Value> = serde_json::from_slice(&self.ours).unwrap();
        let decisive = ["version", "type", "messageId", "channel"].map(str::to_owned);
        let names: Vec<String> = event.keys().cloned().chain(decisive).collect();
        let name = self.dice.choice(names).unwrap();
        let value = self.member(&name);
        match self.dice.u8(0..5) {
            0 => drop(event.remove(&name)),
            1 => {
                let twice = format!("{{{}:{value},", Value::from(name));
                return Value::from(event).to_string().replacen('{', &twice, 1).into_bytes();
            }
            _ => {
                let whole = Value::from(event).to_string();
                let holder = format!("{}:", Value::from(name.as_str()));
                // As text, because a `Value` does not hold everything that JSON can say.
                let Some((before, rest)) = whole.split_once(&holder) else { return whole.into_bytes() };
                let length = serde_json::Deserializer::from_str(rest)
                    .into_iter::<Value>()
                    .next()
                    .map_or(0, |read| read.map_or(0, |value| value.to_string().len()));
                return format!("{before}{holder}{value}{}", &rest[length.min(rest.len())..]).into_bytes();
            }
        }
        Value::from(event).to_string().into_bytes()
    }

    fn member(&mut self, name: &str) -> String {
        let own: Vec<String> = match name {
            "version" => {
                ["0", "2", "-1", "1.0", "1e0", "\"1\"", "18446744073709551616", "-0"].map(str::to_owned).into()
            }
            "type" => ["\"message.sent\"", "\"Message.Send\"", "\"message.send\\u0000\""].map(str::to_owned).into(),
            "messageId" => {
                [NOWHERE, "", "no UUID", "00000000-0000-0000-0000-000000000000", "019bd8a2-0000-7000-8000-00000000000é"]
                    .map(|id| Value::from(id).to_string())
                    .into()
            }
            "channel" => ["", "kafka", "no such", "مرحبا\u{202e}"].map(|name| Value::from(name).to_string()).into(),
            _ => Vec::new(),
        };
        if !own.is_empty() && self.dice.u8(0..4) > 0 {
            return self.dice.choice(own).unwrap_or_default();
        }
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let deeper = "{\"a\":".repeat(self.dice.usize(1..10_000));
        let any = [
            "null",
            "true",
            "{}",
            "[]",
            "1e400",
            "-0",
            "99999999999999999999999",
            "\"\\ud800\"",
            "\"\\u0000\"",
            &deep,
            &deeper,
        ];
        self.dice.choice(any).unwrap_or_default().to_owned()
    }

    fn key(&mut self) -> Option<Vec<u8>> {
        match self.dice.u8(0..6) {
            0 => None,
            1 => Some(Vec::new()),
            2 => Some(b"\xff\xfe\0".to_vec()),
            3 => Some(vec![b'k'; self.dice.usize(1..20_000)]),
            4 => Some(self.our_key.clone()),
            _ => Some(self.dice.u64(..).to_string().into_bytes()),
        }
    }

    fn headers(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let many = if self.dice.u8(0..30) == 0 { 1_000 } else { self.dice.usize(0..4) };
        let names = ["error", "message-id", "original-topic", "retry-count", "traceparent", "", "é", "a\nb"];
        let header = |dice: &mut Rng| {
            let value = dice.choice([None, Some(b"".to_vec()), Some(b"\xff\0".to_vec()), Some(b"text".to_vec())]);
            (dice.choice(names).unwrap_or_default().to_owned(), value.flatten())
        };
        (0..many).map(|_| header(self.dice)).collect()
    }
}
