//! The forms in which a code is shown.

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use qrcode::render::svg;

use crate::application::ports::Code;
use crate::presentation::qr_code::{drawn, in_a_terminal};

/// A code in another form than JSON.
pub struct Shown {
    pub media_type: HeaderValue,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Png,
    Svg,
    Text,
}

/// As the caller accepts it; none for JSON, and for a form that the provider's answer does not yield.
pub fn shown(code: &Code, headers: &HeaderMap) -> Option<Shown> {
    let (media_type, bytes) = match wanted(headers) {
        Form::Json => return None,
        Form::Png => ("image/png", png(code)?),
        Form::Svg => {
            ("image/svg+xml", drawn(code)?.render::<svg::Color>().min_dimensions(256, 256).build().into_bytes())
        }
        Form::Text => ("text/plain; charset=utf-8", in_a_terminal(code)?.into_bytes()),
    };
    Some(Shown { media_type: HeaderValue::from_static(media_type), bytes })
}

/// The first form of the header that there is. Weights are not looked at: clients name what they want.
fn wanted(headers: &HeaderMap) -> Form {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let form = |range: &str| match range.split(';').next().map(str::trim).unwrap_or_default() {
        "image/png" | "image/*" => Some(Form::Png),
        "image/svg+xml" => Some(Form::Svg),
        "text/plain" => Some(Form::Text),
        "application/json" | "application/*" | "*/*" => Some(Form::Json),
        _ => None,
    };
    accepted.split(',').find_map(form).unwrap_or(Form::Json)
}

fn png(code: &Code) -> Option<Vec<u8>> {
    STANDARD.decode(code.image.as_deref()?.strip_prefix("data:image/png;base64,")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_form(accept: &str) -> Option<(String, String)> {
        let image = format!("data:image/png;base64,{}", STANDARD.encode(b"\x89PNG"));
        let code = Code { text: Some("2@AbC,dEf=".to_owned()), image: Some(image) };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        let shown = shown(&code, &headers)?;
        let media_type = shown.media_type.to_str().unwrap().to_owned();
        Some((media_type, String::from_utf8_lossy(&shown.bytes).into_owned()))
    }

    #[test]
    fn a_code_is_shown_as_it_is_accepted() {
        for json in ["", "*/*", "application/json", "text/html, application/json;q=0.9, */*", "image/webp"] {
            assert!(in_form(json).is_none(), "{json}");
        }
        assert_eq!(in_form("image/png, */*").unwrap().0, "image/png");
        assert!(in_form("image/png").unwrap().1.ends_with("PNG"));
        let (media_type, svg) = in_form("image/svg+xml").unwrap();
        assert!(media_type == "image/svg+xml" && svg.contains("<svg"), "{svg}");
        let (_, text) = in_form("text/plain").unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.len() > 10 && lines.iter().all(|line| line.chars().all(|it| "█▀▄ ".contains(it))), "{text}");
    }

    #[test]
    fn what_the_provider_did_not_give_is_not_shown() {
        let none = Code { text: None, image: Some("data:image/jpeg;base64,AA".to_owned()) };
        for accept in ["image/png", "image/svg+xml", "text/plain"] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert!(shown(&none, &headers).is_none());
        }
    }
}
