//! JSON as JavaScript writes it: what the Node bridge did to its clients' data.

use std::borrow::Cow;

/// Well-formed JSON as `JSON.stringify` would write it: without white space, strings with no escapes but the necessary ones, and
/// numbers in their shortest form. A number that JavaScript would round stays as it was written, and so does a string with half of a
/// surrogate pair.
pub fn stringified(json: &str) -> String {
    let bytes = json.as_bytes();
    let mut written = String::with_capacity(json.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let end = match byte {
            b'"' => string_end(bytes, at),
            b'-' | b'0'..=b'9' => number_end(bytes, at),
            _ => at + 1,
        };
        let token = json.get(at..end).unwrap_or_default();
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {}
            b'"' => written.push_str(&string(token)),
            b'-' | b'0'..=b'9' => written.push_str(&number(token)),
            _ => written.push_str(token),
        }
        at = end;
    }
    written
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn number_end(bytes: &[u8], start: usize) -> usize {
    let is_of_number = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
    start + bytes.iter().skip(start).take_while(|byte| is_of_number(byte)).count()
}

fn string(token: &str) -> Cow<'_, str> {
    if !token.contains('\\') {
        return Cow::Borrowed(token);
    }
    // serde_json writes the escapes that JavaScript writes.
    let read = serde_json::from_str::<String>(token).ok();
    read.and_then(|text| serde_json::to_string(&text).ok()).map_or(Cow::Borrowed(token), Cow::Owned)
}

/// As JavaScript writes it, if that is the same number.
pub fn number(token: &str) -> Cow<'_, str> {
    let Some(value) = token.parse::<f64>().ok().filter(|value| value.is_finite()) else { return Cow::Borrowed(token) };
    let mut buffer = ryu_js::Buffer::new();
    // -0 is 0.
    let written = if value == 0.0 { "0" } else { buffer.format_finite(value) };
    if digits(written) == digits(token) { Cow::Owned(written.to_owned()) } else { Cow::Borrowed(token) }
}

/// Significant digits, and where the point is among them: equal for equal numbers.
fn digits(number: &str) -> Option<(String, i64)> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some((String::new(), 0));
    }
    let leading = i64::try_from(digits.len() - significant.len()).ok()?;
    let point = i64::try_from(whole.len()).ok()? - leading + exponent.parse::<i64>().ok()?;
    Some((significant.trim_end_matches('0').to_owned(), point))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_what_javascript_writes() {
        for (json, expected) in [
            (" { \"a\" : [ 1 , true , null ] }\n", r#"{"a":[1,true,null]}"#),
            (r#"{"n":"Jo\u00e3o \/ \u0041 \u0001 \t \u001F"}"#, "{\"n\":\"João / A \\u0001 \\t \\u001f\"}"),
            (
                "[1500.50,10.0,1e3,-0,-0.0,0.10,1E-7,123456789012345680000,1e21]",
                "[1500.5,10,1000,0,0,0.1,1e-7,123456789012345680000,1e+21]",
            ),
            (r#"["\ud83d\ude00"]"#, "[\"😀\"]"),
            (r#""a \" b \\""#, r#""a \" b \\""#),
        ] {
            assert_eq!(stringified(json), expected);
        }
    }

    #[test]
    fn what_javascript_would_spoil_stays() {
        for json in ["[12345678901234567890123]", "[1e400]", "[0.12345678901234567890123]", r#"["\ud83d"]"#, "[1e-400]"]
        {
            assert_eq!(stringified(json), json);
        }
    }
}
