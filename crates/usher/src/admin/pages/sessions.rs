//! Everybody's live sessions, newest first.

use super::{Done, Names};
use crate::admin;
use crate::cx::Cx;
use crate::gate::Caller;
use crate::http::extract::{AdminPage, Id, Query};
use crate::http::failure::Failure;
use crate::http::page::{onward, shell, show, when};
use crate::id::SessionId;
use crate::pages::{AdminSessionLine, AdminSessionsPage, Nav, href};
use crate::sessions::{Session, own};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

/// Sessions on the page.
const LINES: u32 = 100;

/// Where the page begins.
#[derive(Deserialize)]
pub struct SessionsQuery {
    before: Option<SessionId>,
    #[serde(default)]
    done: String,
}

/// The sessions.
pub async fn list(AdminPage(cx): AdminPage, Query(query): Query<SessionsQuery>) -> Result<Response, Failure> {
    let found = own::newest(&cx, query.before, LINES + 1).await?;
    let (found, next) = admin::one_page(found, LINES, |session| session.id.to_string());
    let mut names = Names::new(&cx);
    let mut lines = Vec::with_capacity(found.len());
    for session in found {
        lines.push(line(&cx, &mut names, session).await?);
    }
    let page = AdminSessionsPage {
        shell: shell(&cx, Nav::Admin),
        notice: Done { done: query.done }.notice(),
        lines,
        next: next.map(|before| href::query("/admin/sessions", &[("before", &before)])),
        first: query.before.map(|_| "/admin/sessions".to_owned()),
    };
    Ok(show(StatusCode::OK, &page))
}

async fn line(cx: &Cx, names: &mut Names<'_>, session: Session) -> Result<AdminSessionLine, Failure> {
    Ok(AdminSessionLine {
        id: session.id.to_string(),
        account: session.account.to_string(),
        username: names.of(session.account).await?,
        label: session.label,
        kind: session.kind.word(),
        place: session.address,
        last_used: when(session.last_used_at, cx.now),
        started: when(session.created_at, cx.now),
        this: cx.caller.as_ref().and_then(Caller::session) == Some(session.id),
    })
}

/// Ends one, whoever's it is.
pub async fn end(AdminPage(cx): AdminPage, Id(id): Id<SessionId>) -> Result<Response, Failure> {
    admin::end_session(&cx, None, id).await?;
    Ok(onward("/admin/sessions?done=ended"))
}
