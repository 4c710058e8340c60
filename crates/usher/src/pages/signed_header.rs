//! `/account/signed-header`: one's own secret for signed headers.

use super::{Problems, Shell, When};
use askama::Template;

/// The page. Posts `/account/signed-header` (`secret`, sometimes `confirm`) and `/account/signed-header/remove`
/// (sometimes `confirm`).
#[derive(Template)]
#[template(path = "signed_header.html")]
pub struct SignedHeaderPage {
    pub shell: Shell,
    /// Since when there is one.
    pub since: Option<When>,
    /// The last login is too long ago: the forms also ask for the present password.
    pub ask_password: bool,
    pub problems: Problems,
}
