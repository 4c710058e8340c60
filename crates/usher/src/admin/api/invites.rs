//! Invitations: list, make, withdraw.

use super::{Closed, SingleUseLink, Unread, buckets, groups, plain};
use crate::accounts::Buckets;
use crate::admin;
use crate::declared;
use crate::http::extract::{Admin, Id, Json};
use crate::http::failure::{Failure, Problem};
use crate::id::LinkId;
use crate::login::links::{self, Fate, Gifts, Invite as Row};
use http::StatusCode;
use serde::{Deserialize, Serialize};

/// Invitations that a list holds at most.
pub const MOST_INVITES: u32 = 200;

/// An invitation. Its link is not kept, so it cannot be shown again.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Invite {
    /// The id, by which it can be withdrawn. It opens nothing.
    pub id: String,
    /// What its maker wrote beside it.
    pub note: String,
    /// `open`, `used`, `revoked` or `expired`.
    pub state: &'static str,
    /// The account that made it.
    pub made_by: Option<String>,
    /// The file of `usher apply` that declares it; absent when none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared_by: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub made_at: String,
    /// When it ends by itself.
    #[schema(format = DateTime)]
    pub expires_at: String,
    /// The account it made.
    pub used_by: Option<String>,
    /// When it was used or withdrawn.
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
    /// The names of the groups that its account gets.
    pub groups: Vec<String>,
    /// The buckets that its account gets, `all` for every one.
    pub buckets: Vec<String>,
}

impl Invite {
    fn of(row: Row, declared_by: Option<String>) -> Invite {
        let (state, used_by, ended_at) = match row.fate {
            Fate::Open => ("open", None, None),
            Fate::Used { at, by } => ("used", by, Some(at)),
            Fate::Revoked { at } => ("revoked", None, Some(at)),
            Fate::Expired => ("expired", None, None),
        };
        Invite {
            id: row.id.to_string(),
            note: row.note,
            state,
            made_by: row.made_by.map(|id| id.to_string()),
            declared_by,
            made_at: row.made_at.rfc3339(),
            expires_at: row.expires_at.rfc3339(),
            used_by: used_by.map(|id| id.to_string()),
            ended_at: ended_at.map(|at| at.rfc3339()),
            groups: row.groups.into_iter().map(|(_, name)| name).collect(),
            buckets: row.buckets.names(),
        }
    }
}

/// The latest invitations.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Invites {
    /// Newest first, at most 200.
    pub invites: Vec<Invite>,
}

/// List the latest invitations.
#[utoipa::path(get, path = "/api/v1/invites", tag = "admin", responses(
    (status = 200, description = "The invitations", body = Invites), Closed))]
pub async fn list(Admin(cx): Admin) -> Result<axum::Json<Invites>, Failure> {
    let mut owners = declared::invites(&cx.app.db).await?;
    let mut invite = |row: Row| {
        let declared_by = owners.remove(&row.id.to_string());
        Invite::of(row, declared_by)
    };
    let invites = links::invites(&cx, MOST_INVITES).await?;
    Ok(axum::Json(Invites { invites: invites.into_iter().map(&mut invite).collect() }))
}

/// An invitation to be made.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvite {
    /// Whom it is for, as a note to oneself.
    #[serde(default)]
    pub note: String,
    /// The names of the groups that the new account gets.
    #[serde(default)]
    pub groups: Vec<String>,
    /// The buckets that the new account gets by name, `all` for every one. None, unless given.
    #[serde(default)]
    pub buckets: Vec<String>,
}

/// Make an invitation: a link that makes one account.
#[utoipa::path(post, path = "/api/v1/invites", tag = "admin", request_body = Option<NewInvite>, responses(
    (status = 201, description = "The link, shown only now", body = SingleUseLink),
    (status = 409, description = "Sign-up is switched off", body = Problem, content_type = "application/problem+json"),
    Unread, Closed))]
pub async fn create(
    Admin(cx): Admin,
    body: Option<Json<NewInvite>>,
) -> Result<(StatusCode, axum::Json<SingleUseLink>), Failure> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let gifts =
        Gifts { groups: groups(&cx, &body.groups).await?, buckets: buckets(&cx, body.buckets, &Buckets::None)? };
    let made = admin::make_invite(&cx, &plain(&body.note, 200), gifts).await?;
    Ok((StatusCode::CREATED, axum::Json(SingleUseLink::of(&cx, &made))))
}

/// Withdraw an invitation that nobody used yet.
#[utoipa::path(delete, path = "/api/v1/invites/{id}", tag = "admin", params(("id" = String, Path, description = "The invitation's id")), responses(
    (status = 204, description = "It cannot be used any more"),
    (status = 404, description = "There is no invitation of this id that is still open", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn revoke(Admin(cx): Admin, Id(id): Id<LinkId>) -> Result<StatusCode, Failure> {
    if links::revoke(&cx, id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(Failure::not_found()) }
}
