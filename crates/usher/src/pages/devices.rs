//! `/link`: a code from another screen, and the device behind it.

use super::{Shell, When};
use askama::Template;

/// The page. Posts `/link` (`code`), then `/link/approve` or `/link/refuse` (`code`).
#[derive(Template)]
#[template(path = "link.html")]
pub struct LinkPage {
    pub shell: Shell,
    pub state: LinkState,
}

/// How far it is.
pub enum LinkState {
    /// The code is asked for, or shown once more before anybody looks at what is behind it.
    Enter {
        /// From the address that a QR code holds, or as it was typed.
        code: String,
        /// Why the last one did not do.
        problem: Option<String>,
    },
    /// Who asks, and what for: the person decides.
    Decide(AskingDevice),
    /// It is decided.
    Done {
        /// The device comes for its session now.
        approved: bool,
    },
}

/// `/tv`: posts `/tv/switch` (`session`, sometimes `pin`), `/tv/forget` (`session`) and `/tv/pin` (`pin`, or `remove`).
#[derive(Template)]
#[template(path = "tv.html")]
pub struct TvPage {
    pub shell: Shell,
    /// Everybody on this television, by name.
    pub people: Vec<TvPerson>,
    pub state: TvState,
    pub problem: Option<String>,
}

/// What the television asks.
pub enum TvState {
    /// Who is watching; without anybody, the code for the first one.
    Choose,
    /// Somebody's PIN, before it changes to them.
    Pin { session: String, name: String },
    /// A new PIN for who is watching.
    NewPin { name: String },
}

/// Somebody on a television.
pub struct TvPerson {
    pub session: String,
    pub name: String,
    pub active: bool,
    pub pin: bool,
}

/// A device that asks to be let in.
pub struct AskingDevice {
    /// The code in two groups, to be compared with the one on its screen.
    pub code: String,
    /// What it calls itself. Nobody has checked that.
    pub name: String,
    /// What its program calls itself.
    pub agent: String,
    /// The address it asks from.
    pub place: String,
    /// Whether that is the network of whoever looks at this page.
    pub near: bool,
    /// When it asked.
    pub asked: When,
    /// Whose device it becomes.
    pub username: String,
}
