//! Everybody's personal tokens, newest first.

use super::{Done, Names};
use crate::admin;
use crate::cx::Cx;
use crate::http::extract::{AdminPage, Id, Query};
use crate::http::failure::Failure;
use crate::http::page::{onward, shell, show, when};
use crate::id::PersonalTokenId;
use crate::pages::{AdminTokenLine, AdminTokensPage, Nav, href};
use crate::tokens::issue;
use crate::tokens::personal::PersonalToken;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

/// Tokens on the page.
const LINES: u32 = 100;

/// Where the page begins.
#[derive(Deserialize)]
pub struct TokensQuery {
    before: Option<PersonalTokenId>,
    #[serde(default)]
    done: String,
}

/// The tokens.
pub async fn list(AdminPage(cx): AdminPage, Query(query): Query<TokensQuery>) -> Result<Response, Failure> {
    let found = issue::newest(&cx, query.before, LINES + 1).await?;
    let (found, next) = admin::one_page(found, LINES, |token| token.id.to_string());
    let mut names = Names::new(&cx);
    let mut lines = Vec::with_capacity(found.len());
    for token in found {
        lines.push(line(&cx, &mut names, token).await?);
    }
    let page = AdminTokensPage {
        shell: shell(&cx, Nav::Admin),
        notice: Done { done: query.done }.notice(),
        lines,
        next: next.map(|before| href::query("/admin/tokens", &[("before", &before)])),
        first: query.before.map(|_| "/admin/tokens".to_owned()),
    };
    Ok(show(StatusCode::OK, &page))
}

async fn line(cx: &Cx, names: &mut Names<'_>, token: PersonalToken) -> Result<AdminTokenLine, Failure> {
    Ok(AdminTokenLine {
        id: token.id.to_string(),
        account: token.account.to_string(),
        username: names.of(token.account).await?,
        name: token.name,
        scopes: token.scopes.into_iter().map(|scope| scope.word()).collect(),
        made: when(token.made_at, cx.now),
        expires: token.expires_at.map(|at| when(at, cx.now)),
        last_used: token.last_used_at.map(|at| when(at, cx.now)),
    })
}

/// Revokes one, whoever's it is.
pub async fn revoke(AdminPage(cx): AdminPage, Id(id): Id<PersonalTokenId>) -> Result<Response, Failure> {
    if issue::revoke_anybodys(&cx, id).await? {
        Ok(onward("/admin/tokens?done=token-revoked"))
    } else {
        Err(Failure::not_found())
    }
}
