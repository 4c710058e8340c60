//! `/oauth/device_authorization` and `/oauth/token`.

use super::{DEVICE_GRANT, Parameters};
use crate::cx::Cx;
use crate::devices::{self, BeginError, Client, Linked, PollError};
use crate::gate;
use crate::http::extract::Form;
use crate::http::failure::Failure;
use crate::sessions::Kind;
use crate::tokens::{self, Audience};
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use std::time::Duration;

/// A refusal in the form of RFC 6749 section 5.2.
#[derive(Serialize, utoipa::ToSchema)]
pub struct OAuthError {
    /// The standard's word.
    #[schema(example = "authorization_pending")]
    pub error: &'static str,
    /// A sentence.
    pub error_description: String,
}

/// A refusal on its way out.
pub struct Refused {
    status: StatusCode,
    error: OAuthError,
    retry_after: Option<Duration>,
    failure: Option<Box<Failure>>,
}

impl Refused {
    pub(super) fn new(error: &'static str, description: impl Into<String>) -> Refused {
        let error = OAuthError { error, error_description: description.into() };
        Refused { status: StatusCode::BAD_REQUEST, error, retry_after: None, failure: None }
    }

    /// RFC 6749 section 5.2: 401 with a challenge where a header was tried, 400 otherwise. A challenge that nobody asked
    /// for would open a browser's own password window.
    fn client(tried_header: bool) -> Refused {
        let sentence = "There is no such client. Devices use `usher-device`, without a secret.";
        let status = if tried_header { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        Refused { status, ..Refused::new("invalid_client", sentence) }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.error)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"usher\""));
        }
        if let Some(after) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, after.as_secs().max(1).into());
        }
        // The cause goes to the log where the request is known.
        if let Some(failure) = self.failure {
            response.extensions_mut().insert(*failure);
        }
        response
    }
}

/// What went wrong before or beneath OAuth, in its words.
impl From<Failure> for Refused {
    fn from(failure: Failure) -> Refused {
        let error = match failure.code {
            "internal" => "server_error",
            "unavailable" | "busy" | "rate_limited" => "temporarily_unavailable",
            _ => "invalid_request",
        };
        // A body that cannot be read has one status here; one that is too large or too late keeps its own.
        let status = match failure.status {
            StatusCode::UNSUPPORTED_MEDIA_TYPE | StatusCode::UNPROCESSABLE_ENTITY => StatusCode::BAD_REQUEST,
            other => other,
        };
        let retry_after = failure.retry_after;
        Refused { status, retry_after, failure: Some(Box::new(failure.clone())), ..Refused::new(error, failure.public) }
    }
}

/// The body of a request to an OAuth endpoint, or why it could not be read.
pub(super) type Pairs = Result<Form<Vec<(String, String)>>, Failure>;

/// The parameters of a request.
pub(super) fn read(form: Pairs) -> Result<Parameters, Refused> {
    let Form(pairs) = form?;
    Parameters::new(pairs).map_err(|repeated| Refused::new("invalid_request", format!("{repeated}.")))
}

/// The parameters of a request of the built-in client. It has no secret, so that one that is shown is a mistake.
fn parameters(headers: &HeaderMap, form: Pairs) -> Result<(Parameters, Client), Refused> {
    let all = read(form)?;
    let tried_header = headers.contains_key(AUTHORIZATION);
    if tried_header || all.get("client_secret").is_some() {
        return Err(Refused::client(tried_header));
    }
    match all.get("client_id") {
        None => Err(Refused::new("invalid_request", "The parameter `client_id` is missing.")),
        Some(id) if id == Client::Device.id() => Ok((all, Client::Device)),
        Some(_) => Err(Refused::client(false)),
    }
}

/// What a device sends to be given a code.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it describes a form that is read as pairs, so that a repeated parameter is noticed")]
pub struct DeviceAuthorizationForm {
    /// `usher-device`.
    #[schema(example = "usher-device")]
    client_id: String,
    /// Nothing, or `offline_access`, which a device has anyway.
    scope: Option<String>,
    /// What the device calls itself, shown to whoever is asked. An extension of ours.
    #[schema(example = "Living room")]
    device_name: Option<String>,
}

/// A code, and what to poll with (RFC 8628 section 3.2).
#[derive(Serialize, utoipa::ToSchema)]
pub struct DeviceAuthorization {
    /// The device's own secret, for polling.
    pub device_code: String,
    /// What it shows.
    #[schema(example = "WDJB-MJHT")]
    pub user_code: String,
    /// Where its owner enters that.
    pub verification_uri: String,
    /// The same with the code in it, for a QR code. Opening it approves nothing.
    pub verification_uri_complete: String,
    /// How long both live, in seconds.
    pub expires_in: u64,
    /// How long to wait between two polls, in seconds.
    pub interval: u64,
}

/// Ask for a code, as a device without a keyboard (RFC 8628 section 3.1).
#[utoipa::path(post, path = "/oauth/device_authorization", tag = "oauth", security(()),
    request_body(content = DeviceAuthorizationForm, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 200, description = "A code to show and a secret to poll with", body = DeviceAuthorization),
    (status = 400, description = "A parameter is missing, repeated or not one this server takes", body = OAuthError),
    (status = 401, description = "No such client", body = OAuthError),
    (status = 403, description = "The request came from another site", body = crate::http::failure::Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = OAuthError),
    (status = 429, description = "Too many codes", body = OAuthError),
    (status = 503, description = "No storage", body = OAuthError)))]
pub async fn device_authorization(cx: Cx, headers: HeaderMap, form: Pairs) -> Result<Response, Refused> {
    let (all, client) = parameters(&headers, form)?;
    let unknown = |scope: &str| !scope.split(' ').all(|word| word.is_empty() || word == "offline_access");
    if all.get("scope").is_some_and(unknown) {
        return Err(Refused::new("invalid_scope", "The only scope a device may name is `offline_access`."));
    }
    let begun = devices::begin(&cx, client, all.get("device_name").unwrap_or_default()).await;
    let begun = begun.map_err(|error: BeginError| Failure::from(error))?;
    let uri = cx.absolute("/link");
    Ok(axum::Json(DeviceAuthorization {
        device_code: begun.device.expose().to_owned(),
        verification_uri_complete: format!("{uri}?code={}", begun.user.shown()),
        user_code: begun.user.shown(),
        verification_uri: uri,
        expires_in: begun.life.as_secs(),
        interval: begun.interval.as_secs(),
    })
    .into_response())
}

/// A device that asks whether it was approved.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "as above")]
pub struct DeviceTokenForm {
    /// `urn:ietf:params:oauth:grant-type:device_code`.
    #[schema(example = "urn:ietf:params:oauth:grant-type:device_code")]
    grant_type: String,
    /// `usher-device`.
    #[schema(example = "usher-device")]
    client_id: String,
    /// The device's own secret.
    #[schema(format = Password)]
    device_code: String,
}

/// Tokens of a device's session.
#[derive(Serialize, utoipa::ToSchema)]
pub struct DeviceTokens {
    /// For API calls.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: &'static str,
    /// The access token's life in seconds.
    pub expires_in: u64,
    /// For the next access token, at `/api/v1/refresh`; rotates.
    pub refresh_token: String,
    /// For locations only.
    pub media_token: String,
}

/// Exchange an approved code for tokens (RFC 8628 section 3.4). The only grant that is served.
#[utoipa::path(post, path = "/oauth/token", tag = "oauth", security(()),
    request_body(content = DeviceTokenForm, content_type = "application/x-www-form-urlencoded"), responses(
    (status = 200, description = "The device has its session", body = DeviceTokens),
    (status = 400, description = "Not approved yet (`authorization_pending`, `slow_down`), never (`access_denied`, `expired_token`, `invalid_grant`), or not a request this server takes", body = OAuthError),
    (status = 401, description = "No such client", body = OAuthError),
    (status = 403, description = "The request came from another site", body = crate::http::failure::Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = OAuthError),
    (status = 503, description = "No storage", body = OAuthError)))]
pub async fn token(cx: Cx, headers: HeaderMap, form: Pairs) -> Result<Response, Refused> {
    let (all, client) = parameters(&headers, form)?;
    match all.get("grant_type") {
        Some(DEVICE_GRANT) => {}
        Some(_) => return Err(Refused::new("unsupported_grant_type", "Only the device grant is served here.")),
        None => return Err(Refused::new("invalid_request", "The parameter `grant_type` is missing.")),
    }
    let missing = || Refused::new("invalid_request", "The parameter `device_code` is missing.");
    let device = all.get("device_code").ok_or_else(missing)?;
    let linked = devices::poll(&cx, client, device).await.map_err(refused)?;
    Ok(axum::Json(issue(&cx, &linked).await?).into_response())
}

fn refused(error: PollError) -> Refused {
    let word = match &error {
        PollError::Pending => "authorization_pending",
        PollError::SlowDown => "slow_down",
        PollError::Refused => "access_denied",
        PollError::Expired => "expired_token",
        PollError::Unknown => "invalid_grant",
        PollError::Storage(error) => return Failure::from(error.clone()).into(),
    };
    Refused::new(word, format!("{error}."))
}

async fn issue(cx: &Cx, linked: &Linked) -> Result<DeviceTokens, Failure> {
    let session = &linked.session;
    let caller = gate::admit_new(cx, session.id, Kind::Device).await?;
    let refresh = session.refresh.as_ref().map(|first| first.token(&cx.app.macs.refresh, session.id));
    Ok(DeviceTokens {
        access_token: tokens::access(cx, &caller, &Audience::Own)?,
        token_type: "Bearer",
        expires_in: cx.app.config.tokens.access_life.as_secs(),
        refresh_token: refresh.unwrap_or_default(),
        media_token: tokens::media(cx, &caller)?,
    })
}
