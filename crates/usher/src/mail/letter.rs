//! What letters say. Each is written twice, as plain text and as simple HTML without anything to load.

use crate::cx::Cx;
use crate::secret::carried;
use askama::Template;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A letter, as it lies sealed in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "letter", rename_all = "snake_case")]
pub enum Letter {
    /// The link that proves an address.
    Verify {
        /// Whose address it is to be.
        username: String,
        /// The link's path, secret included.
        #[serde(with = "carried")]
        path: Zeroizing<String>,
    },
    /// The link that replaces a lost password.
    Reset {
        /// Whose.
        username: String,
        /// The link's path, secret included.
        #[serde(with = "carried")]
        path: Zeroizing<String>,
    },
    /// A login on a device that the account had none on.
    NewDevice {
        /// The device's name.
        device: String,
        /// Where it logged in from.
        address: String,
        /// When.
        at: String,
    },
    /// Something changed by which the account is protected.
    Changed {
        /// What, as a sentence.
        what: String,
        /// Where the request came from.
        address: String,
        /// When.
        at: String,
    },
}

/// A letter in words.
pub struct Written {
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
}

/// What both forms of a letter are made of.
struct Words {
    service: String,
    lead: String,
    facts: Vec<(&'static str, String)>,
    link: Option<(&'static str, String)>,
    end: String,
}

#[derive(Template)]
#[template(path = "mail/letter.txt")]
struct Plain<'a>(&'a Words);

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct Html<'a>(&'a Words);

impl Letter {
    /// As it is sealed.
    pub fn to_json(&self) -> Zeroizing<String> {
        Zeroizing::new(serde_json::to_string(self).unwrap_or_default())
    }

    /// As it was sealed; `None` for a letter of a later version.
    pub fn from_json(bytes: &[u8]) -> Option<Letter> {
        serde_json::from_slice(bytes).ok()
    }

    /// The letter in words.
    ///
    /// # Errors
    /// When a template cannot be filled in.
    pub fn written(&self, cx: &Cx) -> Result<Written, String> {
        let service = cx.app.config.server.service_name.clone();
        let (subject, words) = self.words(cx, service);
        let text = Plain(&words).render().map_err(|error| error.to_string())?;
        let html = Html(&words).render().map_err(|error| error.to_string())?;
        Ok(Written { subject, text, html })
    }

    fn words(&self, cx: &Cx, service: String) -> (String, Words) {
        let happened = |lead: String, mut facts: Vec<(&'static str, String)>, address: &str, at: &str| {
            facts.extend([("When", at.to_owned()), ("From", address.to_owned())]);
            let end =
                "If this was you, there is nothing to do. If it was not, change your password now: that ends what \
                others have open."
                    .to_owned();
            let link = Some(("Your account", cx.absolute("/account")));
            Words { service: service.clone(), lead, facts, link, end }
        };
        match self {
            Letter::Verify { username, path } => {
                let lead = format!("Is this the address of the account {username}? Then open this page and say so.");
                let end = "The link works once, for a day. If you do not know this account, do nothing: nobody gets \
                    anything by this letter.";
                let link = Some(("Confirm this address", cx.absolute(path)));
                let words = Words { service: service.clone(), lead, facts: Vec::new(), link, end: end.to_owned() };
                (format!("Confirm your address for {service}"), words)
            }
            Letter::Reset { username, path } => {
                let lead = format!("Somebody asked for a new password for the account {username}.");
                let end =
                    "The link works once, for an hour. If it was not you, do nothing: the password stays as it is.";
                let link = Some(("Choose a new password", cx.absolute(path)));
                let words = Words { service: service.clone(), lead, facts: Vec::new(), link, end: end.to_owned() };
                (format!("A new password for {service}"), words)
            }
            Letter::NewDevice { device, address, at } => {
                let lead = "Your account was logged in to on a device that it was not on before.".to_owned();
                let words = happened(lead, vec![("Device", device.clone())], address, at);
                (format!("A new device at {service}"), words)
            }
            Letter::Changed { what, address, at } => {
                (format!("Your account at {service} was changed"), happened(what.clone(), Vec::new(), address, at))
            }
        }
    }
}
