//! The audit log, to read.

use super::{Closed, page};
use crate::admin::one_page;
use crate::audit::{self, Event, Filter, Recorded};
use crate::http::extract::{Admin, Query};
use crate::http::failure::{Failure, Problem};
use crate::id::{AccountId, EventId};
use crate::time::Time;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::{Deserialize, Serialize};

mod export;

/// Which events to list.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// A kind of event, such as `login`.
    #[serde(default)]
    pub event: String,
    /// The id of the account it is about.
    #[param(value_type = Option<String>)]
    pub account: Option<AccountId>,
    /// Not older than this instant (RFC 3339).
    #[param(format = DateTime)]
    pub since: Option<String>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    pub before: Option<EventId>,
    /// How many at most: 50, unless given; never more than 200.
    pub limit: Option<u32>,
}

/// A page of the audit log.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AuditEvents {
    /// Newest first.
    pub events: Vec<Recorded>,
    /// What to send as `before` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Whether there is such a kind of event.
pub fn known(event: &str) -> bool {
    Event::ALL.iter().any(|known| known.word() == event)
}

/// The filter of a query, or what cannot be read of it.
fn filter(event: String, account: Option<AccountId>, since: Option<&str>) -> Result<Filter, Failure> {
    if !event.is_empty() && !known(&event) {
        return Err(Failure::invalid(format!("There is no kind of event named `{event}`.")));
    }
    let since = match since {
        None | Some("") => None,
        Some(text) => Some(
            text.parse::<jiff::Timestamp>()
                .map(|at| Time(at.as_millisecond()))
                .map_err(|_| Failure::invalid("`since` is an instant such as 2026-01-31T00:00:00Z."))?,
        ),
    };
    let event = (!event.is_empty()).then_some(event);
    Ok(Filter { event, account, since, before: None })
}

/// In which form to export.
#[derive(Clone, Copy, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Comma-separated values with a line of names (RFC 4180).
    Csv,
    /// A JSON object on each line.
    Jsonl,
}

/// What to export.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `csv` or `jsonl`.
    #[param(inline)]
    pub format: Form,
    /// A kind of event, such as `login`.
    #[serde(default)]
    pub event: String,
    /// The id of the account it is about.
    #[param(value_type = Option<String>)]
    pub account: Option<AccountId>,
    /// Not older than this instant (RFC 3339).
    #[param(format = DateTime)]
    pub since: Option<String>,
}

/// Export the audit log, newest first, whole or as far as the filter says.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "admin", params(ExportQuery), responses(
    (status = 200, description = "The events, as they are read", content((String = "text/csv"), (String = "application/x-ndjson"))),
    (status = 422, description = "A parameter cannot be read", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn export(Admin(cx): Admin, Query(query): Query<ExportQuery>) -> Result<Response, Failure> {
    let filter = filter(query.event, query.account, query.since.as_deref())?;
    let (kind, name) = match query.format {
        Form::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"audit.csv\""),
        Form::Jsonl => ("application/x-ndjson", "attachment; filename=\"audit.jsonl\""),
    };
    let body = Body::from_stream(export::lines(cx, filter, query.format));
    Ok(([(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, name)], body).into_response())
}

/// Read the audit log, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "admin", params(AuditQuery), responses(
    (status = 200, description = "A page of events", body = AuditEvents),
    (status = 422, description = "A parameter cannot be read", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn list(Admin(cx): Admin, Query(query): Query<AuditQuery>) -> Result<axum::Json<AuditEvents>, Failure> {
    let limit = page(query.limit);
    let filter = Filter { before: query.before, ..filter(query.event, query.account, query.since.as_deref())? };
    let events = audit::list(&cx.app.db, &filter, limit + 1).await?;
    let (events, next) = one_page(events, limit, |event| event.id.to_string());
    Ok(axum::Json(AuditEvents { events, next }))
}
