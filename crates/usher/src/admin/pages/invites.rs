//! Invitations: make one, see what became of the others, withdraw.

use super::{Done, Names, link, sentence};
use crate::admin;
use crate::config::Signup;
use crate::cx::Cx;
use crate::http::extract::{AdminPage, Id, Query};
use crate::http::failure::Failure;
use crate::http::page::{onward, shell, show, when};
use crate::id::LinkId;
use crate::login::links::{self, Fate, Invite, MadeLink};
use crate::pages::{InviteLine, InviteState, InvitesPage, Nav, Notice};
use axum::response::Response;
use http::StatusCode;

/// Invitations on the page.
const LINES: u32 = 200;

/// The invitations.
pub async fn list(AdminPage(cx): AdminPage, Query(done): Query<Done>) -> Result<Response, Failure> {
    page(&cx, StatusCode::OK, done.notice(), None).await
}

async fn page(
    cx: &Cx,
    status: StatusCode,
    notice: Option<Notice>,
    made: Option<&MadeLink>,
) -> Result<Response, Failure> {
    let mut names = Names::new(cx);
    let mut lines = Vec::new();
    for invite in links::invites(cx, LINES).await? {
        lines.push(line(cx, &mut names, invite).await?);
    }
    let off = (cx.app.config.accounts.signup == Signup::Off).then(|| {
        "Sign-up is switched off, so an invite cannot be used. Set accounts.signup to invite in usher.toml.".to_owned()
    });
    let page = InvitesPage {
        shell: shell(cx, Nav::Admin),
        notice,
        off,
        groups: Vec::new(),
        buckets: Vec::new(),
        lines,
        new_link: made.map(|made| link(cx, made)),
    };
    Ok(show(status, &page))
}

async fn line(cx: &Cx, names: &mut Names<'_>, invite: Invite) -> Result<InviteLine, Failure> {
    let state = match invite.fate {
        Fate::Open => InviteState::Open { until: when(invite.expires_at, cx.now) },
        Fate::Expired => InviteState::Expired { at: when(invite.expires_at, cx.now) },
        Fate::Revoked { at } => InviteState::Revoked { at: when(at, cx.now) },
        Fate::Used { at, by } => {
            let by = match by {
                Some(account) => names.of(account).await?,
                None => "somebody".to_owned(),
            };
            InviteState::Used { by, at: when(at, cx.now) }
        }
    };
    let made_by = match invite.made_by {
        Some(account) => names.of(account).await?,
        None => "the command line".to_owned(),
    };
    Ok(InviteLine { id: invite.id.to_string(), made_by, created: when(invite.made_at, cx.now), state })
}

/// Makes an invitation and shows its link, this once.
pub async fn create(AdminPage(cx): AdminPage) -> Result<Response, Failure> {
    match admin::make_invite(&cx, "").await {
        Ok(made) => page(&cx, StatusCode::OK, None, Some(&made)).await,
        Err(error) => {
            let notice = Notice::failed(sentence(error)?);
            page(&cx, StatusCode::CONFLICT, Some(notice), None).await
        }
    }
}

/// Withdraws an invitation. One that was used or withdrawn meanwhile is shown as what it is.
pub async fn revoke(AdminPage(cx): AdminPage, Id(id): Id<LinkId>) -> Result<Response, Failure> {
    let revoked = links::revoke(&cx, id).await?;
    Ok(onward(if revoked { "/admin/invites?done=revoked" } else { "/admin/invites" }))
}
