//! The pages of administration: thin doors to the acts of [`crate::admin`].
//!
//! A form that went through is answered by a redirect, whose `done` says in a word what to tell; a form
//! that did not is shown again with what is wrong. Links with secrets are shown in the answer to the form
//! that made them, and nowhere else. An act that needs a fresh proof asks for the password in place and goes on.

pub mod accounts;
mod asked;
pub mod audit;
pub mod bulk;
pub mod factors;
pub mod groups;
pub mod invites;
pub mod keys;
pub mod refusals;
pub mod server;
pub mod sessions;
pub mod tokens;

use super::AdminError;
use crate::accounts::{self as rules, Buckets};
use crate::cx::Cx;
use crate::http::extract::AdminPage;
use crate::http::failure::Failure;
use crate::http::page::{onward, when};
use crate::id::AccountId;
use crate::login::links::MadeLink;
use crate::pages::{Choice, NewLink, Notice};
use axum::response::Response;
use hashbrown::HashMap;
use serde::Deserialize;

/// Groups that a form offers at most.
const MOST_GROUPS: u32 = 1_000;

/// The beginning of administration.
pub async fn begin(AdminPage(_): AdminPage) -> Response {
    onward("/admin/accounts")
}

/// What was just done, in a word.
#[derive(Deserialize)]
pub struct Done {
    #[serde(default)]
    done: String,
}

impl Done {
    fn notice(&self) -> Option<Notice> {
        let text = match self.done.as_str() {
            "created" => "The account was made.",
            "saved" => "Saved. It holds from now on.",
            "deleted" => "The account and all it owned are gone.",
            "ended" => "Ended. Nothing that hung from it works any more.",
            "group-created" => "The group was made.",
            "group-deleted" => "The group is gone. Its members stayed.",
            "added" => "Added to the group.",
            "removed" => "Removed from the group.",
            "bulk" => "Done, to every account that was ticked.",
            "rotated" => "The next key signs from now on.",
            "token-revoked" => "The token opens nothing any more.",
            "forgiven" => "Forgotten. The account can log in again at once.",
            "revoked" => "The invite cannot be used any more.",
            _ => return None,
        };
        Some(Notice::done(text))
    }
}

/// Checkboxes for every bucket there is, and for those that were given and are not configured now.
fn bucket_choices(cx: &Cx, chosen: &Buckets) -> Vec<Choice> {
    let mut names = cx.app.media.buckets.names();
    let missing = match chosen {
        Buckets::Named(held) => held.iter().filter(|held| !names.contains(held)).cloned().collect(),
        Buckets::None | Buckets::Every => Vec::new(),
    };
    let every = *chosen == Buckets::Every;
    let mut choices =
        vec![Choice { value: "all".to_owned(), label: "All, also those to come".to_owned(), chosen: every }];
    let held = |name: &str| matches!(chosen, Buckets::Named(held) if held.contains(name));
    choices.extend(names.drain(..).map(|name| Choice { chosen: held(&name), label: name.clone(), value: name }));
    choices.extend(missing.into_iter().map(|name: String| Choice {
        label: format!("{name} (not configured now)"),
        value: name,
        chosen: true,
    }));
    choices
}

/// Buckets as a list shows them.
fn bucket_words(buckets: &Buckets) -> Vec<String> {
    match buckets {
        Buckets::Every => vec!["All".to_owned()],
        other => other.names(),
    }
}

/// The ticked buckets, each of which must be known.
fn buckets(cx: &Cx, ticked: Vec<&str>, held: &Buckets) -> Result<Buckets, Failure> {
    let wanted = Buckets::from_names(ticked);
    match super::unknown_bucket(cx, &wanted, held) {
        None => Ok(wanted),
        Some(name) => Err(Failure::invalid(format!("There is no bucket named `{name}`."))),
    }
}

fn link(cx: &Cx, made: &MadeLink) -> NewLink {
    NewLink { url: cx.absolute(&made.path), expires: when(made.link.expires_at, cx.now) }
}

/// A refusal as a sentence for the page; what is no refusal goes on as a failure.
fn sentence(error: AdminError) -> Result<String, Failure> {
    match error {
        AdminError::Storage(_) | AdminError::NotFound | AdminError::Busy(_) | AdminError::ProofRequired => {
            Err(error.into())
        }
        refused => Ok(Failure::from(refused).public),
    }
}

/// Names of accounts for a page, each looked up once.
struct Names<'a> {
    cx: &'a Cx,
    known: HashMap<AccountId, String>,
}

impl<'a> Names<'a> {
    fn new(cx: &'a Cx) -> Names<'a> {
        Names { cx, known: HashMap::new() }
    }

    /// The account's name, or its id when it is gone.
    async fn of(&mut self, id: AccountId) -> Result<String, Failure> {
        if let Some(name) = self.known.get(&id) {
            return Ok(name.clone());
        }
        let found = rules::find(&self.cx.app.db, id).await?;
        let name = found.map_or_else(|| format!("deleted account {id}"), |account| account.username);
        self.known.insert(id, name.clone());
        Ok(name)
    }
}
