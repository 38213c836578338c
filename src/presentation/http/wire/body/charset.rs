//! Texts in other charsets than JSON's.

use axum::body::Bytes;
use axum::http::HeaderMap;
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::content_type::charset_of;

/// As UTF-8, without a mark before it. Its own mark counts first, then what it is, then what it is said to be: many say what is not
/// so. Bytes of which nothing is said are Windows-1252, which has every one.
pub fn in_utf8(headers: &HeaderMap, bytes: Bytes) -> Bytes {
    let said = charset_of(headers).and_then(|label| Encoding::for_label(label.as_bytes()));
    let is_utf8 = said.is_none_or(Encoding::is_ascii_compatible) && std::str::from_utf8(&bytes).is_ok();
    let encoding = match bytes.as_ref() {
        [0xef, 0xbb, 0xbf, ..] => return bytes.slice(3..),
        [0xff, 0xfe, ..] => UTF_16LE,
        [0xfe, 0xff, ..] => UTF_16BE,
        // Of JSON in UTF-16, the first character is of one byte.
        [0, second, ..] if *second != 0 => UTF_16BE,
        [first, 0, ..] if *first != 0 => UTF_16LE,
        _ if is_utf8 => return bytes,
        _ => said.filter(|said| *said != UTF_8).unwrap_or(WINDOWS_1252),
    };
    let (text, _) = encoding.decode_with_bom_removal(&bytes);
    text.into_owned().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use axum::http::header::CONTENT_TYPE;

    use super::*;

    fn read(content_type: &'static str, bytes: &[u8]) -> String {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
        String::from_utf8(in_utf8(&headers, Bytes::copy_from_slice(bytes)).to_vec()).unwrap()
    }

    #[test]
    fn a_text_is_read_whatever_its_charset() {
        let utf16 = |order: fn(u16) -> [u8; 2], text: &str| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let text = "{\"name\": \"José €\"}";
        let marked = format!("\u{feff}{text}");
        for bytes in [
            text.as_bytes().to_vec(),
            marked.as_bytes().to_vec(),
            utf16(u16::to_le_bytes, text),
            utf16(u16::to_be_bytes, text),
            utf16(u16::to_le_bytes, &marked),
            utf16(u16::to_be_bytes, &marked),
            b"{\"name\": \"Jos\xe9 \x80\"}".to_vec(),
        ] {
            for content_type in
                ["application/json", "application/json; charset=utf-8", "text/plain; charset=iso-8859-1"]
            {
                assert_eq!(read(content_type, &bytes), text, "{content_type} {bytes:?}");
            }
        }
        assert_eq!(read("text/plain; charset=koi8-r", b"\xcd\xc9\xd2"), "мир");
        assert_eq!(read("text/plain; charset=iso-2022-jp", b"\x1b$B$\"\x1b(B"), "あ");
        assert_eq!(read("text/plain; charset=none-such", "é".as_bytes()), "é");
    }
}
