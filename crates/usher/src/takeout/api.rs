//! `/api/token`, `/api/code` and `/api/link`.

use super::{Body, bearer};
use crate::cx::Cx;
use crate::devices::{self, Client, DecideError, PollError};
use crate::gate;
use crate::http::cookies;
use crate::http::failure::Failure;
use crate::http::page::{onward, with_cookies};
use crate::login::{self, Attempt, LoginError, Wanted, person};
use crate::sessions::{Kind, cookie, refresh};
use crate::tokens::{self, Audience};
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use std::time::Duration;
use zeroize::Zeroizing;

/// A refusal in the original's form: one line of text.
pub struct Line {
    status: StatusCode,
    text: &'static str,
    retry_after: Option<Duration>,
    failure: Option<Box<Failure>>,
}

impl Line {
    fn new(status: StatusCode, text: &'static str) -> Line {
        Line { status, text, retry_after: None, failure: None }
    }

    /// The one answer to whatever is wrong with a login, a token or a body.
    fn unauthorized() -> Line {
        Line::new(StatusCode::UNAUTHORIZED, "unauthorized")
    }
}

impl IntoResponse for Line {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.text)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if let Some(after) = self.retry_after {
            headers.insert(RETRY_AFTER, after.as_secs().max(1).into());
        }
        // The cause goes to the log where the request is known.
        if let Some(failure) = self.failure {
            response.extensions_mut().insert(*failure);
        }
        response
    }
}

impl From<Failure> for Line {
    fn from(failure: Failure) -> Line {
        let text = match failure.status {
            StatusCode::TOO_MANY_REQUESTS => "too many requests",
            status if status.is_server_error() => "unavailable",
            _ => "unauthorized",
        };
        Line { status: failure.status, text, retry_after: failure.retry_after, failure: Some(Box::new(failure)) }
    }
}

impl From<LoginError> for Line {
    fn from(error: LoginError) -> Line {
        match error {
            LoginError::RateLimited(_) | LoginError::Busy(_) | LoginError::Storage(_) => Failure::from(error).into(),
            LoginError::InvalidCredentials
            | LoginError::PasscodeRequired(_)
            | LoginError::PasscodeInvalid
            | LoginError::PasskeyInvalid => Line::unauthorized(),
        }
    }
}

impl From<usher_db::Error> for Line {
    fn from(error: usher_db::Error) -> Line {
        Failure::from(error).into()
    }
}

/// The three tokens.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Tokens {
    access_token: String,
    refresh_token: String,
    media_token: String,
}

fn tokens(cx: &Cx, caller: &gate::Caller, refresh_token: String) -> Result<axum::Json<Tokens>, Line> {
    Ok(axum::Json(Tokens {
        access_token: tokens::access(cx, caller, &Audience::Own).map_err(Failure::from)?,
        refresh_token,
        media_token: tokens::media(cx, caller).map_err(Failure::from)?,
    }))
}

type Raw = Result<Bytes, BytesRejection>;

/// What `name` is in the body. The original's decoder asks for no content type.
fn text(body: &Body, name: &str) -> Result<String, Line> {
    body.text(name).map(str::to_owned).map_err(|_| Line::unauthorized())
}

fn read(body: Raw) -> Result<Body, Line> {
    let bytes = body.map_err(|error| Line::new(error.status(), "unreadable"))?;
    Body::parse(&bytes).map_err(|_| Line::unauthorized())
}

/// Logs in with a name and a password.
pub async fn log_in(cx: Cx, body: Raw) -> Result<Response, Line> {
    let body = read(body)?;
    let attempt = Attempt {
        username: text(&body, "User")?,
        password: Zeroizing::new(text(&body, "Pass")?),
        passcode: Some(Zeroizing::new(text(&body, "Passcode")?)),
        wanted: Wanted { kind: Kind::Api, label: String::new(), refresh: true },
    };
    let logged_in = login::with_password(&cx, attempt).await?;
    let session = &logged_in.session;
    let caller = gate::admit_new(&cx, session.id, session.kind).await.map_err(Failure::from)?;
    let refresh = session.refresh.as_ref().map(|first| first.token(&cx.app.macs.refresh, session.id));
    Ok(tokens(&cx, &caller, refresh.unwrap_or_default())?.into_response())
}

/// The form of the original's login page: `user`, `pass`.
pub async fn log_in_by_form(cx: &Cx, fields: &[(String, String)]) -> Response {
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value);
    let attempt = Attempt {
        username: field("user").to_owned(),
        password: Zeroizing::new(field("pass").to_owned()),
        passcode: Some(Zeroizing::new(field("passcode").to_owned())),
        wanted: Wanted::browser(),
    };
    match login::with_password(cx, attempt).await {
        Ok(logged_in) => {
            let session = logged_in.session;
            let value = cookie::mint(&cx.app.macs.cookie, session.id, &session.secret);
            let known = logged_in.device.and_then(|device| cookies::set_device(cx, &device));
            with_cookies(onward("/"), [cookies::set_session(cx, &value, session.absolute), known])
        }
        Err(error) => Line::from(error).into_response(),
    }
}

fn shown(headers: &HeaderMap) -> Result<&str, Line> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (Some(one), None) => one.to_str().map(bearer).map_err(|_| Line::unauthorized()),
        _ => Err(Line::unauthorized()),
    }
}

/// Exchanges a refresh token. Several of one token at once all succeed: they are told the same successor.
pub async fn refresh(cx: Cx, headers: HeaderMap) -> Result<Response, Line> {
    let refreshed = refresh::exchange(&cx, shown(&headers)?, None).await?.map_err(|_| Line::unauthorized())?;
    // An app's own token stays that app's, and these clients are none.
    if refreshed.app.is_some() {
        return Err(Line::unauthorized());
    }
    let caller = gate::admit_new(&cx, refreshed.session, Kind::Api).await.map_err(Failure::from)?;
    if caller.rights.disabled() {
        return Err(Line::unauthorized());
    }
    Ok(tokens(&cx, &caller, refreshed.token)?.into_response())
}

/// A code to show, and the token to poll with.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Code {
    access_token: String,
    code: String,
}

/// Makes a code.
pub async fn make_code(cx: Cx) -> Result<Response, Line> {
    let begun = devices::begin(&cx, Client::Takeout, "").await.map_err(Failure::from)?;
    let code = Code { access_token: begun.device.expose().to_owned(), code: begun.user.shown() };
    Ok(axum::Json(code).into_response())
}

/// Asks whether a code was linked. 403 is "not yet, ask again"; whatever else is no success makes the watch throw its
/// code away, so that a poll is never slowed down by a status.
pub async fn poll_code(cx: Cx, headers: HeaderMap, body: Raw) -> Result<Response, Line> {
    let token = shown(&headers)?.to_owned();
    let code = text(&read(body)?, "Code")?;
    let linked = match devices::poll_with(&cx, Client::Takeout, &token, &code).await {
        Ok(linked) => linked,
        Err(PollError::Pending | PollError::SlowDown) => {
            return Err(Line::new(StatusCode::FORBIDDEN, "access denied"));
        }
        Err(PollError::Storage(error)) => return Err(error.into()),
        Err(PollError::Refused | PollError::Expired | PollError::Unknown) => return Err(Line::unauthorized()),
    };
    let session = &linked.session;
    let caller = gate::admit_new(&cx, session.id, session.kind).await.map_err(Failure::from)?;
    let refresh = session.refresh.as_ref().map(|first| first.token(&cx.app.macs.refresh, session.id));
    Ok(tokens(&cx, &caller, refresh.unwrap_or_default())?.into_response())
}

/// Links a code, by somebody who gives their name and password along.
pub async fn link(cx: Cx, body: Raw) -> Result<Response, Line> {
    let body = read(body)?;
    let (user, pass) = (text(&body, "User")?, Zeroizing::new(text(&body, "Pass")?));
    let (code, passcode) = (text(&body, "Code")?, Zeroizing::new(text(&body, "Passcode")?));
    let account = person::prove(&cx, &user, pass, &passcode).await?;
    match devices::approve_as(&cx, account, &code).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT.into_response()),
        // The original's answer to a code that is not one. Its apps only look at whether it is 204.
        Err(DecideError::Unknown) => Err(Line::new(StatusCode::NOT_FOUND, "no such code")),
        Err(error) => Err(Failure::from(error).into()),
    }
}
