//! The signing keys, and turning them.

use super::asked::Asked;
use super::{Done, sentence};
use crate::admin::{self, RotationError};
use crate::cx::Cx;
use crate::http::extract::{AdminPage, Pairs, Query};
use crate::http::failure::Failure;
use crate::http::page::{onward, shell, show, when};
use crate::pages::{KeyLine, KeysPage, Nav, Notice};
use crate::tokens::KeyState;
use crate::tokens::live::{self, KeysError};
use axum::response::Response;
use http::StatusCode;

/// The keys.
pub async fn list(AdminPage(cx): AdminPage, Query(done): Query<Done>) -> Result<Response, Failure> {
    Ok(page(&cx, StatusCode::OK, done.notice()))
}

fn page(cx: &Cx, status: StatusCode, notice: Option<Notice>) -> Response {
    let cache_for = live::rules(cx).cache_for;
    let mut ready = None;
    let keys = cx.app.keys.states().into_iter().map(|(kid, algorithm, state)| {
        let (state, since, until) = match state {
            KeyState::Current { since } => ("Signs", since, None),
            KeyState::Next { published_at } => {
                let at = published_at + cache_for;
                ready = (at > cx.now).then(|| when(at, cx.now));
                ("Waits", published_at, None)
            }
            KeyState::Retired { at, until } => ("Verifies", at, Some(when(until, cx.now))),
        };
        KeyLine { kid, algorithm: algorithm.name(), state, since: when(since, cx.now), until }
    });
    let keys = keys.collect();
    show(status, &KeysPage { shell: shell(cx, Nav::Admin), notice, keys, ready })
}

/// Makes the next key sign.
pub async fn rotate(AdminPage(cx): AdminPage, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, "/admin/keys").await? {
        Ok(asked) => {
            let turned = rotate_now(&asked.cx, &form).await;
            asked.answer(&form, turned)
        }
        Err(page) => Ok(page),
    }
}

async fn rotate_now(cx: &Cx, form: &Pairs) -> Result<Response, Failure> {
    let notice = match admin::rotate_keys(cx, form.first("now") == "yes").await {
        Ok(()) => return Ok(onward("/admin/keys?done=rotated")),
        Err(RotationError::Admin(error)) => Notice::failed(sentence(error)?),
        Err(RotationError::Keys(KeysError::TooSoon(_))) => {
            Notice::failed("The next key may not be known everywhere yet. Tick the box to turn them anyway.")
        }
        Err(RotationError::Keys(error)) => return Err(error.into()),
    };
    Ok(page(cx, StatusCode::CONFLICT, Some(notice)))
}
