//! The page for a wrong turn: what happened, why, and the way on.

use super::{Link, Shell};
use askama::Template;

/// An error in words. Internals belong in the log, under the request id that stands here.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage {
    pub shell: Shell,
    pub status: u16,
    pub title: String,
    /// What happened, in a sentence.
    pub sentence: String,
    /// Why it may have happened.
    pub why: String,
    /// Where to go from here; at least one.
    pub next: Vec<Link>,
    pub request_id: String,
}

/// The wrong turns that have words of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// 400: the request could not be read.
    Unreadable,
    /// 403: known, and not allowed.
    Forbidden,
    /// 403: the form was too old, or was sent from another site.
    StaleForm,
    /// 404
    NotFound,
    /// 405
    Method,
    /// 410: a link that has ended.
    Gone,
    /// 413
    TooLarge,
    /// 429
    TooMany { seconds: u64 },
    /// 500: our fault.
    Ours,
    /// 503: for a while.
    Unavailable,
}

impl ErrorPage {
    /// The page for `wrong`, with the usual ways on.
    pub fn of(wrong: Wrong, shell: Shell, request_id: impl Into<String>) -> ErrorPage {
        let (status, title, sentence, why) = wrong.words();
        let next = if shell.who.is_some() {
            vec![Link::new("Go to the library", "/library"), Link::new("Your account", "/account")]
        } else {
            vec![Link::new("Log in", "/login")]
        };
        let (title, why, request_id) = (title.to_owned(), why.to_owned(), request_id.into());
        ErrorPage { shell, status, title, sentence, why, next, request_id }
    }
}

impl Wrong {
    fn words(self) -> (u16, &'static str, String, &'static str) {
        let (status, title, sentence, why) = match self {
            Wrong::Unreadable => (
                400,
                "We could not read that",
                "The request was not one we understand.",
                "The address may be incomplete, or a form was sent in part.",
            ),
            Wrong::Forbidden => (
                403,
                "This is not open to you",
                "Your account is not allowed to see this page.",
                "It may be for administrators, or in a part of the library that is not shared with you. An administrator can change that.",
            ),
            Wrong::StaleForm => (
                403,
                "Please send that again",
                "The form was too old, so nothing was changed.",
                "This happens when a page stays open for a long time, or after you log in or out in another tab. Go back, reload the page, and try once more.",
            ),
            Wrong::NotFound => (
                404,
                "There is nothing here",
                "We found no page at this address.",
                "It may have been moved, renamed or deleted, or the link has a typing mistake.",
            ),
            Wrong::Method => (
                405,
                "That does not work here",
                "This page cannot be asked for in that way.",
                "Open it from its own page instead.",
            ),
            Wrong::Gone => (
                410,
                "This link has ended",
                "The link worked once, and does not work any more.",
                "Links end when they are used, when their time is over, or when the session behind them is logged out.",
            ),
            Wrong::TooLarge => {
                (413, "That is too much", "What you sent is larger than we accept.", "Send less at once.")
            }
            Wrong::TooMany { seconds } => {
                let sentence = format!("Try again in {}.", super::enter::wait(seconds));
                let why = "There were too many requests in a short time, from you or from your network.";
                return (429, "Slow down a little", sentence, why);
            }
            Wrong::Ours => (
                500,
                "Something went wrong",
                "This is our fault, not yours.",
                "The details are in the server's log. If it happens again, tell an administrator the request number below.",
            ),
            Wrong::Unavailable => (
                503,
                "Back in a moment",
                "We cannot answer this right now.",
                "The server is busy, restarting, or cannot reach its storage. Nothing you sent was saved. Try again shortly.",
            ),
        };
        (status, title, sentence.to_owned(), why)
    }
}
