//! Why a request was refused, and the last refusals.

use crate::admin::explain;
use crate::audit::refused::Refused;
use crate::cx::Cx;
use crate::http::extract::{AdminPage, Query};
use crate::http::failure::Failure;
use crate::http::page::{shell, show, when};
use crate::pages::{EventLine, Nav, RefusalLine, RefusalsPage};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

/// Refusals on the page.
const LINES: usize = 100;

/// Which request to explain.
#[derive(Deserialize)]
pub struct RefusalsQuery {
    #[serde(default)]
    request: String,
}

/// The last refusals, and what is known of one request.
pub async fn list(AdminPage(cx): AdminPage, Query(query): Query<RefusalsQuery>) -> Result<Response, Failure> {
    let asked = query.request.trim();
    let known = explain::explain(&cx, asked).await?;
    let unknown = !asked.is_empty() && known.is_none();
    let (refused, events) = known.map_or((None, Vec::new()), |known| (known.refused, known.events));
    let page = RefusalsPage {
        shell: shell(&cx, Nav::Admin),
        request: asked.to_owned(),
        unknown,
        refused: refused.map(|refused| line(&cx, refused)),
        events: events
            .into_iter()
            .map(|event| EventLine {
                when: when(event.at, cx.now),
                what: event.event,
                result: event.result,
                target: event.target,
                detail: event.detail,
            })
            .collect(),
        lines: cx.app.refusals.latest(LINES).into_iter().map(|refused| line(&cx, refused)).collect(),
    };
    Ok(show(if unknown { StatusCode::NOT_FOUND } else { StatusCode::OK }, &page))
}

fn line(cx: &Cx, refused: Refused) -> RefusalLine {
    RefusalLine {
        request: refused.request,
        when: when(refused.at, cx.now),
        route: refused.route,
        status: refused.status,
        code: refused.code,
        why: refused.why.unwrap_or_else(|| refused.told.clone()),
        told: refused.told,
        address: refused.address,
    }
}
