//! `/account/signed-header`: one's own secret for signed headers.

use super::SecretError;
use crate::cx::Cx;
use crate::http::cookies;
use crate::http::extract::{Form, Page, caller};
use crate::http::failure::Failure;
use crate::http::page::{onward, shell, show, when, with_cookies};
use crate::login::LoginError;
use crate::login::again::{self, AgainError};
use crate::pages::{Nav, Problems, SignedHeaderPage};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The page. Only where the server's owner switched signed headers on.
pub async fn page(Page(cx): Page) -> Result<Response, Failure> {
    shown(&cx, StatusCode::OK, Problems::default()).await
}

async fn shown(cx: &Cx, status: StatusCode, problems: Problems) -> Result<Response, Failure> {
    if !cx.app.config.compat.signed_header {
        return Err(Failure::not_found());
    }
    let since = super::since(cx, caller(cx)?.account()).await?;
    let page = SignedHeaderPage {
        shell: shell(cx, Nav::Account),
        since: since.map(|at| when(at, cx.now)),
        ask_password: !again::is_fresh(cx) || problems.on("confirm").is_some(),
        problems,
    };
    Ok(show(status, &page))
}

/// A new secret, or none.
#[derive(Deserialize)]
pub struct SecretForm {
    #[serde(default)]
    secret: String,
    #[serde(default)]
    confirm: String,
}

impl SecretForm {
    fn password(&self) -> Option<&str> {
        Some(self.confirm.as_str()).filter(|text| !text.is_empty())
    }
}

/// A proof that was refused, as a problem of the form; what no form can show goes on as a failure.
fn refused(error: AgainError) -> Result<(StatusCode, Problems), Failure> {
    let (status, text) = match error {
        AgainError::Wrong => (StatusCode::UNPROCESSABLE_ENTITY, "That is not your present password."),
        AgainError::Required => (StatusCode::UNPROCESSABLE_ENTITY, "Enter your password once more for this."),
        AgainError::Login(LoginError::RateLimited(_)) => {
            (StatusCode::TOO_MANY_REQUESTS, "Too many wrong passwords. Wait a little before the next attempt.")
        }
        other => return Err(other.into()),
    };
    Ok((status, Problems::one("confirm", text)))
}

/// Sets the secret.
pub async fn set(Page(cx): Page, Form(form): Form<SecretForm>) -> Result<Response, Failure> {
    if !cx.app.config.compat.signed_header {
        return Err(Failure::not_found());
    }
    let (status, problems) =
        match again::step_up(&cx, form.password().map(|text| Zeroizing::new(text.to_owned()))).await {
            Ok(proof) => match super::set(&cx, caller(&cx)?, &form.secret, form.password(), &proof).await {
                Ok(()) => {
                    let back = onward("/account/signed-header");
                    return Ok(with_cookies(back, [cookies::renewed(&cx, &proof)]));
                }
                Err(SecretError::Storage(error)) => return Err(error.into()),
                Err(error) => {
                    let failure = Failure::from(error);
                    (failure.status, Problems::one("secret", failure.public))
                }
            },
            Err(error) => refused(error)?,
        };
    shown(&cx, status, problems).await
}

/// Removes the secret.
pub async fn remove(Page(cx): Page, Form(form): Form<SecretForm>) -> Result<Response, Failure> {
    match again::step_up(&cx, form.password().map(|text| Zeroizing::new(text.to_owned()))).await {
        Ok(proof) => {
            super::remove(&cx, caller(&cx)?, &proof).await?;
            Ok(with_cookies(onward("/account/signed-header"), [cookies::renewed(&cx, &proof)]))
        }
        Err(error) => {
            let (status, problems) = refused(error)?;
            shown(&cx, status, problems).await
        }
    }
}
