//! What is spoken for programs that know an older system.

use super::visit::{Keys, Visit};

/// The `[compat]` section. Everything in it is off until its owner switches it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Compat {
    /// `POST /login` takes signed headers (PyStream, RuStream, FastAPI-UI-Auth), from accounts that set a secret for it.
    pub signed_header: bool,
    /// `/api/token`, `/api/code` and `/api/link` for TakeoutFM's apps.
    pub takeout: bool,
}

impl Keys for Compat {
    fn visit(&mut self, to: &mut dyn Visit) {
        to.setting("signed_header", &mut self.signed_header);
        to.setting("takeout", &mut self.takeout);
    }
}
