//! A QR code as the path of a drawing: the page draws it itself, and nobody else is asked.

use fast_qr::qr::QRBuilder;
use serde::Serialize;
use std::fmt::Write;

/// A square of dark modules, with the quiet zone that readers need around it (ISO/IEC 18004).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Qr {
    /// Width and height of the whole, quiet zone included.
    pub size: usize,
    /// The dark modules, as the `d` of an SVG path.
    pub path: String,
}

/// Modules of white around the code.
const QUIET: usize = 4;

/// The code for `text`; `None` when it is too long for one.
pub fn draw(text: &str) -> Option<Qr> {
    let code = QRBuilder::new(text).build().ok()?;
    let mut path = String::new();
    for y in 0..code.size {
        for (x, _) in code[y].iter().enumerate().filter(|(_, module)| module.value()) {
            // Writing to a string does not fail.
            let _ = write!(path, "M{} {}h1v1h-1z", x + QUIET, y + QUIET);
        }
    }
    Some(Qr { size: code.size + 2 * QUIET, path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_its_three_corners_and_its_margin() {
        let qr = draw("https://media.example/link?code=WDJB-MJHT").unwrap_or(Qr { size: 0, path: String::new() });
        assert!(qr.size > 21 + 8, "{}", qr.size);
        let far = qr.size - QUIET - 1;
        for (x, y) in [(4, 4), (far, 4), (4, far)] {
            assert!(qr.path.contains(&format!("M{x} {y}h1")), "no corner at {x} {y}");
        }
        assert!(!qr.path.contains("M0 ") && !qr.path.contains("M3 "), "the margin is white");
        assert_eq!(draw(&"x".repeat(8_000)), None);
    }
}
