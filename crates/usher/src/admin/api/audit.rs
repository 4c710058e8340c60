//! The audit log, to read.

use super::{Closed, page};
use crate::audit::{self, Event, Filter, Recorded};
use crate::http::extract::{Admin, Query};
use crate::http::failure::{Failure, Problem};
use crate::id::{AccountId, EventId};
use crate::time::Time;
use serde::{Deserialize, Serialize};

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

/// Read the audit log, newest first.
#[utoipa::path(get, path = "/api/v1/audit", tag = "admin", params(AuditQuery), responses(
    (status = 200, description = "A page of events", body = AuditEvents),
    (status = 422, description = "A parameter cannot be read", body = Problem, content_type = "application/problem+json"),
    Closed))]
pub async fn list(Admin(cx): Admin, Query(query): Query<AuditQuery>) -> Result<axum::Json<AuditEvents>, Failure> {
    if !query.event.is_empty() && !known(&query.event) {
        return Err(Failure::invalid(format!("There is no kind of event named `{}`.", query.event)));
    }
    let since = match query.since.as_deref() {
        None | Some("") => None,
        Some(text) => Some(
            text.parse::<jiff::Timestamp>()
                .map(|at| Time(at.as_millisecond()))
                .map_err(|_| Failure::invalid("`since` is an instant such as 2026-01-31T00:00:00Z."))?,
        ),
    };
    let event = (!query.event.is_empty()).then_some(query.event);
    let limit = page(query.limit);
    let filter = Filter { event, account: query.account, since, before: query.before };
    let mut events = audit::list(&cx.app.db, &filter, limit + 1).await?;
    let more = events.len() > limit as usize;
    events.truncate(limit as usize);
    let next = events.last().filter(|_| more).map(|event| event.id.to_string());
    Ok(axum::Json(AuditEvents { events, next }))
}
