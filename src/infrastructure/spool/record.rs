//! A record of the spool: a marker, its length, a checksum over both length and content, and the content.

use std::ops::Range;

/// Bytes that no UTF-8 text holds: where one is found in a damaged file, a record begins.
const MARKER: [u8; 4] = [0xf5, 0xc0, 0xf9, 0xff];

const HEADER: usize = 12;

/// What a file begins with.
pub const TITLE: &[u8; 16] = b"correio spool 1\n";

/// Bytes that content takes in a file.
pub fn size(content: &[u8]) -> u64 {
    (HEADER + content.len()) as u64
}

/// Appends a record of this content.
///
/// # Errors
/// None of at most 4 GiB.
pub fn encode(content: &[u8], into: &mut Vec<u8>) -> Option<()> {
    let length = u32::try_from(content.len()).ok()?.to_le_bytes();
    into.extend_from_slice(&MARKER);
    into.extend_from_slice(&length);
    into.extend_from_slice(&checksum(length, content).to_le_bytes());
    into.extend_from_slice(content);
    Some(())
}

fn checksum(length: [u8; 4], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(content);
    hasher.finalize()
}

/// What can be read of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Where the contents are, in order.
    pub contents: Vec<Range<usize>>,
    /// What cannot be read.
    pub unreadable: Vec<Range<usize>>,
    /// The last of what cannot be read is the beginning of a record whose end is not there.
    pub is_torn: bool,
}

/// Every record whose checksum is right, and the rest.
pub fn decode(bytes: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let mut at = if bytes.starts_with(TITLE) { TITLE.len() } else { 0 };
    while at < bytes.len() {
        if let Some(content) = content_at(bytes, at) {
            at = content.end;
            decoded.contents.push(content);
            continue;
        }
        let next = (at + 1..bytes.len()).find(|&next| content_at(bytes, next).is_some());
        let end = next.unwrap_or(bytes.len());
        decoded.is_torn = next.is_none() && is_cut_short(bytes, at);
        decoded.unreadable.push(at..end);
        at = end;
    }
    decoded
}

/// Whether a record begins here that is longer than what follows.
fn is_cut_short(bytes: &[u8], at: usize) -> bool {
    let rest = &bytes[at..];
    let marked = &rest[..rest.len().min(MARKER.len())];
    MARKER.starts_with(marked) && header(rest).is_none_or(|(length, _)| rest.len() - HEADER < length)
}

fn header(rest: &[u8]) -> Option<(usize, u32)> {
    let length = rest.get(4..8)?.try_into().ok()?;
    let checksum = rest.get(8..HEADER)?.try_into().ok()?;
    Some((u32::from_le_bytes(length) as usize, u32::from_le_bytes(checksum)))
}

fn content_at(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = &bytes[at..];
    if !rest.starts_with(&MARKER) {
        return None;
    }
    let (length, expected) = header(rest)?;
    let content = rest.get(HEADER..HEADER.checked_add(length)?)?;
    let length_bytes = rest.get(4..8)?.try_into().ok()?;
    (checksum(length_bytes, content) == expected).then(|| at + HEADER..at + HEADER + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(contents: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = TITLE.to_vec();
        contents.iter().for_each(|content| encode(content, &mut bytes).unwrap());
        bytes
    }

    fn read(bytes: &[u8]) -> Vec<Vec<u8>> {
        decode(bytes).contents.into_iter().map(|range| bytes[range].to_vec()).collect()
    }

    fn texts() -> impl Strategy<Value = Vec<Vec<u8>>> {
        proptest::collection::vec("\\PC{0,12}".prop_map(String::into_bytes), 1..5)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_was_written_is_read(contents in texts()) {
            let decoded = decode(&file(&contents));
            prop_assert!(decoded.unreadable.is_empty() && !decoded.is_torn);
            prop_assert_eq!(read(&file(&contents)), contents);
        }

        /// At every byte of it.
        #[test]
        fn a_file_that_is_cut_gives_every_record_that_is_whole(contents in texts()) {
            let whole = file(&contents);
            let mut ends = vec![];
            let mut end = TITLE.len();
            for content in &contents {
                end += HEADER + content.len();
                ends.push(end);
            }
            for length in 0..whole.len() {
                let cut = &whole[..length];
                let expected = ends.iter().filter(|end| **end <= length).count();
                prop_assert_eq!(read(cut), contents[..expected].to_vec());
                let is_between = length == TITLE.len() || ends.contains(&length);
                prop_assert_eq!(decode(cut).unreadable.is_empty(), is_between || length == 0);
                prop_assert_eq!(decode(cut).is_torn, !is_between && length > TITLE.len());
            }
        }

        /// Every bit of it, one at a time: the record that it lies in is not read, all others are.
        #[test]
        fn a_flipped_bit_costs_one_record_at_the_most(contents in texts()) {
            let whole = file(&contents);
            for bit in 0..whole.len() * 8 {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let found = read(&flipped);
                let lost = found.len() + 1 == contents.len();
                let is_title = bit / 8 < TITLE.len();
                prop_assert!(lost != is_title, "bit {bit}: {} of {}", found.len(), contents.len());
                let without = |index: usize| {
                    let mut others = contents.clone();
                    others.remove(index);
                    others
                };
                prop_assert!(is_title || (0..contents.len()).any(|index| without(index) == found));
                prop_assert!(!decode(&flipped).unreadable.is_empty());
            }
        }

        #[test]
        fn nothing_of_what_is_no_spool_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode(&bytes).contents.is_empty());
        }
    }
}
