//! The code that connects an instance, drawn.

use qrcode::QrCode;
use qrcode::render::unicode;

use crate::application::ports::Code;

/// None for one that the provider's answer does not yield.
pub fn drawn(code: &Code) -> Option<QrCode> {
    QrCode::new(code.text.as_deref()?).ok()
}

/// In block characters, light on dark, as most terminals are.
pub fn in_a_terminal(code: &Code) -> Option<String> {
    let code = drawn(code)?;
    let rendered = code
        .render::<unicode::Dense1x2>()
        .dark_color(unicode::Dense1x2::Light)
        .light_color(unicode::Dense1x2::Dark)
        .build();
    Some(format!("{rendered}\n"))
}
