//! Proves something of a parser: of every example in `tests/corpus/<parser>/`, then of what becomes of them when they are
//! damaged. A new finding is a new file there.

use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// What parsers are known to stumble over.
const TOKENS: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\"",
    b"\\",
    b"\\ud800",
    b"\\u0000",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"true",
    b"1e400",
    b"-0",
    b"-1",
    b"99999999999999999999",
    b"0.1",
    b"%00",
    b"%",
    b"&",
    b"=",
    b"+",
    b"/",
    b"//",
    b"..",
    b"@",
    b"#",
    b"?",
    b" ",
    b"\t",
    b"\r\n",
    b"e\xcc\x81",
    b"\xe2\x80\xae",
    b"\xf0\x9f\x92\xa3",
    b"\xef\xbb\xbf",
    b"[::1]",
    b"0x7f.1",
    b"infinity",
    b"NaN",
];

/// Deeper than any recursion should go, longer than any limit.
const REPEATED: &[(&[u8], usize)] =
    &[(b"[", 3_000), (b"{\"a\":", 3_000), (b"a", 3_000), (b"\xc3\xa9", 3_000), (b"9", 400)];

/// Whether `property` holds, which panics where it does not.
///
/// # Panics
/// With the example, or with the smallest of the damaged ones that was found.
pub fn prove(parser: &str, property: impl Fn(&[u8])) {
    let examples = examples(parser);
    for (name, example) in &examples {
        // Shown when it fails.
        println!("{name}");
        property(example);
    }
    let examples: Vec<Vec<u8>> = examples.into_iter().map(|(_, example)| example).collect();
    let any = prop_oneof![8 => damaged(examples), 1 => vec(any::<u8>(), 0..200), 1 => "\\PC{0,80}".prop_map(String::into_bytes)];
    let config = Config { failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&any, |bytes| {
            property(&bytes);
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{parser}: {failure}"));
}

/// The same of texts.
///
/// # Panics
/// As `prove`.
pub fn prove_of_texts(parser: &str, property: impl Fn(&str)) {
    prove(parser, |bytes| property(&String::from_utf8_lossy(bytes)));
}

fn examples(parser: &str) -> Vec<(String, Vec<u8>)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(parser);
    let files = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut examples: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            (path.display().to_string(), std::fs::read(path).unwrap())
        })
        .collect();
    assert!(!examples.is_empty(), "no examples in {}", directory.display());
    examples.sort();
    examples
}

fn damaged(examples: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let others = examples.clone();
    (select(examples), vec(damage(others), 0..5)).prop_map(|(mut bytes, damages)| {
        damages.into_iter().for_each(|damage| damage.to(&mut bytes));
        bytes
    })
}

#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index, Index),
    Double(Index, Index),
    Truncate(Index),
    /// The end of another example behind the beginning of this one.
    Splice(Index, Vec<u8>),
}

fn damage(others: Vec<Vec<u8>>) -> impl Strategy<Value = Damage> {
    let place = any::<Index>;
    prop_oneof![
        4 => (place(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        4 => (place(), select(TOKENS)).prop_map(|(at, token)| Damage::Insert(at, token.to_vec())),
        1 => (place(), select(REPEATED)).prop_map(|(at, (token, times))| Damage::Insert(at, token.repeat(times))),
        2 => (place(), place()).prop_map(|(from, to)| Damage::Cut(from, to)),
        1 => (place(), place()).prop_map(|(from, to)| Damage::Double(from, to)),
        1 => place().prop_map(Damage::Truncate),
        1 => (place(), select(others)).prop_map(|(at, other)| Damage::Splice(at, other)),
    ]
}

impl Damage {
    fn to(self, bytes: &mut Vec<u8>) {
        let at = |place: Index, bytes: &[u8]| place.index(bytes.len() + 1);
        match self {
            Damage::Flip(place, bit) => {
                let place = at(place, bytes);
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= 1 << bit;
                }
            }
            Damage::Insert(place, token) => {
                let place = at(place, bytes);
                bytes.splice(place..place, token);
            }
            Damage::Cut(one, other) => {
                let (one, other) = (at(one, bytes), at(other, bytes));
                bytes.drain(one.min(other)..one.max(other));
            }
            Damage::Double(one, other) => {
                let (one, other) = (at(one, bytes), at(other, bytes));
                bytes.extend_from_within(one.min(other)..one.max(other));
            }
            Damage::Truncate(place) => bytes.truncate(at(place, bytes)),
            Damage::Splice(place, other) => {
                let place = at(place, bytes);
                bytes.truncate(place);
                bytes.extend_from_slice(&other[place.min(other.len())..]);
            }
        }
    }
}
