//! The admin API: thin doors to the acts of [`crate::admin`].

pub mod audit;
pub mod bulk;
pub mod factors;
pub mod groups;
pub mod invites;
pub mod keys;
pub mod requests;
pub mod users;

use super::AdminError;
use crate::accounts::{self, Buckets};
use crate::cx::Cx;
pub use crate::http::answers::Unread;
use crate::http::failure::{Failure, Problem};
use crate::id::GroupId;
use crate::login::LoginError;
use crate::login::links::MadeLink;
use http::StatusCode;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeSet;

/// The longest page of a list.
const LONGEST_PAGE: u32 = 200;

/// What every route here may refuse.
#[derive(utoipa::IntoResponses)]
pub enum Closed {
    /// No credential, or one that is not valid any more, or its last proof is too old for this (`reauthentication_required`)
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// The caller is no admin, or the request came from another site
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// No storage; nothing was changed
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Failure {
        let conflict = |code, public: &str| Failure::new(StatusCode::CONFLICT, code, public);
        match error {
            AdminError::NotFound => Failure::not_found(),
            AdminError::NoSuchGroup => Failure::invalid("There is no such group."),
            AdminError::LastAdmin => {
                conflict("last_admin", "This is the last admin who can log in. Make another admin first.")
            }
            AdminError::UsernameTaken => {
                conflict("username_taken", "This username is taken, or looks too much like one that is.")
            }
            AdminError::GroupNameTaken => conflict("name_taken", "Another group has this name."),
            AdminError::Weak(weaknesses) => Failure::weak(weaknesses.iter().map(ToString::to_string).collect()),
            AdminError::ProofRequired => Failure::new(
                StatusCode::UNAUTHORIZED,
                "reauthentication_required",
                "Your last login is too long ago for this. Send your password to `/api/v1/me/reauthenticate`, then send \
                 this again.",
            ),
            AdminError::Disabled => conflict("disabled", "This account is disabled. Enable it first."),
            AdminError::NoFactor => conflict("no_factor", "This account has no second factor."),
            AdminError::Factor(error) => error.into(),
            AdminError::SignupOff => conflict(
                "signup_off",
                "Sign-up is switched off, so an invitation could not be used. Set `accounts.signup` to `invite`.",
            ),
            AdminError::Busy(after) => LoginError::Busy(after).into(),
            AdminError::Storage(error) => error.into(),
        }
    }
}

/// A single-use link, shown in this answer only.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SingleUseLink {
    /// The id of the link, by which it can be withdrawn. It opens nothing.
    pub id: String,
    /// Where it leads, secret included.
    pub url: String,
    /// When it ends.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

impl SingleUseLink {
    fn of(cx: &Cx, made: &MadeLink) -> SingleUseLink {
        SingleUseLink {
            id: made.link.id.to_string(),
            url: cx.absolute(&made.path),
            expires_at: made.link.expires_at.rfc3339(),
        }
    }
}

fn page(limit: Option<u32>) -> u32 {
    limit.unwrap_or(50).clamp(1, LONGEST_PAGE)
}

/// The buckets of these names, each of which must be known.
fn buckets(cx: &Cx, names: Vec<String>, held: &Buckets) -> Result<Buckets, Failure> {
    let wanted = Buckets::from_names(names);
    match super::unknown_bucket(cx, &wanted, held) {
        None => Ok(wanted),
        Some(name) => Err(Failure::invalid(format!("There is no bucket named `{name}`."))),
    }
}

/// The groups of these names, each of which must exist.
async fn groups(cx: &Cx, names: &[String]) -> Result<BTreeSet<GroupId>, Failure> {
    let mut found = BTreeSet::new();
    for name in names {
        found.insert(group(cx, name).await?);
    }
    Ok(found)
}

/// The group of this name.
async fn group(cx: &Cx, name: &str) -> Result<GroupId, Failure> {
    let group = accounts::groups::find_by_name(&cx.app.db, name).await?;
    Ok(group.ok_or_else(|| Failure::invalid(format!("There is no group named `{name}`.")))?.id)
}

/// A field that may be absent, `null`, or a value: three different things.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

/// What people wrote, without what cannot be seen, and not longer than `most` characters.
pub(super) fn plain(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect::<String>().trim().to_owned()
}
