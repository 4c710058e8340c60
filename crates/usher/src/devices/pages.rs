//! `/link`: the person types the code of a device, sees what is behind it, and decides.

pub mod tv;

use super::code::UserCode;
use super::{DecideError, LinkCode};
use crate::cx::Cx;
use crate::http::extract::{Form, Page, Query, caller};
use crate::http::failure::Failure;
use crate::http::page::{onward, shell, show, when};
use crate::net::network_of;
use crate::pages::{AskingDevice, LinkPage, LinkState, Nav};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

/// The code from a QR code, and what was just decided.
#[derive(Deserialize)]
pub struct LinkQuery {
    #[serde(default)]
    code: String,
    #[serde(default)]
    done: String,
}

/// Asks for the code. One in the address is only filled in: looking at a device, and letting it in, are POSTs.
pub async fn link_page(Page(cx): Page, Query(query): Query<LinkQuery>) -> Response {
    let code = UserCode::parse(&query.code).map(|code| code.shown()).unwrap_or_default();
    let state = match query.done.as_str() {
        "approved" => LinkState::Done { approved: true },
        "refused" => LinkState::Done { approved: false },
        _ => LinkState::Enter { code, problem: None },
    };
    page(&cx, StatusCode::OK, state)
}

fn page(cx: &Cx, status: StatusCode, state: LinkState) -> Response {
    show(status, &LinkPage { shell: shell(cx, Nav::Elsewhere), state })
}

/// The form with a code.
#[derive(Deserialize)]
pub struct CodeForm {
    code: String,
}

/// A code that did not do, on the page that asks for it; what no form can show goes on as a failure.
fn again(cx: &Cx, error: DecideError, typed: &str) -> Result<Response, Failure> {
    if let DecideError::Storage(error) = error {
        return Err(error.into());
    }
    let failure = Failure::from(error);
    let code: String = typed.chars().take(20).collect();
    let state = LinkState::Enter { code, problem: Some(failure.public.clone()) };
    let mut response = page(cx, failure.status, state);
    if let Some(after) = failure.retry_after {
        response.headers_mut().insert(http::header::RETRY_AFTER, after.as_secs().into());
    }
    Ok(response)
}

/// Shows the device behind a code.
pub async fn open(Page(cx): Page, Form(form): Form<CodeForm>) -> Result<Response, Failure> {
    let username = caller(&cx)?.rights.username.clone();
    match super::open(&cx, &form.code).await {
        Ok(device) => Ok(page(&cx, StatusCode::OK, LinkState::Decide(asking(&cx, device, &form.code, username)))),
        Err(error) => again(&cx, error, &form.code),
    }
}

fn asking(cx: &Cx, device: LinkCode, typed: &str, username: String) -> AskingDevice {
    let near = device.address.parse().is_ok_and(|place| network_of(place) == network_of(cx.request.address));
    AskingDevice {
        code: UserCode::parse(typed).map(|code| code.shown()).unwrap_or_default(),
        name: device.label,
        agent: device.agent,
        place: device.address,
        near,
        asked: when(device.made_at, cx.now),
        username,
    }
}

/// Lets the device in.
pub async fn approve(Page(cx): Page, Form(form): Form<CodeForm>) -> Result<Response, Failure> {
    match super::approve(&cx, &form.code).await {
        Ok(_) => Ok(onward("/link?done=approved")),
        Err(error) => again(&cx, error, &form.code),
    }
}

/// Turns the device away.
pub async fn refuse(Page(cx): Page, Form(form): Form<CodeForm>) -> Result<Response, Failure> {
    match super::refuse(&cx, &form.code).await {
        Ok(_) => Ok(onward("/link?done=refused")),
        Err(error) => again(&cx, error, &form.code),
    }
}
