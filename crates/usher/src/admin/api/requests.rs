//! Why a request was refused, and the last refusals.

use super::{Closed, page};
use crate::admin::explain;
use crate::audit::Recorded;
use crate::audit::refused::Refused;
use crate::http::extract::{Admin, Query};
use crate::http::failure::{Failure, Problem};
use axum::extract::Path;
use serde::{Deserialize, Serialize};

/// How many refusals to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RefusalsQuery {
    /// How many at most: 50, unless given; never more than 200.
    pub limit: Option<u32>,
}

/// The last refusals that this server remembers.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Refusals {
    /// Newest first.
    pub refusals: Vec<Refused>,
}

/// List the last refusals, each with its exact reason.
#[utoipa::path(get, path = "/api/v1/refusals", tag = "admin", params(RefusalsQuery), responses(
    (status = 200, description = "The refusals", body = Refusals),
    (status = 422, description = "A parameter cannot be read", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn list(Admin(cx): Admin, Query(query): Query<RefusalsQuery>) -> Result<axum::Json<Refusals>, Failure> {
    let most = usize::try_from(page(query.limit)).unwrap_or(0);
    Ok(axum::Json(Refusals { refusals: cx.app.refusals.latest(most) }))
}

/// What is known of a request.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ExplainedRequest {
    /// Its refusal with the exact reason, where it was refused and this server still remembers.
    pub refused: Option<Refused>,
    /// Its events in the audit log, in their order.
    pub events: Vec<Recorded>,
}

/// Say why a request was refused, by the id of its answer (`X-Request-Id`).
#[utoipa::path(get, path = "/api/v1/requests/{id}", tag = "admin", params(("id" = String, Path, description = "The request's id")), responses(
    (status = 200, description = "What is known of it", body = ExplainedRequest),
    (status = 404, description = "Nothing is known of it, any more or at all", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn show(Admin(cx): Admin, Path(id): Path<String>) -> Result<axum::Json<ExplainedRequest>, Failure> {
    let known = explain::explain(&cx, &id).await?.ok_or_else(Failure::not_found)?;
    Ok(axum::Json(ExplainedRequest { refused: known.refused, events: known.events }))
}
