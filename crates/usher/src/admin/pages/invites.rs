//! Invitations: make one, see what became of the others, withdraw.

use super::asked::Asked;
use super::{Done, MOST_GROUPS, Names, bucket_choices, bucket_words, buckets, link, sentence};
use crate::accounts::{Buckets, groups as group_rules};
use crate::admin::{self, api::plain};
use crate::config::Signup;
use crate::cx::Cx;
use crate::declared;
use crate::http::extract::{AdminPage, Id, Pairs, Query};
use crate::http::failure::Failure;
use crate::http::page::{onward, shell, show, when};
use crate::id::{GroupId, LinkId};
use crate::login::links::{self, Fate, Gifts, Invite, MadeLink};
use crate::pages::{Choice, InviteLine, InviteState, InvitesPage, Nav, Notice};
use axum::response::Response;
use http::StatusCode;
use std::collections::BTreeSet;

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
    let mut owners = declared::invites(&cx.app.db).await?;
    let mut lines = Vec::new();
    for invite in links::invites(cx, LINES).await? {
        let owner = owners.remove(&invite.id.to_string());
        lines.push(line(cx, &mut names, invite, owner).await?);
    }
    let off = (cx.app.config.accounts.signup == Signup::Off).then(|| {
        "Sign-up is switched off, so an invite cannot be used. Set accounts.signup to invite in usher.toml.".to_owned()
    });
    let every_group = group_rules::list(&cx.app.db, MOST_GROUPS).await?;
    let groups = every_group.into_iter().map(|(group, _)| Choice {
        value: group.id.to_string(),
        label: group.name,
        chosen: false,
    });
    let page = InvitesPage {
        shell: shell(cx, Nav::Admin),
        notice,
        off,
        groups: groups.collect(),
        buckets: bucket_choices(cx, &Buckets::None),
        lines,
        new_link: made.map(|made| link(cx, made)),
    };
    Ok(show(status, &page))
}

async fn line(cx: &Cx, names: &mut Names<'_>, invite: Invite, owner: Option<String>) -> Result<InviteLine, Failure> {
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
    let made_by = match (invite.made_by, owner) {
        (Some(account), _) => names.of(account).await?,
        (None, Some(owner)) => format!("usher apply, as {owner} declares it"),
        (None, None) => "the command line".to_owned(),
    };
    Ok(InviteLine {
        id: invite.id.to_string(),
        note: invite.note,
        made_by,
        created: when(invite.made_at, cx.now),
        state,
        groups: invite.groups.into_iter().map(|(_, name)| name).collect(),
        buckets: bucket_words(&invite.buckets),
    })
}

/// Makes an invitation and shows its link, this once.
pub async fn create(AdminPage(cx): AdminPage, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, "/admin/invites").await? {
        Ok(asked) => {
            let made = create_now(&asked.cx, &form).await;
            asked.answer(&form, made)
        }
        Err(page) => Ok(page),
    }
}

async fn create_now(cx: &Cx, form: &Pairs) -> Result<Response, Failure> {
    let groups: Result<BTreeSet<GroupId>, _> = form.all("groups").into_iter().map(str::parse).collect();
    let gifts = Gifts {
        groups: groups.map_err(|_| Failure::invalid("There is no such group."))?,
        buckets: buckets(cx, form.all("buckets"), &Buckets::None)?,
    };
    match admin::make_invite(cx, &plain(form.first("note"), 200), gifts).await {
        Ok(made) => page(cx, StatusCode::OK, None, Some(&made)).await,
        Err(error) => {
            let notice = Notice::failed(sentence(error)?);
            page(cx, StatusCode::CONFLICT, Some(notice), None).await
        }
    }
}

/// Withdraws an invitation. One that was used or withdrawn meanwhile is shown as what it is.
pub async fn revoke(AdminPage(cx): AdminPage, Id(id): Id<LinkId>) -> Result<Response, Failure> {
    let revoked = links::revoke(&cx, id).await?;
    Ok(onward(if revoked { "/admin/invites?done=revoked" } else { "/admin/invites" }))
}
