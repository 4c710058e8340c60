//! Second factors of others.

use super::{Closed, SingleUseLink};
use crate::accounts;
use crate::admin::factors;
use crate::gate;
use crate::http::extract::{Admin, Id, Json};
use crate::http::failure::{Failure, Problem};
use crate::id::{AccountId, GroupId};
use crate::login::factors as rules;
use http::StatusCode;
use serde::{Deserialize, Serialize};

/// The second factors of an account, without what they are.
#[derive(Serialize, utoipa::ToSchema)]
pub struct UserFactors {
    /// Whether an authenticator app is asked for.
    pub totp: bool,
    /// Since when.
    #[schema(format = DateTime)]
    pub totp_since: Option<String>,
    /// How many passkeys it has.
    pub passkeys: u32,
    /// Recovery codes that are unused.
    pub recovery_codes_left: u32,
    /// Whether a second factor is demanded of this account itself.
    pub required: bool,
    /// Whether one is demanded by anything: the account, its groups, its role.
    pub demanded: bool,
}

/// Look at the second factors of an account.
#[utoipa::path(get, path = "/api/v1/users/{id}/factors", tag = "admin", params(("id" = String, Path, description = "The account's id")), responses(
    (status = 200, description = "How they stand", body = UserFactors),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn show(Admin(cx): Admin, Id(id): Id<AccountId>) -> Result<axum::Json<UserFactors>, Failure> {
    let rights = cx.app.accounts.rights(&cx.app.db, id).await?.ok_or_else(Failure::not_found)?;
    let state = rules::find(&cx.app.db, id).await?;
    Ok(axum::Json(UserFactors {
        totp: state.totp.is_some(),
        totp_since: state.totp.map(|secret| secret.since.rfc3339()),
        passkeys: state.passkeys,
        recovery_codes_left: state.recovery.left,
        required: state.demanded_at.is_some(),
        demanded: gate::demands_factor(&cx, &rights),
    }))
}

/// What is demanded.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// Whether there must be a second factor.
    pub required: bool,
}

/// Demand a second factor of an account, or no more. Who has none sets one up before anything else, from now on.
#[utoipa::path(put, path = "/api/v1/users/{id}/factors", tag = "admin", request_body = Demand, params(("id" = String, Path, description = "The account's id")), responses(
    (status = 204, description = "So it is"),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not sent as JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is missing or has another type", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn demand(Admin(cx): Admin, Id(id): Id<AccountId>, Json(body): Json<Demand>) -> Result<StatusCode, Failure> {
    factors::demand(&cx, id, body.required).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Demand a second factor of everybody in a group, or no more.
#[utoipa::path(put, path = "/api/v1/groups/{id}/factors", tag = "admin", request_body = Demand, params(("id" = String, Path, description = "The group's id")), responses(
    (status = 204, description = "So it is"),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There is no such group", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not sent as JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is missing or has another type", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn demand_of_group(
    Admin(cx): Admin,
    Id(id): Id<GroupId>,
    Json(body): Json<Demand>,
) -> Result<StatusCode, Failure> {
    factors::demand_of_group(&cx, id, body.required).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take the second factors of an account away. Its owner is told at the next login.
#[utoipa::path(delete, path = "/api/v1/users/{id}/factors", tag = "admin", params(("id" = String, Path, description = "The account's id")), responses(
    (status = 204, description = "They are gone"),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "It has none (`no_factor`)", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn remove(Admin(cx): Admin, Id(id): Id<AccountId>) -> Result<StatusCode, Failure> {
    factors::remove(&cx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a link that stands in for a lost second factor, once and beside the password.
#[utoipa::path(post, path = "/api/v1/users/{id}/recovery-link", tag = "admin", params(("id" = String, Path, description = "The account's id")), responses(
    (status = 201, description = "The link, shown only now", body = SingleUseLink),
    (status = 404, description = "There is no such account", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "The account is disabled, or has no second factor (`no_factor`)", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn recovery_link(
    Admin(cx): Admin,
    Id(id): Id<AccountId>,
) -> Result<(StatusCode, axum::Json<SingleUseLink>), Failure> {
    if accounts::find(&cx.app.db, id).await?.is_none() {
        return Err(Failure::not_found());
    }
    let made = factors::make_recovery_link(&cx, id).await?;
    Ok((StatusCode::CREATED, axum::Json(SingleUseLink::of(&cx, &made))))
}
