//! The password that a sensitive act asks for in place, and the act that goes on with it.

use crate::cx::Cx;
use crate::http::cookies;
use crate::http::extract::{Pairs, caller};
use crate::http::failure::Failure;
use crate::http::page::{shell, show, with_cookies};
use crate::login::LoginError;
use crate::login::again::{self, AgainError};
use crate::pages::{ConfirmPage, Nav, Problems};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode};
use zeroize::Zeroizing;

/// The field of one's own password.
pub const FIELD: &str = "own_password";
/// Fields that hold secrets: they are never written into a page, so a form that has one asks for itself.
const SECRET: [&str; 2] = [FIELD, "password"];

/// An act that may need a fresh proof, and whoever asks for it, with the proof that was sent along.
pub struct Asked {
    /// As the caller stands after the proof.
    pub cx: Cx,
    cookie: Option<HeaderValue>,
    action: String,
}

/// Why a password that was sent along does not do, in a sentence with its status.
type NotProven = (StatusCode, &'static str);

impl Asked {
    /// Takes the password of the form for the act at `action`, if it holds one.
    ///
    /// # Errors
    /// The inner one is a password that does not do; the outer one is no matter of the form.
    pub async fn of(cx: Cx, form: &Pairs, action: &str) -> Result<Result<Asked, NotProven>, Failure> {
        let (action, password) = (action.to_owned(), form.first(FIELD));
        if password.is_empty() {
            return Ok(Ok(Asked { cx, cookie: None, action }));
        }
        match again::prove_again(&cx, Zeroizing::new(password.to_owned())).await {
            Ok((cx, proof)) => Ok(Ok(Asked { cookie: cookies::renewed(&cx, &proof), cx, action })),
            Err(AgainError::Wrong) => Ok(Err((StatusCode::UNPROCESSABLE_ENTITY, "That is not your present password."))),
            Err(AgainError::Login(LoginError::RateLimited(_))) => Ok(Err((
                StatusCode::TOO_MANY_REQUESTS,
                "Too many wrong passwords. Wait a little before the next attempt.",
            ))),
            Err(error) => Err(error.into()),
        }
    }

    /// The same for a form without secrets: where the password does not do, the page asks for it again.
    pub async fn or_page(cx: Cx, form: &Pairs, action: &str) -> Result<Result<Asked, Response>, Failure> {
        let asking = cx.clone();
        match Asked::of(cx, form, action).await? {
            Ok(asked) => Ok(Ok(asked)),
            Err((status, text)) => Ok(Err(page(&asking, status, form, action, Problems::one(FIELD, text))?)),
        }
    }

    /// The answer to the act: its own, or the page that asks for the password and then goes on with the same act.
    pub fn answer(self, form: &Pairs, outcome: Result<Response, Failure>) -> Result<Response, Failure> {
        let response = match outcome {
            Ok(response) => response,
            Err(failure) if failure.code == "reauthentication_required" => {
                page(&self.cx, StatusCode::FORBIDDEN, form, &self.action, Problems::default())?
            }
            Err(failure) => failure.into_response(),
        };
        Ok(self.keep(response))
    }

    /// The answer with the cookie that a proof renewed.
    pub fn keep(self, response: Response) -> Response {
        with_cookies(response, [self.cookie])
    }
}

fn page(cx: &Cx, status: StatusCode, form: &Pairs, action: &str, problems: Problems) -> Result<Response, Failure> {
    let fields = form.each().filter(|(name, _)| !SECRET.contains(name));
    let page = ConfirmPage {
        shell: shell(cx, Nav::Admin),
        username: caller(cx)?.rights.username.clone(),
        action: action.to_owned(),
        fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        problems,
    };
    Ok(show(status, &page))
}
