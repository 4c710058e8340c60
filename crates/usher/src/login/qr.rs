//! Addresses as pictures, made here: a secret is shown to nobody else's server.

use fast_qr::QRCode;
use fast_qr::qr::QRBuilder;
use std::fmt::Write;

/// White squares around the picture, which readers need (ISO/IEC 18004 section 5.3.8).
const MARGIN: usize = 4;

/// A picture of dark squares on a light ground.
pub struct Picture {
    /// The side of the whole, in squares.
    pub side: usize,
    /// The dark ones, as the `d` of an SVG path.
    pub path: String,
}

fn code(text: &str) -> Option<QRCode> {
    QRBuilder::new(text).build().ok()
}

/// The picture of a text. `None` for a text too long for one.
pub fn picture(text: &str) -> Option<Picture> {
    let code = code(text)?;
    let mut path = String::new();
    for y in 0..code.size {
        let mut x = 0;
        while x < code.size {
            let run = (x..code.size).take_while(|x| code[y][*x].value()).count();
            if run > 0 {
                let _ = write!(path, "M{} {}h{run}v1h-{run}z", x + MARGIN, y + MARGIN);
            }
            x += run.max(1);
        }
    }
    Some(Picture { side: code.size + 2 * MARGIN, path })
}

/// The picture as a document of its own (SVG).
pub fn svg(text: &str) -> Option<String> {
    let Picture { side, path } = picture(text)?;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{side}v{side}H0z\"/><path d=\"{path}\"/></svg>"
    ))
}

/// The picture for a terminal.
pub fn terminal(text: &str) -> Option<String> {
    Some(code(text)?.to_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_has_every_dark_square_and_a_margin() {
        let text = "otpauth://totp/a?secret=JBSWY3DPEHPK3PXP";
        let (Some(picture), Some(code)) = (picture(text), code(text)) else { panic!("no picture") };
        assert_eq!(picture.side, code.size + 8);
        let dark = (0..code.size).flat_map(|y| code[y].iter()).filter(|module| module.value()).count();
        let drawn: usize =
            picture.path.split('h').filter_map(|part| part.split('v').next()?.parse::<usize>().ok()).sum();
        assert_eq!(drawn, dark);
        assert!(picture.path.starts_with("M4 4h7v1h-7z"), "the first eye: {}", &picture.path[..20]);
        assert!(super::picture(&"x".repeat(10_000)).is_none());
    }
}
