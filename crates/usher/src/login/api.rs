//! Logging in, refreshing and logging out through the API, and the OAuth-style password form.

pub mod factors;
pub mod passkeys;

use super::{Attempt, LoginError, Wanted, with_password};
use crate::audit::{Entry, Event, Outcome};
use crate::cx::Cx;
use crate::gate::{self, Door};
use crate::http::cookies;
use crate::http::cors::App as CorsApp;
use crate::http::extract::{self, Form, Json};
use crate::http::failure::{Failure, Problem};
use crate::sessions::{self, EndReason, Kind, Which, cookie, refresh};
use crate::tokens::{self, Audience};
use axum::Extension;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A login.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The name in any spelling.
    #[schema(example = "alice")]
    pub username: String,
    /// The password.
    #[schema(format = Password)]
    pub password: String,
    /// A passcode of the account's authenticator app, or one of its recovery codes. Needed when the account has a second
    /// factor: the answer is `passcode_required` without one.
    #[schema(format = Password)]
    pub passcode: Option<String>,
    /// A name for this device, shown in the list of sessions.
    #[serde(default)]
    pub device: String,
    /// Also set the session cookie; the answer then has no refresh token.
    #[serde(default)]
    pub cookie: bool,
    /// A registered app, whose audience the access token is for. Defaults to the app the request comes from.
    pub app: Option<String>,
}

/// Who is logged in.
#[derive(Serialize, utoipa::ToSchema)]
pub struct AccountBrief {
    /// The account's id.
    pub id: String,
    /// The name as its owner spells it.
    pub username: String,
    /// `user` or `admin`.
    pub role: &'static str,
    /// Whether a new password must be chosen before anything else.
    pub must_change: bool,
    /// Whether a second factor must be set up before anything else.
    pub must_enrol: bool,
}

/// A session's public facts.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SessionBrief {
    /// The session's id. Public; it proves nothing.
    pub id: String,
    /// `browser`, `device` or `api`.
    pub kind: &'static str,
    /// How it was proven (RFC 8176).
    pub amr: Vec<String>,
    /// How strongly: `aal1`, or `aal2` with several factors.
    pub acr: &'static str,
    /// The absolute end, which activity does not move.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// Tokens of a session.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Tokens {
    /// For API calls.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// The access token's life in seconds.
    pub expires_in: u64,
    /// For the next access token; rotates. Absent when the session lives by its cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// For locations only. Present at login, and after a refresh when the one before is past half its life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_token: Option<String>,
}

/// A login that succeeded.
#[derive(Serialize, utoipa::ToSchema)]
pub struct LoginAnswer {
    /// The session that began.
    pub session: SessionBrief,
    /// Whose it is.
    pub account: AccountBrief,
    /// Its tokens.
    #[serde(flatten)]
    pub tokens: Tokens,
}

/// Log in with a username and a password. With `cookie`, the browser also keeps what makes it known: an attempt from it
/// is not slowed by what others guess at the account. A program stays in by refreshing instead.
#[utoipa::path(post, path = "/api/v1/login", tag = "session", request_body = Login, security(()), responses(
    (status = 200, description = "Logged in", body = LoginAnswer),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "The username or the password is wrong; or they are right, and a passcode is missing (`passcode_required`) or wrong (`passcode_invalid`)", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not sent as JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is missing or has another type", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many attempts", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too many logins at once, or no storage", body = Problem, content_type = "application/problem+json")))]
pub async fn login(cx: Cx, app: Option<Extension<CorsApp>>, Json(body): Json<Login>) -> Result<Response, Failure> {
    let audience = audience(&cx, body.app.as_deref(), app.as_ref())?;
    let attempt = Attempt {
        username: body.username,
        password: Zeroizing::new(body.password),
        passcode: body.passcode.map(Zeroizing::new),
        wanted: Wanted {
            kind: if body.cookie { Kind::Browser } else { Kind::Api },
            label: label(&body.device),
            refresh: !body.cookie,
        },
    };
    let logged_in = with_password(&cx, attempt).await?;
    let session = &logged_in.session;
    let caller = gate::admit_new(&cx, session.id, session.kind).await?;
    let tokens = tokens(
        &cx,
        &caller,
        &audience,
        session.refresh.as_ref().map(|first| first.token_for(&cx.app.macs.refresh, session.id, audience.app())),
    )?;
    let answer = LoginAnswer {
        session: SessionBrief {
            id: session.id.to_string(),
            kind: session.kind.word(),
            amr: session.amr.split(' ').map(str::to_owned).collect(),
            acr: sessions::acr(&session.amr),
            expires_at: (cx.now + session.absolute).rfc3339(),
        },
        account: brief(&cx, &caller),
        tokens: Tokens { media_token: Some(tokens::media(&cx, &caller)?), ..tokens },
    };
    let mut response = axum::Json(answer).into_response();
    if body.cookie {
        let value = cookie::mint(&cx.app.macs.cookie, session.id, &session.secret);
        response
            .headers_mut()
            .extend(cookies::set_session(&cx, &value, session.absolute).map(|value| (SET_COOKIE, value)));
        let known = logged_in.device.as_deref().and_then(|device| cookies::set_device(&cx, device));
        if let Some(known) = known {
            response.headers_mut().append(SET_COOKIE, known);
        }
    }
    Ok(response)
}

fn brief(cx: &Cx, caller: &gate::Caller) -> AccountBrief {
    AccountBrief {
        id: caller.account().to_string(),
        username: caller.rights.username.clone(),
        role: caller.rights.role.word(),
        must_change: caller.rights.must_change,
        must_enrol: gate::must_enrol(cx, &caller.rights),
    }
}

fn label(device: &str) -> String {
    device.chars().filter(|c| !c.is_control()).take(80).collect::<String>().trim().to_owned()
}

/// The audience a token is asked for: a registered app's, else this server's own API.
fn audience(cx: &Cx, named: Option<&str>, sender: Option<&Extension<CorsApp>>) -> Result<Audience, Failure> {
    if let Some(Extension(sender)) = sender {
        if named.is_some_and(|name| name != sender.name) {
            return Err(Failure::forbidden());
        }
        return Ok(Audience::App { name: sender.name.clone(), audience: sender.audience.clone() });
    }
    let Some(name) = named else { return Ok(Audience::Own) };
    let known = cx.app.apps.named(name);
    let known = known.ok_or_else(|| Failure::invalid(format!("There is no app named `{name}`.")))?;
    Ok(Audience::App { audience: known.audience().to_owned(), name: known.app.name })
}

fn tokens(
    cx: &Cx,
    caller: &gate::Caller,
    audience: &Audience,
    refresh_token: Option<String>,
) -> Result<Tokens, Failure> {
    // An app's API knows nothing of a password or a factor that must come first, so until then no token is for it.
    let held = caller.rights.must_change || gate::must_enrol(cx, &caller.rights);
    let audience = if held { &Audience::Own } else { audience };
    Ok(Tokens {
        access_token: tokens::access(cx, caller, audience)?,
        token_type: "Bearer",
        expires_in: cx.app.config.tokens.access_life.as_secs(),
        refresh_token,
        media_token: None,
    })
}

/// A refresh: with a refresh token, or, for a registered app's page, with the session cookie and no body.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The refresh token. One that an app was given is good for that app only.
    pub refresh_token: Option<String>,
    /// A registered app, whose audience the access token is for.
    pub app: Option<String>,
}

/// Exchange a refresh token for a new access token and the next refresh token.
#[utoipa::path(post, path = "/api/v1/refresh", tag = "session", request_body = Refresh, security((), ("cookie" = [])), responses(
    (status = 200, description = "New tokens", body = Tokens),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "The refresh token or the session is not valid", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from an origin that is not registered", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not sent as JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is missing or has another type", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn refresh(
    cx: Cx,
    headers: HeaderMap,
    app: Option<Extension<CorsApp>>,
    body: Option<Json<Refresh>>,
) -> Result<axum::Json<Tokens>, Failure> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let audience = audience(&cx, body.app.as_deref(), app.as_ref())?;
    let Some(token) = body.refresh_token else {
        // The cookie proves the session and the Origin, checked before, proves the app. No refresh token is
        // given: a script that could read one would outlive the page it was injected into.
        let caller = extract::admit(&cx, &headers, Door::AppToken).await?;
        return Ok(axum::Json(tokens(&cx, &caller, &audience, None)?));
    };
    let refreshed = refresh::exchange(&cx, &token, audience.app()).await?.map_err(|_| invalid_grant())?;
    let caller = gate::admit_new(&cx, refreshed.session, Kind::Api).await.map_err(ended_meanwhile)?;
    if caller.rights.disabled() {
        return Err(invalid_grant());
    }
    // An app's token stays the app's, also when nobody says again for whom.
    let audience = match &refreshed.app {
        Some(name) => self::audience(&cx, Some(name), None)?,
        None => audience,
    };
    Ok(axum::Json(tokens(&cx, &caller, &audience, Some(refreshed.token))?))
}

/// The token has rotated, and only the access token is missing. A client that hears that storage does not answer asks
/// again with what it has, within the grace time; one that hears that the session is over throws the token away.
fn ended_meanwhile(refusal: gate::Refusal) -> Failure {
    match refusal {
        gate::Refusal::Unavailable => refusal.into(),
        _ => invalid_grant(),
    }
}

fn invalid_grant() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "session_ended", "This refresh token is not valid any more; log in again.")
}

/// A logout: of the session behind the credential, or behind a refresh token.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Logout {
    /// The refresh token, for a program that has nothing else any more.
    pub refresh_token: Option<String>,
}

/// Log out. Everything derived from the session is dead when the answer arrives. Idempotent.
#[utoipa::path(post, path = "/api/v1/logout", tag = "session", request_body = Logout, security((), ("cookie" = []), ("bearer" = [])), responses(
    (status = 204, description = "The session is over, or was before"),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "The access token has expired, and its session may still live: refresh it first", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not sent as JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is missing or has another type", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage: the session may still live", body = Problem, content_type = "application/problem+json")))]
pub async fn logout(cx: Cx, headers: HeaderMap, body: Option<Json<Logout>>) -> Result<Response, Failure> {
    let token = body.and_then(|Json(body)| body.refresh_token);
    let session = match token.and_then(|token| refresh::presented(&cx, &token)) {
        Some(presented) => Some(presented.session),
        None => match extract::admit(&cx, &headers, Door::Leave).await {
            Ok(caller) => caller.session(),
            // Neither may read as a logout: the session behind it can still be live.
            Err(refusal @ (gate::Refusal::Unavailable | gate::Refusal::Expired)) => return Err(refusal.into()),
            Err(_) => None,
        },
    };
    if let Some(session) = session {
        end_own(&cx, session).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().extend(cookies::clear_session(&cx).map(|value| (SET_COOKIE, value)));
    Ok(response)
}

/// Ends the session of whoever logs out.
pub async fn end_own(cx: &Cx, session: crate::id::SessionId) -> Result<(), Failure> {
    let entry = Entry::new(cx, Event::Logout, Outcome::Done);
    let now = cx.now;
    cx.write("login.logout", async move |tx| {
        for ended in sessions::end(tx, Which::One(session), EndReason::Logout, now).await? {
            entry.about(ended.account, ended.id).record(tx).await?;
        }
        Ok(())
    })
    .await?;
    Ok(())
}

/// The password form of OAuth 2.0 as FastAPI clients send it. First party only.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct TokenForm {
    /// The name.
    pub username: String,
    /// The password.
    #[schema(format = Password)]
    pub password: String,
    /// A passcode of the account's authenticator app, or one of its recovery codes, when it has a second factor.
    #[schema(format = Password)]
    pub passcode: Option<String>,
    /// Scopes, separated by spaces. `offline_access` also gives a refresh token.
    #[serde(default)]
    pub scope: String,
    /// Only `password`, if given at all.
    pub grant_type: Option<String>,
    /// A registered client may not use this form.
    pub client_id: Option<String>,
}

/// An error in the form of RFC 6749 section 5.2, with the fields that FastAPI clients read.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TokenError {
    /// The standard's word.
    pub error: &'static str,
    /// A sentence.
    pub error_description: String,
    /// The same sentence.
    pub detail: String,
    /// The code that the rest of the API uses.
    pub code: &'static str,
}

/// Log in as FastAPI's OAuth2 password form does.
#[utoipa::path(post, path = "/token", tag = "session", security(()),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 200, description = "Logged in", body = Tokens),
    (status = 400, description = "The form is not one this route takes", body = TokenError),
    (status = 401, description = "The username or the password is wrong, or a passcode is missing or wrong", body = TokenError),
    (status = 403, description = "The request came from another site", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = TokenError),
    (status = 415, description = "The body is not a form", body = TokenError),
    (status = 422, description = "A field is missing", body = TokenError),
    (status = 429, description = "Too many attempts", body = TokenError),
    (status = 503, description = "Too many logins at once, or no storage", body = TokenError)))]
pub async fn token(cx: Cx, app: Option<Extension<CorsApp>>, form: Result<Form<TokenForm>, Failure>) -> Response {
    match token_by_form(&cx, app.as_ref(), form).await {
        Ok(tokens) => axum::Json(tokens).into_response(),
        Err(failure) => oauth_error(failure),
    }
}

async fn token_by_form(
    cx: &Cx,
    app: Option<&Extension<CorsApp>>,
    form: Result<Form<TokenForm>, Failure>,
) -> Result<Tokens, Failure> {
    let Form(form) = form?;
    if form.grant_type.as_deref().is_some_and(|grant| grant != "password") {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "Only the password form is served here.",
        ));
    }
    if form.client_id.is_some_and(|client| !client.is_empty()) {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            "unauthorized_client",
            "Registered clients may not use this form.",
        ));
    }
    let audience = audience(cx, None, app)?;
    let attempt = Attempt {
        username: form.username,
        password: Zeroizing::new(form.password),
        passcode: form.passcode.map(Zeroizing::new),
        wanted: Wanted {
            kind: Kind::Api,
            label: String::new(),
            refresh: form.scope.split_whitespace().any(|scope| scope == "offline_access"),
        },
    };
    let logged_in = with_password(cx, attempt).await.map_err(|error: LoginError| Failure::from(error))?;
    let session = &logged_in.session;
    let caller = gate::admit_new(cx, session.id, Kind::Api).await?;
    let keys = &cx.app.macs.refresh;
    let refresh = session.refresh.as_ref().map(|first| first.token_for(keys, session.id, audience.app()));
    tokens(cx, &caller, &audience, refresh)
}

fn oauth_error(failure: Failure) -> Response {
    let error = match failure.code {
        "unsupported_grant_type" => "unsupported_grant_type",
        "unauthorized_client" => "unauthorized_client",
        "invalid_credentials" | "passcode_required" | "passcode_invalid" => "invalid_grant",
        "busy" | "unavailable" | "internal" | "rate_limited" => "temporarily_unavailable",
        _ => "invalid_request",
    };
    let body = TokenError {
        error,
        error_description: failure.public.clone(),
        detail: failure.public.clone(),
        code: failure.code,
    };
    let (mut parts, _) = failure.into_response().into_parts();
    parts.headers.remove(http::header::CONTENT_LENGTH);
    let mut response = axum::Json(body).into_response();
    *response.status_mut() = parts.status;
    for name in [http::header::CACHE_CONTROL, http::header::RETRY_AFTER, http::header::WWW_AUTHENTICATE] {
        if let Some(value) = parts.headers.remove(&name) {
            response.headers_mut().insert(name, value);
        }
    }
    *response.extensions_mut() = parts.extensions;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_rotation_a_silent_storage_is_not_told_as_the_end_of_the_session() {
        let told = |refusal| {
            let failure = ended_meanwhile(refusal);
            (failure.status, failure.code)
        };
        assert_eq!(told(gate::Refusal::Unavailable), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
        assert_eq!(told(gate::Refusal::Ended), (StatusCode::UNAUTHORIZED, "session_ended"));
    }
}
