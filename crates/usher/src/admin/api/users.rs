//! Accounts: list, make, change, remove; their sessions and reset links.

use super::{Closed, SingleUseLink, Unread, buckets, given, groups, page};
use crate::accounts::profile::DisplayName;
use crate::accounts::username::Username;
use crate::accounts::{self, Buckets, Role, Standing};
use crate::admin::{self, Change, Details};
use crate::cx::Cx;
use crate::http::extract::{Admin, Id, Json, Query};
use crate::http::failure::{Failure, Problem};
use crate::id::{AccountId, SessionId};
use crate::sessions::{self, Session};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// An account, as an admin sees it.
#[derive(Serialize, utoipa::ToSchema)]
pub struct User {
    /// The account's id.
    pub id: String,
    /// The name as its owner spells it.
    pub username: String,
    /// How pages address its owner.
    pub display_name: Option<String>,
    /// `user` or `admin`.
    pub role: &'static str,
    /// Whether it is shut out.
    pub disabled: bool,
    /// Since when it is shut out.
    #[schema(format = DateTime)]
    pub disabled_at: Option<String>,
    /// Whether a new password must be chosen at the next login.
    pub must_change: bool,
    /// Whether its email address is proven.
    pub verified: bool,
    /// Its own buckets, `all` for every one; its groups may open more.
    pub buckets: Vec<String>,
    /// The names of its groups.
    pub groups: Vec<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The last login that succeeded.
    #[schema(format = DateTime)]
    pub last_login_at: Option<String>,
}

impl From<Details> for User {
    fn from(details: Details) -> User {
        let account = details.account;
        let disabled_at = match account.standing {
            Standing::Active => None,
            Standing::Disabled { at } => Some(at.rfc3339()),
        };
        User {
            id: account.id.to_string(),
            username: account.username,
            display_name: account.display_name,
            role: account.role.word(),
            disabled: disabled_at.is_some(),
            disabled_at,
            must_change: account.must_change_at.is_some(),
            verified: account.verified_at.is_some(),
            buckets: details.buckets.names(),
            groups: details.groups.into_iter().map(|group| group.name).collect(),
            created_at: account.created_at.rfc3339(),
            last_login_at: account.last_login_at.map(|at| at.rfc3339()),
        }
    }
}

/// Which accounts to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UserQuery {
    /// A part of the name.
    #[serde(default)]
    pub q: String,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    pub after: Option<AccountId>,
    /// How many at most: 50, unless given; never more than 200.
    pub limit: Option<u32>,
}

/// A page of accounts, in the order of their names.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Users {
    /// The accounts.
    pub users: Vec<User>,
    /// What to send as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// List accounts in the order of their names.
#[utoipa::path(get, path = "/api/v1/users", tag = "admin", params(UserQuery), responses(
    (status = 200, description = "A page of accounts", body = Users),
    (status = 422, description = "A parameter cannot be read, or the account to go on after is gone", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn list(Admin(cx): Admin, Query(query): Query<UserQuery>) -> Result<axum::Json<Users>, Failure> {
    let listed = admin::list(&cx.app.db, &query.q, query.after, page(query.limit)).await?;
    let listed = listed.ok_or_else(|| Failure::invalid("The account to go on after is gone; begin again."))?;
    Ok(axum::Json(Users {
        users: listed.accounts.into_iter().map(User::from).collect(),
        next: listed.next.map(|id| id.to_string()),
    }))
}

/// An account to be made.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name.
    #[schema(example = "alice")]
    pub username: String,
    /// Its first password. Without one, the answer holds a link by which its owner chooses it.
    #[schema(format = Password)]
    pub password: Option<String>,
    /// Whether its owner must choose another password at the first login.
    #[serde(default)]
    pub must_change: bool,
    /// `user`, unless given, or `admin`.
    #[schema(value_type = Option<String>, example = "user")]
    pub role: Option<Role>,
    /// Its own buckets by name, `all` for every one. None, unless given.
    #[serde(default)]
    pub buckets: Vec<String>,
    /// The names of its groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// How pages address its owner.
    pub display_name: Option<String>,
}

/// An account that was made.
#[derive(Serialize, utoipa::ToSchema)]
pub struct CreatedUser {
    /// The account.
    #[serde(flatten)]
    pub user: User,
    /// The link by which its owner chooses a password, when it was made without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_link: Option<SingleUseLink>,
}

/// Make an account.
#[utoipa::path(post, path = "/api/v1/users", tag = "admin", request_body = NewUser, responses(
    (status = 201, description = "The account was made", body = CreatedUser),
    (status = 409, description = "The username is taken, or looks too much like one that is", body = Problem, content_type = "application/problem+json"),
    Unread, Closed))]
pub async fn create(Admin(cx): Admin, Json(body): Json<NewUser>) -> Result<Response, Failure> {
    let username = Username::parse(&body.username).map_err(|error| Failure::invalid(error.to_string()))?;
    let new = admin::NewAccount {
        username,
        password: body.password.map(Zeroizing::new),
        must_change: body.must_change,
        role: body.role.unwrap_or(Role::User),
        buckets: buckets(&cx, body.buckets, &Buckets::None)?,
        groups: groups(&cx, &body.groups).await?,
        display_name: display_name(body.display_name)?,
    };
    let created = admin::create(&cx, new).await?;
    let answer = CreatedUser {
        user: load(&cx, created.id).await?,
        reset_link: created.reset_link.as_ref().map(|made| SingleUseLink::of(&cx, made)),
    };
    let location = [(LOCATION, format!("/api/v1/users/{}", created.id))];
    Ok((StatusCode::CREATED, location, axum::Json(answer)).into_response())
}

fn display_name(text: Option<String>) -> Result<Option<DisplayName>, Failure> {
    match text {
        None => Ok(None),
        Some(text) => DisplayName::parse(&text).map_err(|error| Failure::invalid(error.to_string())),
    }
}

async fn load(cx: &Cx, id: AccountId) -> Result<User, Failure> {
    admin::find(&cx.app.db, id).await?.map(User::from).ok_or_else(Failure::not_found)
}

/// One account.
#[utoipa::path(get, path = "/api/v1/users/{id}", tag = "admin", params(("id" = String, Path, description = "The account's id")), responses(
    (status = 200, description = "The account", body = User),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn show(Admin(cx): Admin, Id(id): Id<AccountId>) -> Result<axum::Json<User>, Failure> {
    Ok(axum::Json(load(&cx, id).await?))
}

/// What to change of an account. What is absent stays.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserChange {
    /// `user` or `admin`.
    #[schema(value_type = Option<String>, example = "user")]
    pub role: Option<Role>,
    /// Shuts the account out and ends everything it holds, or lets it in again.
    pub disabled: Option<bool>,
    /// Its own buckets, `all` for every one.
    pub buckets: Option<Vec<String>>,
    /// The names of its groups: all of them.
    pub groups: Option<Vec<String>>,
    /// How pages address its owner; `null` takes the name away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub display_name: Option<Option<String>>,
    /// Always refused: the password of an account that exists is its owner's to choose, by a reset link.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    password: Option<IgnoredAny>,
}

/// Change an account: all that is asked, or nothing.
#[utoipa::path(patch, path = "/api/v1/users/{id}", tag = "admin", request_body = UserChange,
    params(("id" = String, Path, description = "The account's id")), responses(
    (status = 200, description = "The account as it is now", body = User),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It would leave no admin who can log in", body = Problem, content_type = "application/problem+json"),
    Unread, Closed))]
pub async fn change(
    Admin(cx): Admin,
    Id(id): Id<AccountId>,
    Json(body): Json<UserChange>,
) -> Result<axum::Json<User>, Failure> {
    if body.password.is_some() {
        // Whoever could set a password could be its owner to everybody else, and leave no trace of it.
        return Err(Failure::invalid(
            "The password of an account is its owner's to choose. Make a reset link instead.",
        ));
    }
    let before = admin::find(&cx.app.db, id).await?.ok_or_else(Failure::not_found)?;
    let change = Change {
        role: body.role,
        disabled: body.disabled,
        buckets: body.buckets.map(|names| buckets(&cx, names, &before.buckets)).transpose()?,
        groups: match &body.groups {
            Some(names) => Some(groups(&cx, names).await?),
            None => None,
        },
        display_name: body.display_name.map(display_name).transpose()?,
    };
    admin::change(&cx, id, change).await?;
    Ok(axum::Json(load(&cx, id).await?))
}

/// Remove an account and everything it owns.
#[utoipa::path(delete, path = "/api/v1/users/{id}", tag = "admin", params(("id" = String, Path, description = "The account's id")), responses(
    (status = 204, description = "The account is gone; what it held admits nobody"),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It is the last admin who can log in", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn remove(Admin(cx): Admin, Id(id): Id<AccountId>) -> Result<StatusCode, Failure> {
    admin::delete(&cx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a link by which the account's owner chooses a new password. It replaces the one before.
#[utoipa::path(post, path = "/api/v1/users/{id}/reset-link", tag = "admin", params(("id" = String, Path, description = "The account's id")), responses(
    (status = 201, description = "The link, shown only now", body = SingleUseLink),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "The account is disabled", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn reset_link(
    Admin(cx): Admin,
    Id(id): Id<AccountId>,
) -> Result<(StatusCode, axum::Json<SingleUseLink>), Failure> {
    let made = admin::make_reset_link(&cx, id).await?;
    Ok((StatusCode::CREATED, axum::Json(SingleUseLink::of(&cx, &made))))
}

/// Forget the wrong passwords that were tried at an account, so that its owner may log in again at once.
#[utoipa::path(post, path = "/api/v1/users/{id}/forgive", tag = "admin", params(("id" = String, Path, description = "The account's id")), responses(
    (status = 204, description = "They are forgotten, or there were none"),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn forgive(Admin(cx): Admin, Id(id): Id<AccountId>) -> Result<StatusCode, Failure> {
    admin::forgive(&cx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How many sessions were ended.
#[derive(Serialize, utoipa::ToSchema)]
pub struct EndedSessions {
    /// So many.
    pub ended: usize,
}

/// End all sessions of an account. Everything derived from them is dead when the answer arrives.
#[utoipa::path(post, path = "/api/v1/users/{id}/end-sessions", tag = "admin", params(("id" = String, Path, description = "The account's id")), responses(
    (status = 200, description = "The sessions are over", body = EndedSessions),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn end_sessions(Admin(cx): Admin, Id(id): Id<AccountId>) -> Result<axum::Json<EndedSessions>, Failure> {
    Ok(axum::Json(EndedSessions { ended: admin::end_sessions(&cx, id).await? }))
}

/// A live session of somebody's.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UserSession {
    /// The session's id. Public; it proves nothing.
    pub id: String,
    /// `browser`, `device` or `api`.
    pub kind: &'static str,
    /// The device in its owner's words, or what its user agent says.
    pub label: String,
    /// How it was proven (RFC 8176).
    pub amr: Vec<String>,
    /// Where the login came from.
    pub address: String,
    /// What the client called itself.
    pub agent: String,
    /// The login.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The last use, up to a minute behind.
    #[schema(format = DateTime)]
    pub last_used_at: String,
    /// The absolute end.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

impl From<Session> for UserSession {
    fn from(session: Session) -> UserSession {
        UserSession {
            id: session.id.to_string(),
            kind: session.kind.word(),
            label: session.label,
            amr: session.amr.split_whitespace().map(str::to_owned).collect(),
            address: session.address,
            agent: session.agent,
            created_at: session.created_at.rfc3339(),
            last_used_at: session.last_used_at.rfc3339(),
            expires_at: session.expires_at.rfc3339(),
        }
    }
}

/// The sessions of an account that can be used.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UserSessions {
    /// Last used first.
    pub sessions: Vec<UserSession>,
}

/// List the live sessions of an account.
#[utoipa::path(get, path = "/api/v1/users/{id}/sessions", tag = "admin", params(("id" = String, Path, description = "The account's id")), responses(
    (status = 200, description = "The sessions", body = UserSessions),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn list_sessions(Admin(cx): Admin, Id(id): Id<AccountId>) -> Result<axum::Json<UserSessions>, Failure> {
    if accounts::find(&cx.app.db, id).await?.is_none() {
        return Err(Failure::not_found());
    }
    let live = sessions::own::list(&cx, id).await?;
    Ok(axum::Json(UserSessions { sessions: live.into_iter().map(UserSession::from).collect() }))
}

/// End anybody's session. Idempotent.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "admin", params(("id" = String, Path, description = "The session's id")), responses(
    (status = 204, description = "The session is over, or was before"),
    (status = 404, description = "There never was such a session", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn end_session(Admin(cx): Admin, Id(id): Id<SessionId>) -> Result<StatusCode, Failure> {
    admin::end_session(&cx, None, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
